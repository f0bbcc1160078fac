package dev.fluo.kms.verify;

import java.nio.charset.StandardCharsets;
import java.util.Base64;

/** Base64 (RFC 4648) in its canonical spelling, the only one that encodes back. Java's decoders take others too. */
final class Base64Text {
  private Base64Text() {}

  /** Returns null for text that is not canonical base64 of §4. */
  static byte[] decode(String text) {
    return decode(text, Base64.getDecoder(), Base64.getEncoder());
  }

  /** Returns null for text that is not canonical base64url of §5, without padding. */
  static byte[] decodeUrl(String text) {
    return decode(text, Base64.getUrlDecoder(), Base64.getUrlEncoder().withoutPadding());
  }

  /** Takes either alphabet, padded or not, as protobuf's JSON does. Returns null where that does not encode back. */
  static byte[] decodeEither(String text) {
    String standard = text.replace('-', '+').replace('_', '/');
    int missing = (4 - standard.length() % 4) % 4;
    return decode(standard.endsWith("=") ? standard : standard + "=".repeat(missing));
  }

  private static byte[] decode(String text, Base64.Decoder decoder, Base64.Encoder encoder) {
    try {
      byte[] bytes = decoder.decode(text.getBytes(StandardCharsets.UTF_8));
      return encoder.encodeToString(bytes).equals(text) ? bytes : null;
    } catch (IllegalArgumentException e) {
      return null;
    }
  }
}
