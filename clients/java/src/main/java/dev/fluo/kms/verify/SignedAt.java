package dev.fluo.kms.verify;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** When a span was signed: RFC 3339 in UTC with three fraction digits and {@code Z}, and other spellings of the same. */
final class SignedAt {
  private static final Pattern CANONICAL =
      Pattern.compile("([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\\.([0-9]{3})Z");
  private static final Pattern SPELLING =
      Pattern.compile(
          "([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\\.([0-9]{1,3})0{0,6})?(?:[Zz]|\\+00:00)");

  private SignedAt() {}

  /** Returns null for all but the canonical form, for times that do not exist, and before the year 1. */
  static Instant parse(String text) {
    Matcher parts = CANONICAL.matcher(text);
    if (!parts.matches()) {
      return null;
    }
    int[] numbers = new int[7];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = Integer.parseInt(parts.group(i + 1));
    }
    try {
      // Checks each part. Instant.parse would take 24:00:00.
      return numbers[0] == 0
          ? null
          : LocalDateTime.of(
                  numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6] * 1_000_000)
              .toInstant(ZoneOffset.UTC);
    } catch (DateTimeException e) {
      return null;
    }
  }

  /**
   * Returns the canonical form of whatever protobuf's JSON, Go, Python or Java write for an instant: with 0 to 9
   * fraction digits and {@code Z}, {@code z} or {@code +00:00}. Null for all else, and for parts of a millisecond.
   */
  static String canonical(String text) {
    Matcher parts = SPELLING.matcher(text);
    if (!parts.matches()) {
      return null;
    }
    String fraction = parts.group(2) == null ? "" : parts.group(2);
    String canonical = parts.group(1) + "." + (fraction + "000").substring(0, 3) + "Z";
    return parse(canonical) == null ? null : canonical;
  }
}
