package dev.fluo.kms.verify;

import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/**
 * OTLP JSON to protobuf bytes. It is protobuf's JSON but for trace and span ids: OTLP writes them in hex, protobuf's own
 * printers in base64. The two have different lengths, so both are read. A member that no message has is refused: what
 * is not signed must not look signed.
 */
final class OtlpJson {
  /** Levels that protobuf's own readers go down. */
  private static final int MOST_MESSAGES = 100;

  /** Writes a value that is not null; throws Malformed for one that the field does not take. */
  private interface Writer {
    void write(WireWriter out, int number, Object json, int depth);
  }

  /**
   * @param oneof whether the field excludes the others of its message that are so
   * @param nullCounts whether null still excludes those
   */
  private record FieldType(int number, boolean isList, boolean oneof, boolean nullCounts, Writer writer) {}

  private record MessageType(Map<String, FieldType> fields) {}

  private static final Writer TEXT = (out, number, json, depth) -> out.text(number, JsonScalars.text(json));
  private static final Writer UINT32 = (out, number, json, depth) -> out.varint(number, JsonScalars.uint32(json));
  private static final Writer FIXED32 = (out, number, json, depth) -> out.fixed32(number, JsonScalars.uint32(json));
  private static final Writer FIXED64 = (out, number, json, depth) -> out.fixed64(number, JsonScalars.uint64(json));
  private static final Writer BYTES = (out, number, json, depth) -> out.bytes(number, JsonScalars.bytes(json));

  // Messages that hold each other, or themselves, are made as they are needed.
  private static final Writer ANY_VALUE = (out, number, json, depth) -> anyValueType().write(out, number, json, depth);
  private static final Writer KEY_VALUE =
      message(new MessageType(Map.of("key", singular(1, TEXT), "value", singular(2, ANY_VALUE))));
  private static final Writer ARRAY_VALUE = message(new MessageType(Map.of("values", list(1, ANY_VALUE))));
  private static final Writer KEY_VALUE_LIST = message(new MessageType(Map.of("values", list(1, KEY_VALUE))));
  private static final Writer ANY_VALUE_MESSAGE =
      message(
          new MessageType(
              names(
                  Map.of(
                      "string_value", oneof(1, TEXT),
                      "bool_value", oneof(2, (out, n, json, d) -> out.varint(n, JsonScalars.bool(json) ? 1 : 0)),
                      "int_value", oneof(3, (out, n, json, d) -> out.varint(n, JsonScalars.int64(json))),
                      "double_value",
                          oneof(
                              4,
                              (out, n, json, d) ->
                                  out.fixed64(n, Double.doubleToRawLongBits(JsonScalars.float64(json)))),
                      "array_value", new FieldType(5, false, true, true, ARRAY_VALUE),
                      "kvlist_value", new FieldType(6, false, true, true, KEY_VALUE_LIST),
                      "bytes_value", oneof(7, BYTES)))));

  private static final Writer STATUS =
      message(
          new MessageType(
              Map.of(
                  "message",
                  singular(2, TEXT),
                  "code",
                  singular(3, enumeration("STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR")))));
  private static final Writer EVENT =
      message(
          new MessageType(
              names(
                  Map.of(
                      "time_unix_nano", singular(1, FIXED64),
                      "name", singular(2, TEXT),
                      "attributes", list(3, KEY_VALUE),
                      "dropped_attributes_count", singular(4, UINT32)))));
  private static final Writer LINK =
      message(
          new MessageType(
              names(
                  Map.of(
                      "trace_id", singular(1, id(SpanReader.TRACE_ID_BYTES)),
                      "span_id", singular(2, id(SpanReader.SPAN_ID_BYTES)),
                      "trace_state", singular(3, TEXT),
                      "attributes", list(4, KEY_VALUE),
                      "dropped_attributes_count", singular(5, UINT32),
                      "flags", singular(6, FIXED32)))));
  private static final Writer SPAN =
      message(
          new MessageType(
              names(
                  Map.ofEntries(
                      Map.entry("trace_id", singular(1, id(SpanReader.TRACE_ID_BYTES))),
                      Map.entry("span_id", singular(2, id(SpanReader.SPAN_ID_BYTES))),
                      Map.entry("trace_state", singular(3, TEXT)),
                      Map.entry("parent_span_id", singular(4, id(SpanReader.SPAN_ID_BYTES))),
                      Map.entry("name", singular(5, TEXT)),
                      Map.entry(
                          "kind",
                          singular(
                              6,
                              enumeration(
                                  "SPAN_KIND_UNSPECIFIED",
                                  "SPAN_KIND_INTERNAL",
                                  "SPAN_KIND_SERVER",
                                  "SPAN_KIND_CLIENT",
                                  "SPAN_KIND_PRODUCER",
                                  "SPAN_KIND_CONSUMER"))),
                      Map.entry("start_time_unix_nano", singular(7, FIXED64)),
                      Map.entry("end_time_unix_nano", singular(8, FIXED64)),
                      Map.entry("attributes", list(9, KEY_VALUE)),
                      Map.entry("dropped_attributes_count", singular(10, UINT32)),
                      Map.entry("events", list(11, EVENT)),
                      Map.entry("dropped_events_count", singular(12, UINT32)),
                      Map.entry("links", list(13, LINK)),
                      Map.entry("dropped_links_count", singular(14, UINT32)),
                      Map.entry("status", singular(15, STATUS)),
                      Map.entry("flags", singular(16, FIXED32))))));
  private static final Writer SCOPE =
      message(
          new MessageType(
              names(
                  Map.of(
                      "name", singular(1, TEXT),
                      "version", singular(2, TEXT),
                      "attributes", list(3, KEY_VALUE),
                      "dropped_attributes_count", singular(4, UINT32)))));
  private static final Writer ENTITY_REF =
      message(
          new MessageType(
              names(
                  Map.of(
                      "schema_url", singular(1, TEXT),
                      "type", singular(2, TEXT),
                      "id_keys", list(3, TEXT),
                      "description_keys", list(4, TEXT)))));
  private static final Writer RESOURCE =
      message(
          new MessageType(
              names(
                  Map.of(
                      "attributes", list(1, KEY_VALUE),
                      "dropped_attributes_count", singular(2, UINT32),
                      "entity_refs", list(3, ENTITY_REF)))));
  private static final Writer SCOPE_SPANS =
      message(
          new MessageType(
              names(
                  Map.of("scope", singular(1, SCOPE), "spans", list(2, SPAN), "schema_url", singular(3, TEXT)))));
  private static final MessageType RESOURCE_SPANS =
      new MessageType(
          names(
              Map.of(
                  "resource", singular(1, RESOURCE),
                  "scope_spans", list(2, SCOPE_SPANS),
                  "schema_url", singular(3, TEXT))));

