package dev.fluo.kms.verify;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The five attributes on a span that carry its signature. They are strings, are not part of the canonical form, and do
 * not count against the limit of a list: a span with the most attributes there can be must still verify with them.
 */
final class Integrity {
  private static final String PREFIX = "audit.integrity.";
  private static final String RESERVED = PREFIX + "fluo.";

  /** Which of the five, how it is named, and how it must be. */
  enum Field {
    ALGORITHM("algorithm", "must be EdDSA or c2sp.org/tlog-proof@v1"),
    VALUE("value", "must be the base64 of a signature, which has 64 bytes, or of a log proof"),
    KEY_ID("key_id", "must be 32 lower-case hex digits, and must not be there beside a log proof"),
    TENANT("tenant", "must be the tenant in whose name the span was signed"),
    SIGNED_AT(
        "signed_at",
        "must be a time of RFC 3339 in UTC, without parts of a millisecond, such as 2026-01-02T03:04:05.678Z");

    private final String key;
    private final String form;

    Field(String name, String form) {
      this.key = PREFIX + name;
      this.form = form;
    }
  }

  private final Map<String, String> values = new LinkedHashMap<>();

  /** Whether the span has none of the five. */
  boolean isEmpty() {
    return values.isEmpty();
  }

  /** Returns null where it is not on the span. */
  String get(Field field) {
    return values.get(field.key);
  }

  String getOrEmpty(Field field) {
    return values.getOrDefault(field.key, "");
  }

  /** Keeps one of the five; returns false for an ordinary attribute. Refuses names that are reserved. */
  boolean take(String key, Object value) {
    if (key.startsWith(RESERVED)) {
      throw new Malformed("key", "names that begin with " + RESERVED + " are reserved; name it otherwise");
    }
    if (Arrays.stream(Field.values()).noneMatch(field -> field.key.equals(key))) {
      return false;
    }
    if (values.containsKey(key)) {
      throw new Malformed("key", "another attribute has the same key; keep one");
    }
    if (!(value instanceof Map<?, ?> typed && typed.get("stringValue") instanceof String text)) {
      throw new Malformed("value", "an attribute of the signature is a string");
    }
    values.put(key, text);
    return true;
  }

  /** Says that this one of the five is missing or malformed, and how it must be. Never shows what it is. */
  String wrong(Field field) {
    if (values.isEmpty()) {
      return "the span carries no evidence: put the attributes on it that signing gave";
    }
    return field.key + (get(field) == null ? " is missing: it " : " ") + field.form;
  }

  static String namesAnotherTenant() {
    return Field.TENANT.key + " names another tenant";
  }
}
