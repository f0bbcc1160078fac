package dev.fluo.kms.verify;

import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * OTLP's AnyValue and KeyValue as they stand in the canonical form: each value typed, as {@code {"intValue":"5"}};
 * {@code null} where there is no value or no member. Nothing here is left out for being at its default.
 */
final class AnyValueReader extends MessageReader {
  /** An attribute's own value is at level 1, what it holds at level 2. */
  static final int MAX_LEVELS = 32;

  private final int level;
  private Map<String, Object> typed;

  private AnyValueReader(int level) {
    super(
        0,
        null,
        "string_value",
        "bool_value",
        "int_value",
        "double_value",
        "array_value",
        "kvlist_value",
        "bytes_value");
    this.level = level;
  }

  /** Reads the value that ends at {@code end}; null for one without a member. */
  static Map<String, Object> value(WireReader wire, int end, int level) {
    if (level > MAX_LEVELS) {
      throw new Malformed("is nested deeper than " + MAX_LEVELS + " levels; flatten it");
    }
    AnyValueReader reader = new AnyValueReader(level);
    reader.read(wire, end);
    return reader.typed;
  }

  @Override
  boolean field(WireReader wire, int tag, int end) {
    boolean isSecond = typed != null;
    switch (tag) {
      case 10 -> typed("stringValue", wire.text(end));
      case 16 -> typed("boolValue", wire.bool(end));
      case 24 -> typed("intValue", Long.toString(wire.varint(end)));
      case 33 -> typed("doubleValue", number(Double.longBitsToDouble(wire.fixed64(end))));
      case 42 -> typed("arrayValue", list(wire, wire.fieldEnd(end)));
      case 50 -> typed("kvlistValue", map(wire, wire.fieldEnd(end)));
      case 58 -> typed("bytesValue", Base64.getEncoder().encodeToString(wire.field(end)));
      default -> {
        return false;
      }
    }
    if (isSecond) {
      throw new Malformed("the value has a second member; it is one of them");
    }
    return true;
  }

  private void typed(String name, Object value) {
    typed = new LinkedHashMap<>(2);
    typed.put(name, value);
  }

  /** What JSON has no number for is text, as in protobuf's JSON. */
  private static Object number(double value) {
    if (Double.isNaN(value)) {
      return "NaN";
    }
    if (Double.isInfinite(value)) {
      return value > 0 ? "Infinity" : "-Infinity";
    }
    return value;
  }

  private List<Object> list(WireReader wire, int end) {
    List<Object> items = new ArrayList<>();
    new MessageReader(1 << 1, null, "values") {
      @Override
      boolean field(WireReader from, int tag, int stop) {
        if (tag != 10) {
          return false;
        }
        items.add(value(from, from.fieldEnd(stop), level + 1));
        return true;
      }
    }.read(wire, end);
    return items;
  }

  private Map<String, Object> map(WireReader wire, int end) {
    Map<String, Object> entries = new LinkedHashMap<>();
    new MessageReader(1 << 1, null, "values") {
      @Override
      boolean field(WireReader from, int tag, int stop) {
        if (tag != 10) {
          return false;
        }
        KeyValue entry = KeyValue.read(from, from.fieldEnd(stop), level + 1);
        Attributes.putOnce(entries, entry);
        return true;
      }
    }.read(wire, end);
    return entries;
  }

  /** An attribute, or an entry of a map. */
  record KeyValue(String key, Map<String, Object> value) {
    static KeyValue read(WireReader wire, int end, int level) {
      KeyValueReader reader = new KeyValueReader(level);
      reader.read(wire, end);
      return new KeyValue(reader.key, reader.value);
    }
  }

  private static final class KeyValueReader extends MessageReader {
    private final int level;
    private String key = "";
    private Map<String, Object> value;

    KeyValueReader(int level) {
      super(0, null, "key", "value");
      this.level = level;
    }

    @Override
    boolean field(WireReader wire, int tag, int end) {
      if (tag == 10) {
        key = wire.text(end);
      } else if (tag == 18) {
        value = value(wire, wire.fieldEnd(end), level);
      } else {
        return false;
      }
      return true;
    }
  }
}
