package dev.fluo.kms.verify;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A public key as C2SP signed-note writes it for verifiers: {@code <name>+<key id>+<base64 of 0x01 ‖ key>}.
 *
 * @param name by which the key signs notes: the origin of a log
 * @param publicKey 32 bytes, Ed25519
 */
record VerifierKey(String name, byte[] publicKey) {
  private static final byte ED25519 = 1;
  private static final Pattern FORM = Pattern.compile("([^+]+)\\+[0-9a-f]{8}\\+(.+)");
  private static final Pattern NAME =
      Pattern.compile("[^\\p{IsWhite_Space}+]+", Pattern.UNICODE_CHARACTER_CLASS);

  /** Returns null for text that {@link #text} cannot have written: other algorithms too. */
  static VerifierKey parse(String text) {
    // Base64 may hold a + too.
    Matcher parts = FORM.matcher(text);
    byte[] bytes = parts.matches() ? Base64Text.decode(parts.group(2)) : null;
    if (bytes == null || bytes.length != 1 + Ed25519.KEY_BYTES || !isName(parts.group(1))) {
      return null;
    }
    VerifierKey key = new VerifierKey(parts.group(1), Arrays.copyOfRange(bytes, 1, bytes.length));
    return key.text().equals(text) ? key : null;
  }

  /** Not empty, without spaces and +. */
  static boolean isName(String name) {
    return NAME.matcher(name).matches();
  }

  private String text() {
    return name + "+" + id() + "+" + Base64.getEncoder().encodeToString(encoded());
  }

  /** The four bytes, in hex, that tell a name's keys apart in a note: an identifier, not a commitment. */
  String id() {
    return HexFormat.of().formatHex(Sha256.of((name + "\n").getBytes(StandardCharsets.UTF_8), encoded()), 0, 4);
  }

  private byte[] encoded() {
    byte[] encoded = new byte[1 + publicKey.length];
    encoded[0] = ED25519;
    System.arraycopy(publicKey, 0, encoded, 1, publicKey.length);
    return encoded;
  }
}
