package dev.fluo.kms.verify;

import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * OTLP's Span as its part of the canonical form. Fields at their default are left out, and so are {@code flags} and the
 * five attributes that carry a signature, which are kept beside it.
 */
final class SpanReader extends MessageReader {
  static final int TRACE_ID_BYTES = 16;
  static final int SPAN_ID_BYTES = 8;
  private static final int LAST_KIND = 5;
  private static final int LAST_STATUS_CODE = 2;

  private final Map<String, Object> span = new LinkedHashMap<>();
  private final Integrity integrity = new Integrity();
  private final Attributes attributes = new Attributes(integrity);
  private final List<Object> events = new ArrayList<>();
  private final List<Object> links = new ArrayList<>();

  private SpanReader() {
    super(
        1 << 9 | 1 << 11 | 1 << 13,
        null,
        "trace_id",
        "span_id",
        "trace_state",
        "parent_span_id",
        "name",
        "kind",
        "start_time_unix_nano",
        "end_time_unix_nano",
        "attributes",
        "dropped_attributes_count",
        "events",
        "dropped_events_count",
        "links",
        "dropped_links_count",
        "status",
        "flags");
  }

  /** Reads the span that ends at {@code end}, of a resource and a scope that are null where they are empty. */
  static ReadSpan read(WireReader wire, int end, Map<String, Object> resource, Map<String, Object> scope) {
    SpanReader reader = new SpanReader();
    reader.read(wire, end);
    Map<String, Object> span = reader.span;
    if (span.get("traceId") == null) {
      throw missing("trace_id", "trace", TRACE_ID_BYTES);
    }
    if (span.get("spanId") == null) {
      throw missing("span_id", "span", SPAN_ID_BYTES);
    }
    reader.attributes.writeTo(span);
    putList(span, "events", reader.events);
    putList(span, "links", reader.links);
    Map<String, Object> whole = new LinkedHashMap<>();
    if (resource != null) {
      whole.put("resource", resource);
    }
    if (scope != null) {
      whole.put("scope", scope);
    }
    whole.put("span", span);
    String lacks =
        resource != null ? (scope != null ? "" : "scope") : (scope != null ? "resource" : "resource or scope");
    return new ReadSpan(
        (String) span.get("traceId"),
        (String) span.get("spanId"),
        JsonWriter.canonical(whole),
        reader.integrity,
        lacks);
  }

  private static Malformed missing(String field, String of, int bytes) {
    return new Malformed(field, "is missing or all zero; give the " + bytes + " bytes of the " + of + "'s id");
  }

  @Override
  boolean field(WireReader wire, int tag, int end) {
    switch (tag) {
      case 10 -> putText(span, "traceId", id(wire, end, TRACE_ID_BYTES));
      case 18 -> putText(span, "spanId", id(wire, end, SPAN_ID_BYTES));
      case 26 -> putText(span, "traceState", wire.text(end));
      case 34 -> putText(span, "parentSpanId", id(wire, end, SPAN_ID_BYTES));
      case 42 -> putText(span, "name", wire.text(end));
      case 48 -> putNumber(span, "kind", wire.enumValue(end, LAST_KIND));
      case 57 -> putNanos(span, "startTimeUnixNano", wire.fixed64(end));
      case 65 -> putNanos(span, "endTimeUnixNano", wire.fixed64(end));
      case 74 -> attributes.read(wire, end);
      case 80 -> putNumber(span, "droppedAttributesCount", wire.uint32(end));
      case 90 -> events.add(event(wire, wire.fieldEnd(end)));
      case 96 -> putNumber(span, "droppedEventsCount", wire.uint32(end));
      case 106 -> links.add(link(wire, wire.fieldEnd(end)));
      case 112 -> putNumber(span, "droppedLinksCount", wire.uint32(end));
      case 122 -> {
        Map<String, Object> status = status(wire, wire.fieldEnd(end));
        if (!status.isEmpty()) {
          span.put("status", status);
        }
      }
      case 133 -> wire.fixed32(end);
      default -> {
        return false;
      }
    }
    return true;
  }

  /** An event with each field at its default is still there, as an empty object. */
  private static Map<String, Object> event(WireReader wire, int end) {
    Map<String, Object> event = new LinkedHashMap<>();
    Attributes attributes = new Attributes();
    new MessageReader(1 << 3, null, "time_unix_nano", "name", "attributes", "dropped_attributes_count") {
      @Override
      boolean field(WireReader from, int tag, int stop) {
        switch (tag) {
          case 9 -> putNanos(event, "timeUnixNano", from.fixed64(stop));
          case 18 -> putText(event, "name", from.text(stop));
          case 26 -> attributes.read(from, stop);
          case 32 -> putNumber(event, "droppedAttributesCount", from.uint32(stop));
          default -> {
            return false;
          }
        }
        return true;
      }
    }.read(wire, end);
    attributes.writeTo(event);
    return event;
  }

  /** Reads a link. The flags are read and not covered. */
  private static Map<String, Object> link(WireReader wire, int end) {
    Map<String, Object> link = new LinkedHashMap<>();
    Attributes attributes = new Attributes();
    new MessageReader(
        1 << 4, null, "trace_id", "span_id", "trace_state", "attributes", "dropped_attributes_count", "flags") {
      @Override
      boolean field(WireReader from, int tag, int stop) {
        switch (tag) {
          case 10 -> putText(link, "traceId", id(from, stop, TRACE_ID_BYTES));
          case 18 -> putText(link, "spanId", id(from, stop, SPAN_ID_BYTES));
          case 26 -> putText(link, "traceState", from.text(stop));
          case 34 -> attributes.read(from, stop);
          case 40 -> putNumber(link, "droppedAttributesCount", from.uint32(stop));
          case 53 -> from.fixed32(stop);
          default -> {
            return false;
          }
        }
        return true;
      }
    }.read(wire, end);
    attributes.writeTo(link);
    return link;
  }

  private static Map<String, Object> status(WireReader wire, int end) {
    Map<String, Object> status = new LinkedHashMap<>();
    new MessageReader(0, null, null, "message", "code") {
      @Override
      boolean field(WireReader from, int tag, int stop) {
        switch (tag) {
          case 18 -> putText(status, "message", from.text(stop));
          case 24 -> putNumber(status, "code", from.enumValue(stop, LAST_STATUS_CODE));
          default -> {
            return false;
          }
        }
        return true;
      }
    }.read(wire, end);
    return status;
  }

  /** An id in hex; "" for one that is empty or all zero. */
  private static String id(WireReader wire, int end, int length) {
    byte[] id = wire.field(end);
    if (id.length != 0 && id.length != length) {
      throw new Malformed("is not " + length + " bytes long; give the id as its " + length + " bytes");
    }
    for (byte each : id) {
      if (each != 0) {
        return HexFormat.of().formatHex(id);
      }
    }
    return "";
  }

  static void putText(Map<String, Object> message, String name, String text) {
    if (!text.isEmpty()) {
      message.put(name, text);
    }
  }

  private static void putNumber(Map<String, Object> message, String name, long number) {
    if (number != 0) {
      message.put(name, number);
    }
  }

  /** Text, because a double does not hold each value. */
  private static void putNanos(Map<String, Object> message, String name, long nanos) {
    if (nanos != 0) {
      message.put(name, Long.toUnsignedString(nanos));
    }
  }

  private static void putList(Map<String, Object> message, String name, List<Object> list) {
    if (!list.isEmpty()) {
      message.put(name, list);
    }
  }
}
