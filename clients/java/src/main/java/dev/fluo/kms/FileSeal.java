package dev.fluo.kms;

import dev.fluo.kms.internal.Cobblestone;
import dev.fluo.kms.internal.HkdfExpand;
import dev.fluo.kms.internal.SecretBytes;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.Arrays;

/**
 * The format of sealed files: {@code fluo-kms/file/v1\n}, the length of the data key's {@code ciphertext_blob} in two
 * bytes, big-endian, the blob, and the file by Cobblestone-256, whose context is all that is before it. Its input key is
 * HKDF-Expand-SHA-512 of the data key, which is never used as it is. Memory is that of a chunk.
 */
final class FileSeal {
  static final int MOST_BLOB_BYTES = 1024;
  private static final byte[] MAGIC = "fluo-kms/file/v1\n".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] USE = "fluo-kms/client/v1/file".getBytes(StandardCharsets.US_ASCII);
  private static final SecureRandom RANDOM = new SecureRandom();

  private FileSeal() {}

  /** Seals all of {@code from}. The caller overwrites the data key. */
  static void seal(byte[] dataKey, byte[] blob, InputStream from, OutputStream to) throws IOException {
    byte[] head = head(blob);
    byte[] salt = new byte[Cobblestone.SALT_BYTES];
    RANDOM.nextBytes(salt);
    byte[] chunk = new byte[Cobblestone.CHUNK_BYTES];
    byte[] sealed = new byte[Cobblestone.SEALED_CHUNK_BYTES];
    try (Cobblestone message = message(dataKey, salt, head)) {
      to.write(head);
      to.write(salt);
      to.write(message.commitment());
      int length;
      do {
        length = from.readNBytes(chunk, 0, chunk.length);
        to.write(sealed, 0, message.seal(chunk, length, sealed));
      } while (length == chunk.length);
    } finally {
      Arrays.fill(chunk, (byte) 0);
    }
  }

  /** Reads what is before the ciphertext; returns the blob. Throws SealedFileException for another format. */
  static byte[] readBlob(InputStream from) throws IOException {
    byte[] magic = exactly(from, MAGIC.length);
    byte[] length = exactly(from, 2);
    int bytes = (length[0] & 0xff) << 8 | length[1] & 0xff;
    if (!Arrays.equals(magic, MAGIC) || bytes == 0 || bytes > MOST_BLOB_BYTES) {
      throw new SealedFileException();
    }
    return exactly(from, bytes);
  }

  /**
   * Opens what is behind the blob, to the stream's end. What was written when it throws may be the beginning of the file,
   * and is never anything else.
   */
  static void open(byte[] dataKey, byte[] blob, InputStream from, OutputStream to) throws IOException {
    byte[] salt = exactly(from, Cobblestone.SALT_BYTES);
    byte[] commitment = exactly(from, Cobblestone.COMMITMENT_BYTES);
    byte[] sealed = new byte[Cobblestone.SEALED_CHUNK_BYTES];
    byte[] chunk = new byte[Cobblestone.SEALED_CHUNK_BYTES];
    try (Cobblestone message = message(dataKey, salt, head(blob))) {
      if (!message.isCommittedTo(commitment)) {
        throw new SealedFileException();
      }
      int length;
      do {
        length = from.readNBytes(sealed, 0, sealed.length);
        if (length < Cobblestone.TAG_BYTES) {
          throw new SealedFileException();
        }
        to.write(chunk, 0, message.open(sealed, length, chunk));
      } while (length == sealed.length);
    } catch (GeneralSecurityException e) {
      throw new SealedFileException();
    } finally {
      Arrays.fill(chunk, (byte) 0);
    }
  }

  private static Cobblestone message(byte[] dataKey, byte[] salt, byte[] head) {
    try (SecretBytes key = new SecretBytes("HmacSHA512", dataKey.clone())) {
      byte[] inputKey = HkdfExpand.sha512(key, Cobblestone.KEY_BYTES, USE);
      try {
        return new Cobblestone(inputKey, salt, head);
      } finally {
        Arrays.fill(inputKey, (byte) 0);
      }
    }
  }

  private static byte[] head(byte[] blob) {
    if (blob.length == 0 || blob.length > MOST_BLOB_BYTES) {
      throw new IllegalArgumentException("a data key's ciphertext_blob has 1 to " + MOST_BLOB_BYTES + " bytes");
    }
    ByteArrayOutputStream head = new ByteArrayOutputStream();
    head.writeBytes(MAGIC);
    head.write(blob.length >>> 8);
    head.write(blob.length);
    head.writeBytes(blob);
    return head.toByteArray();
  }

  private static byte[] exactly(InputStream from, int length) throws IOException {
    try {
      byte[] bytes = from.readNBytes(length);
      if (bytes.length == length) {
        return bytes;
      }
    } catch (EOFException e) {
      // Some streams say so in this way.
    }
    throw new SealedFileException();
  }
}