  private OtlpJson() {}

  /**
   * Returns each ResourceSpans of one export as its bytes, or as the Malformed that says why it cannot be read.
   *
   * @throws NotAnExportException for another document
   */
  static List<Object> resourceSpans(Object document) {
    Map<?, ?> members = document instanceof Map<?, ?> map ? map : Map.of();
    Object list = members.containsKey("resourceSpans") ? members.get("resourceSpans") : members.get("resource_spans");
    if (members.size() != 1 || !(list instanceof List<?> items)) {
      throw new NotAnExportException(
          "the spans must be OTLP trace exports: objects with a list \"resourceSpans\" and nothing else");
    }
    List<Object> messages = new ArrayList<>();
    for (Object item : items) {
      try {
        // The export around it is a message too.
        messages.add(encode(RESOURCE_SPANS, item, 2));
      } catch (Malformed e) {
        messages.add(e);
      }
    }
    return messages;
  }

  private static byte[] encode(MessageType type, Object json, int depth) {
    if (depth > MOST_MESSAGES) {
      throw new Malformed("is nested too deeply");
    }
    if (!(json instanceof Map<?, ?> members)) {
      throw new Malformed("must be an object");
    }
    WireWriter out = new WireWriter();
    List<FieldType> seen = new ArrayList<>();
    boolean hasOneof = false;
    for (Map.Entry<?, ?> member : members.entrySet()) {
      String name = (String) member.getKey();
      Object value = member.getValue();
      FieldType field = type.fields.get(name);
      if (field == null) {
        throw new Malformed("has a member that OTLP does not have; leave it out");
      }
      try {
        if (seen.contains(field)) {
          throw new Malformed("is there twice, under both of its names; send it once");
        }
        seen.add(field);
        if (field.oneof && (value != null || field.nullCounts)) {
          if (hasOneof) {
            throw new Malformed("the value has a second member; it is one of them");
          }
          hasOneof = true;
        }
        if (value != null) {
          write(out, field, value, depth);
        }
      } catch (Malformed e) {
        throw e.within(name);
      }
    }
    return out.toBytes();
  }

  private static void write(WireWriter out, FieldType field, Object value, int depth) {
    if (!field.isList) {
      field.writer.write(out, field.number, value, depth);
      return;
    }
    if (!(value instanceof List<?> items)) {
      throw new Malformed("must be a list");
    }
    for (Object item : items) {
      if (item == null) {
        throw new Malformed("an item must not be null");
      }
      field.writer.write(out, field.number, item, depth);
    }
  }

  private static Writer anyValueType() {
    return ANY_VALUE_MESSAGE;
  }

  private static Writer message(MessageType type) {
    return (out, number, json, depth) -> out.bytes(number, encode(type, json, depth + 1));
  }

  private static Writer enumeration(String... names) {
    List<String> known = List.of(names);
    return (out, number, json, depth) ->
        out.varint(
            number, json instanceof String name && known.contains(name) ? known.indexOf(name) : JsonScalars.int32(json));
  }

  private static Writer id(int bytes) {
    return (out, number, json, depth) -> {
      if (!(json instanceof String text)) {
        throw new Malformed("must be text");
      }
      byte[] id = text.length() == 2 * bytes ? hex(text) : Base64Text.decodeEither(text);
      if (id == null || id.length != 0 && id.length != bytes) {
        throw new Malformed("must be " + bytes + " bytes, in hex or base64");
      }
      out.bytes(number, id);
    };
  }

  private static byte[] hex(String text) {
    try {
      return HexFormat.of().parseHex(text);
    } catch (IllegalArgumentException e) {
      return null;
    }
  }

  private static FieldType singular(int number, Writer writer) {
    return new FieldType(number, false, false, false, writer);
  }

  private static FieldType list(int number, Writer writer) {
    return new FieldType(number, true, false, false, writer);
  }

  private static FieldType oneof(int number, Writer writer) {
    return new FieldType(number, false, true, false, writer);
  }

  /** Each field by its proto name, and by its name in JSON. */
  private static Map<String, FieldType> names(Map<String, FieldType> fields) {
    Map<String, FieldType> both = new java.util.HashMap<>(fields);
    fields.forEach((name, field) -> both.put(camelCase(name), field));
    return both;
  }

  private static String camelCase(String name) {
    StringBuilder camel = new StringBuilder();
    for (int i = 0; i < name.length(); i++) {
      boolean isAfterUnderscore = i > 0 && name.charAt(i - 1) == '_';
      if (name.charAt(i) != '_') {
        camel.append(isAfterUnderscore ? Character.toUpperCase(name.charAt(i)) : name.charAt(i));
      }
    }
    return camel.toString();
  }
}
