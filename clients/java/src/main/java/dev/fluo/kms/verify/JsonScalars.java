package dev.fluo.kms.verify;

import java.math.BigInteger;

/** The scalars of OTLP's JSON: protobuf's, of which each number has one grammar, in a string or not. */
final class JsonScalars {
  private static final BigInteger INT64 = BigInteger.ONE.shiftLeft(63);
  private static final BigInteger UINT64 = BigInteger.ONE.shiftLeft(64);
  private static final BigInteger INT32 = BigInteger.ONE.shiftLeft(31);
  private static final BigInteger UINT32 = BigInteger.ONE.shiftLeft(32);

  private JsonScalars() {}

  static String text(Object json) {
    if (json instanceof String text && text.codePoints().noneMatch(point -> point >= 0xd800 && point <= 0xdfff)) {
      return text;
    }
    throw new Malformed("must be text");
  }

  static boolean bool(Object json) {
    if (json instanceof Boolean value) {
      return value;
    }
    throw new Malformed("must be true or false");
  }

  static long int64(Object json) {
    return whole(number(json), INT64.negate(), INT64);
  }

  static long uint64(Object json) {
    return whole(number(json), BigInteger.ZERO, UINT64);
  }

  static long uint32(Object json) {
    return whole(number(json), BigInteger.ZERO, UINT32);
  }

  /** An enum's number, which no string has: there the value's name is. */
  static long int32(Object json) {
    return whole(json instanceof JsonNumber number ? number : null, INT32.negate(), INT32);
  }

  static double float64(Object json) {
    if (json instanceof String text) {
      switch (text) {
        case "NaN" -> {
          return Double.NaN;
        }
        case "Infinity" -> {
          return Double.POSITIVE_INFINITY;
        }
        case "-Infinity" -> {
          return Double.NEGATIVE_INFINITY;
        }
        default -> {}
      }
    }
    JsonNumber number = number(json);
    if (number == null || Double.isInfinite(number.nearest())) {
      throw new Malformed("must be a number that a double holds, or \"Infinity\"");
    }
    return number.nearest();
  }

  static byte[] bytes(Object json) {
    byte[] bytes = json instanceof String text ? Base64Text.decodeEither(text) : null;
    if (bytes == null) {
      throw new Malformed("must be base64");
    }
    return bytes;
  }

  /** Returns null for what is neither a number nor a string of one. */
  private static JsonNumber number(Object json) {
    return json instanceof JsonNumber number ? number : json instanceof String text ? JsonNumber.parse(text) : null;
  }

  private static long whole(JsonNumber number, BigInteger least, BigInteger end) {
    BigInteger value = number == null ? null : number.whole(end.toString().length());
    if (value == null || value.compareTo(least) < 0 || value.compareTo(end) >= 0) {
      throw new Malformed("must be a whole number from " + least + " to " + end.subtract(BigInteger.ONE));
    }
    return value.longValue();
  }
}
