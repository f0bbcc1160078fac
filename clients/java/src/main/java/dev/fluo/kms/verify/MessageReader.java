package dev.fluo.kms.verify;

import dev.fluo.kms.verify.Otlp.Field;
import dev.fluo.kms.verify.Otlp.Message;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads a message on the wire as it stands in the canonical form: fields at their default are left out, except in
 * values of attributes; an attribute's value is typed, as {@code {"intValue":"5"}}, and null where there is no value or
 * no member of it; lists of attributes become objects.
 */
final class MessageReader {
  /** An attribute's own value is at level 1, what it holds at level 2. */
  private static final int MOST_LEVELS = 32;

  private static final int MOST_ATTRIBUTES = 128;

  /** Where a message lies. */
  record Extent(byte[] bytes, int start, int end) {
    Extent(byte[] bytes) {
      this(bytes, 0, bytes.length);
    }
  }

  private final WireReader wire;
  private final Integrity integrity;

  private MessageReader(Extent at, Integrity integrity) {
    this.wire = new WireReader(at.bytes, at.start);
    this.integrity = integrity;
  }

  static Map<String, Object> read(Message message, Extent at) {
    return read(message, at, null);
  }

  /** @param integrity takes the attributes of a span's signature, which are in no list and do not count */
  static Map<String, Object> read(Message message, Extent at, Integrity integrity) {
    return new MessageReader(at, integrity).members(message, at.end, 1);
  }

  private Map<String, Object> members(Message message, int end, int level) {
    Map<String, Object> members = new LinkedHashMap<>();
    int[] counts = message.counts();
    while (wire.at < end) {
      int tag = wire.tag(end);
      Field field = message.field(tag >>> 3);
      int count = field == null ? 0 : counts[field.number()]++;
      try {
        if (field == null || field.type().wireType != (tag & 7)) {
          throw unexpected(tag, field);
        }
        Object value = value(field, end, level);
        if (message.isOneof() && !members.isEmpty()) {
          throw new Malformed("the value has a second member; it is one of them");
        }
        if (count > 0 && !field.isList()) {
          throw new Malformed("is there twice, and parsers differ on which counts; send it once");
        }
        add(members, message, field, value);
      } catch (Malformed e) {
        throw field == null ? e : e.within(field.isList() ? field.name() + "[" + count + "]" : field.name());
      }
    }
    return members;
  }

  private void add(Map<String, Object> members, Message message, Field field, Object value) {
    if (!field.isSigned()) {
      return;
    }
    if (field.isList() && field.message() == Otlp.KEY_VALUE) {
      addAttribute(members, message, field, object(value));
    } else if (field.isList()) {
      list(members.computeIfAbsent(field.jsonName(), name -> new ArrayList<>())).add(value);
    } else if (message.isOneof() || !isDefault(value)) {
      members.put(field.jsonName(), value);
    }
  }

  private void addAttribute(Map<String, Object> members, Message message, Field field, Map<String, Object> entry) {
    String key = (String) entry.getOrDefault("key", "");
    Object value = entry.get("value");
    if (message == Otlp.SPAN && integrity.take(key, value)) {
      return;
    }
    Map<String, Object> attributes =
        object(members.computeIfAbsent(field.jsonName(), name -> new LinkedHashMap<>()));
    if (attributes.containsKey(key)) {
      throw new Malformed("key", "another entry of this list has the same key; keep one");
    }
    if (message != Otlp.KEY_VALUE_LIST && attributes.size() == MOST_ATTRIBUTES) {
      throw new Malformed("a list has at most " + MOST_ATTRIBUTES + " attributes; leave some out");
    }
    attributes.put(key, value);
  }

  private Object value(Field field, int end, int level) {
    return switch (field.type()) {
      case TEXT -> wire.text(end);
      case BYTES -> Base64.getEncoder().encodeToString(wire.field(end));
      case ID -> id(wire.field(end), field.idBytes());
      case MESSAGE -> message(field.message(), wire.fieldEnd(end), level);
      case PART -> part(wire.fieldEnd(end));
      case BOOL -> wire.bool(end);
      case INT64 -> Long.toString(wire.varint(end));
      case UINT32 -> wire.uint32(end);
      case ENUM -> wire.enumValue(end, field.values().size() - 1);
      case DOUBLE -> number(Double.longBitsToDouble(wire.fixed64(end)));
      case FIXED64 -> nanos(wire.fixed64(end));
      case FIXED32 -> wire.fixed32(end);
    };
  }

  private Object message(Message message, int end, int level) {
    if (message == Otlp.ANY_VALUE) {
      if (level > MOST_LEVELS) {
        throw new Malformed("is nested deeper than " + MOST_LEVELS + " levels; flatten it");
      }
      Map<String, Object> value = members(message, end, level + 1);
      return value.isEmpty() ? null : value;
    }
    Map<String, Object> members = members(message, end, level);
    if (message == Otlp.ARRAY_VALUE) {
      return members.getOrDefault("values", List.of());
    }
    return message == Otlp.KEY_VALUE_LIST ? members.getOrDefault("values", Map.of()) : members;
  }

  private Extent part(int end) {
    Extent part = new Extent(wire.bytes, wire.at, end);
    wire.at = end;
    return part;
  }

  /** Returns an id in hex; "" for one that is empty or all zero. */
  private static String id(byte[] id, int length) {
    if (id.length != 0 && id.length != length) {
      throw new Malformed("is not " + length + " bytes long; give the id as its " + length + " bytes");
    }
    String hex = HexFormat.of().formatHex(id);
    return hex.chars().allMatch(digit -> digit == '0') ? "" : hex;
  }

  /** Returns what JSON has no number for as text, as in protobuf's JSON. */
  private static Object number(double value) {
    return Double.isFinite(value) ? (Object) value : Double.toString(value);
  }

  /** Returns text, because a double does not hold each value. */
  private static String nanos(long value) {
    return value == 0 ? "" : Long.toUnsignedString(value);
  }

  private static boolean isDefault(Object value) {
    return value == null || value.equals("") || value.equals(0L) || value instanceof Map<?, ?> map && map.isEmpty();
  }

  @SuppressWarnings("unchecked")
  static Map<String, Object> object(Object value) {
    return (Map<String, Object>) value;
  }

  @SuppressWarnings("unchecked")
  static List<Object> list(Object value) {
    return (List<Object>) value;
  }

  private static Malformed unexpected(int tag, Field field) {
    int wireType = tag & 7;
    if (wireType == 3 || wireType == 4) {
      return new Malformed("groups are not part of OTLP; leave them out");
    }
    return new Malformed(
        field != null
            ? "wire type " + wireType + " is not the field's own; encode it as the proto says"
            : "field number " + (tag >>> 3) + " is unknown and could not be signed; leave it out");
  }
}
