package dev.fluo.kms.internal;

import java.security.GeneralSecurityException;
import java.util.Arrays;
import javax.crypto.Mac;
import javax.crypto.SecretKey;

/** The second half of HKDF (RFC 5869, 2.3) with SHA-512: for a key that is uniformly random already. */
public final class HkdfExpand {
  private static final String HMAC = "HmacSHA512";
  private static final int HASH_BYTES = 64;
  private static final int MOST_BYTES = 255 * HASH_BYTES;

  private HkdfExpand() {}

  /** Returns {@code length} bytes for the parts of the info, one behind the other. The caller overwrites them. */
  public static byte[] sha512(SecretKey key, int length, byte[]... info) {
    if (length > MOST_BYTES) {
      throw new IllegalArgumentException("HKDF gives at most " + MOST_BYTES + " bytes");
    }
    byte[] output = new byte[length];
    byte[] block = new byte[0];
    try {
      Mac mac = Mac.getInstance(HMAC);
      mac.init(key);
      int at = 0;
      for (int number = 1; at < length; number++) {
        mac.update(block);
        for (byte[] part : info) {
          mac.update(part);
        }
        mac.update((byte) number);
        Arrays.fill(block, (byte) 0);
        block = mac.doFinal();
        int taken = Math.min(HASH_BYTES, length - at);
        System.arraycopy(block, 0, output, at, taken);
        at += taken;
      }
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
    Arrays.fill(block, (byte) 0);
    return output;
  }
}
