package dev.fluo.kms.verify;

import java.math.BigInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A number as JSON spells it (RFC 8259, §6), so that its exact value is there however many digits it has. */
record JsonNumber(String token) {
  static final Pattern FORM = Pattern.compile("(-?)(0|[1-9][0-9]*)(?:\\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?");

  /** More than the digits of any text. */
  private static final long LARGEST_EXPONENT = 1L << 40;

  /** Returns null for text that is no number of JSON. */
  static JsonNumber parse(String text) {
    return FORM.matcher(text).matches() ? new JsonNumber(text) : null;
  }

  /** Returns the nearest double, ties to even; an infinite one if it is too large. */
  double nearest() {
    return Double.parseDouble(token);
  }

  /** Returns the exact value; null unless it is whole and has at most {@code mostDigits} digits. */
  BigInteger whole(int mostDigits) {
    Matcher parts = FORM.matcher(token);
    if (!parts.matches()) {
      throw new IllegalStateException("not a number of JSON");
    }
    String fraction = parts.group(3) == null ? "" : parts.group(3);
    String coefficient = parts.group(2) + fraction;
    int start = 0;
    int end = coefficient.length();
    while (start < end && coefficient.charAt(start) == '0') {
      start++;
    }
    while (start < end && coefficient.charAt(end - 1) == '0') {
      end--;
    }
    if (start == end) {
      return BigInteger.ZERO;
    }
    long zeros = exponent(parts.group(4)) - fraction.length() + (coefficient.length() - end);
    if (zeros < 0 || end - start + zeros > mostDigits) {
      return null;
    }
    return new BigInteger(parts.group(1) + coefficient.substring(start, end) + "0".repeat((int) zeros));
  }

  /** One of too many digits counts as the largest there is. */
  private static long exponent(String text) {
    if (text == null) {
      return 0;
    }
    long exponent = 0;
    for (int i = 0; i < text.length(); i++) {
      int digit = text.charAt(i) - '0';
      if (digit >= 0) {
        exponent = Math.min(10 * exponent + digit, LARGEST_EXPONENT);
      }
    }
    return text.startsWith("-") ? -exponent : exponent;
  }
}
