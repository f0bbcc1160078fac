package dev.fluo.kms.verify;

import java.io.ByteArrayOutputStream;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.regex.Pattern;

/**
 * Protobuf's JSON of scalars, as lenient as its parsers are: numbers as text, base64 in either alphabet, padded or not.
 * What is lenient here changes no value: it is the wire bytes that are judged.
 */
final class JsonScalars {
  private static final Pattern DECIMAL = Pattern.compile("[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?");
  private static final Pattern WHOLE = Pattern.compile("[+-]?[0-9]+");
  private static final Pattern PREFIXED = Pattern.compile("0([xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)");
  /** Longer ones fit into no field. */
  private static final int MOST_DIGITS = 1_100;

  private static final BigInteger UINT64 = BigInteger.ONE.shiftLeft(64);

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
    BigInteger value = whole(json);
    if (value.bitLength() > 63) {
      throw new Malformed("does not fit into 64 bits");
    }
    return value.longValue();
  }

  static long uint64(Object json) {
    BigInteger value = whole(json);
    if (value.signum() < 0 || value.compareTo(UINT64) >= 0) {
      throw new Malformed("does not fit into 64 bits without sign");
    }
    return value.longValue();
  }

  static long uint32(Object json) {
    double value = json instanceof String text && isTrimmed(text) ? number(text) : number(json);
    if (value != Math.rint(value) || value < 0 || value > 0xffffffffL) {
      throw new Malformed("must be a whole number of 32 bits without sign");
    }
    return (long) value;
  }

  static long int32(Object json) {
    double value = number(json);
    if (value != Math.rint(value) || value < Integer.MIN_VALUE || value > Integer.MAX_VALUE) {
      throw new Malformed("must be a whole number of 32 bits");
    }
    return (long) value;
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
        default -> {
          if (isTrimmed(text)) {
            return finite(number(text));
          }
        }
      }
    }
    return finite(number(json));
  }

  /** Skips line feeds and spaces, and takes either alphabet, padded or not. */
  static byte[] bytes(Object json) {
    if (!(json instanceof String text)) {
      throw new Malformed("must be base64");
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    int group = 0;
    int place = 0;
    for (int i = 0; i < text.length(); i++) {
      char unit = text.charAt(i);
      if (unit == '=') {
        place = 0;
      } else if (unit != '\n' && unit != '\r' && unit != '\t' && unit != ' ') {
        group = group << 6 | sextet(unit);
        if (place > 0) {
          bytes.write(group >> (6 - 2 * place));
        }
        place = (place + 1) % 4;
      }
    }
    if (place == 1) {
      throw new Malformed("must be base64");
    }
    return bytes.toByteArray();
  }

  private static int sextet(char unit) {
    if (unit >= 'A' && unit <= 'Z') {
      return unit - 'A';
    }
    if (unit >= 'a' && unit <= 'z') {
      return unit - 'a' + 26;
    }
    if (unit >= '0' && unit <= '9') {
      return unit - '0' + 52;
    }
    return switch (unit) {
      case '+', '-' -> 62;
      case '/', '_' -> 63;
      default -> throw new Malformed("must be base64");
    };
  }

  private static BigInteger whole(Object json) {
    if (json instanceof Double value && !value.isInfinite() && value == Math.rint(value)) {
      return new BigDecimal(value).toBigIntegerExact();
    }
    if (json instanceof String text && !text.isEmpty()) {
      String trimmed = trim(text);
      if (trimmed.isEmpty()) {
        return BigInteger.ZERO;
      }
      if (WHOLE.matcher(trimmed).matches() && trimmed.length() <= MOST_DIGITS) {
        return new BigInteger(trimmed.startsWith("+") ? trimmed.substring(1) : trimmed);
      }
      if (PREFIXED.matcher(trimmed).matches() && trimmed.length() <= MOST_DIGITS) {
        return prefixed(trimmed);
      }
    }
    throw new Malformed("must be a whole number");
  }

  private static double number(Object json) {
    if (json instanceof Double value) {
      return value;
    }
    throw new Malformed("must be a number");
  }

  /** A number, as ECMAScript reads text without space around it. */
  private static double number(String text) {
    if (DECIMAL.matcher(text).matches()) {
      return Double.parseDouble(text);
    }
    if (PREFIXED.matcher(text).matches() && text.length() <= MOST_DIGITS) {
      return prefixed(text).doubleValue();
    }
    throw new Malformed("must be a number");
  }

  private static BigInteger prefixed(String text) {
    int radix =
        switch (text.charAt(1)) {
          case 'x', 'X' -> 16;
          case 'o', 'O' -> 8;
          default -> 2;
        };
    return new BigInteger(text.substring(2), radix);
  }

  private static double finite(double value) {
    if (Double.isInfinite(value)) {
      throw new Malformed("must be a number that a double holds, or \"Infinity\"");
    }
    return value;
  }

  private static boolean isTrimmed(String text) {
    return !text.isEmpty() && trim(text).length() == text.length();
  }

  /** Text trimmed as ECMAScript trims. */
  private static String trim(String text) {
    int start = 0;
    int end = text.length();
    while (start < end && isSpace(text.charAt(start))) {
      start++;
    }
    while (start < end && isSpace(text.charAt(end - 1))) {
      end--;
    }
    return text.substring(start, end);
  }

  private static boolean isSpace(char unit) {
    return unit >= '\t' && unit <= '\r'
        || Character.getType(unit) == Character.SPACE_SEPARATOR
        || unit == '\u2028'
        || unit == '\u2029'
        || unit == '\ufeff';
  }
}
