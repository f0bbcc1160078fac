package dev.fluo.kms.verify;

import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;
import java.util.HexFormat;

/** Ed25519 (RFC 8032) by the JDK. */
final class Ed25519 {
  static final int KEY_BYTES = 32;
  static final int SIGNATURE_BYTES = 64;

  /** What comes before the 32 bytes of a key in a SubjectPublicKeyInfo (RFC 8410). */
  private static final byte[] INFO = HexFormat.of().parseHex("302a300506032b6570032100");

  private Ed25519() {}

  /** Returns whether this is the key's signature over the parts, one behind the other. Another length is not. */
  static boolean verifies(byte[] publicKey, byte[] signature, byte[]... message) {
    if (signature.length != SIGNATURE_BYTES || publicKey.length != KEY_BYTES) {
      return false;
    }
    try {
      Signature verifier = Signature.getInstance("Ed25519");
      verifier.initVerify(key(publicKey));
      for (byte[] part : message) {
        verifier.update(part);
      }
      return verifier.verify(signature);
    } catch (GeneralSecurityException e) {
      // The bytes are no point of the curve, or no signature in form.
      return false;
    }
  }

  private static PublicKey key(byte[] publicKey) throws GeneralSecurityException {
    byte[] encoded = Arrays.copyOf(INFO, INFO.length + KEY_BYTES);
    System.arraycopy(publicKey, 0, encoded, INFO.length, KEY_BYTES);
    return KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(encoded));
  }
}
