package dev.fluo.kms.internal;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Arrays;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;

/**
 * Cobblestone-256: C2SP chunked-encryption (https://c2sp.org/chunked-encryption) with SHA-512 and AES-256-GCM. {@code
 * salt (24) ‖ commitment (32) ‖ chunks}, each chunk 16 KiB of plaintext and a tag, the last one always shorter and
 * perhaps empty: that is what marks the end.
 */
public final class Cobblestone implements AutoCloseable {
  public static final int SALT_BYTES = 24;
  public static final int COMMITMENT_BYTES = 32;
  public static final int CHUNK_BYTES = 16_384;
  public static final int TAG_BYTES = 16;
  public static final int SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES;
  public static final int KEY_BYTES = 32;

  private static final int NONCE_BYTES = 12;
  private static final long MOST_CHUNKS = (1L << 32) - 1;
  private static final byte[] LABEL =
      "c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0".getBytes(StandardCharsets.US_ASCII);

  private final SecretBytes messageKey;
  private final byte[] baseNonce;
  private final byte[] commitment;
  private final Cipher cipher;
  private long chunks;

  /**
   * @param inputKey 32 uniformly random bytes, which the caller overwrites
   * @param salt 24 bytes; one that repeats under an input key gives the plaintexts away
   * @param context is authenticated, one part behind the other
   */
  public Cobblestone(byte[] inputKey, byte[] salt, byte[]... context) {
    if (inputKey.length != KEY_BYTES || salt.length != SALT_BYTES) {
      throw new IllegalArgumentException("an input key has 32 bytes and a salt 24");
    }
    byte[][] info = new byte[2 + context.length][];
    info[0] = LABEL;
    info[1] = salt;
    System.arraycopy(context, 0, info, 2, context.length);
    try (SecretBytes key = new SecretBytes("HmacSHA512", inputKey.clone())) {
      byte[] derived = HkdfExpand.sha512(key, KEY_BYTES + NONCE_BYTES + COMMITMENT_BYTES, info);
      messageKey = new SecretBytes("AES", Arrays.copyOf(derived, KEY_BYTES));
      baseNonce = Arrays.copyOfRange(derived, KEY_BYTES, KEY_BYTES + NONCE_BYTES);
      commitment = Arrays.copyOfRange(derived, KEY_BYTES + NONCE_BYTES, derived.length);
      Arrays.fill(derived, (byte) 0);
      cipher = Cipher.getInstance("AES/GCM/NoPadding");
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Returns the commitment to key and context, which is before the chunks. */
  public byte[] commitment() {
    return commitment.clone();
  }

  /** Compares in constant time. */
  public boolean isCommittedTo(byte[] other) {
    return MessageDigest.isEqual(commitment, other);
  }

  /** Seals the next chunk, of at most 16 KiB. Returns how many bytes are in {@code sealed} then. */
  public int seal(byte[] chunk, int length, byte[] sealed) {
    try {
      cipher.init(Cipher.ENCRYPT_MODE, messageKey, nextNonce());
      return cipher.doFinal(chunk, 0, length, sealed, 0);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Opens the next chunk. Returns how many bytes are in {@code chunk} then.
   *
   * @throws GeneralSecurityException if it is not authentic
   */
  public int open(byte[] sealed, int length, byte[] chunk) throws GeneralSecurityException {
    cipher.init(Cipher.DECRYPT_MODE, messageKey, nextNonce());
    return cipher.doFinal(sealed, 0, length, chunk, 0);
  }

  /** The base nonce XOR the chunk's number, big-endian. */
  private GCMParameterSpec nextNonce() {
    if (chunks == MOST_CHUNKS) {
      throw new IllegalStateException("a message has at most 2^32 - 1 chunks");
    }
    byte[] nonce = baseNonce.clone();
    for (int i = 0; i < Long.BYTES; i++) {
      nonce[NONCE_BYTES - 1 - i] ^= (byte) (chunks >>> (8 * i));
    }
    chunks++;
    return new GCMParameterSpec(8 * TAG_BYTES, nonce);
  }

  @Override
  public void close() {
    messageKey.close();
    Arrays.fill(baseNonce, (byte) 0);
  }
}
