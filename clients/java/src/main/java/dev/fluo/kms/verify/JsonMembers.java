package dev.fluo.kms.verify;

import java.util.List;
import java.util.Map;

/** The typed members of a key set's JSON. Each throws KeySetException that names the member. */
final class JsonMembers {
  private static final double LARGEST_SAFE = 0x1.fffffffffffffp52;

  private JsonMembers() {}

  @SuppressWarnings("unchecked")
  static Map<String, Object> object(Object value, String at) {
    if (value instanceof Map<?, ?>) {
      return (Map<String, Object>) value;
    }
    throw new KeySetException(at + " must be an object");
  }

  /** Empty where it is missing. */
  static List<?> list(Object value, String at) {
    if (value == null) {
      return List.of();
    }
    if (value instanceof List<?> list) {
      return list;
    }
    throw new KeySetException(at + " must be a list");
  }

  static String text(Object value, String at) {
    if (value instanceof String text) {
      return text;
    }
    throw new KeySetException(at + " must be text");
  }

  static byte[] base64(Object value, String at) {
    byte[] bytes = Base64Text.decode(text(value, at));
    if (bytes == null) {
      throw new KeySetException(at + " must be base64");
    }
    return bytes;
  }

  static long index(Object value, String at) {
    double index = value instanceof JsonNumber number ? number.nearest() : -1;
    if (index == Math.rint(index) && index >= 0 && index <= LARGEST_SAFE) {
      return (long) index;
    }
    throw new KeySetException(at + " must be a whole number, not below 0");
  }
}
