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

  private static byte[] decode(String text, Base64.Decoder decoder, Base64.Encoder encoder) {
    try {
      byte[] bytes = decoder.decode(text.getBytes(StandardCharsets.UTF_8));
      return encoder.encodeToString(bytes).equals(text) ? bytes : null;
    } catch (IllegalArgumentException e) {
      return null;
    }
  }
}
