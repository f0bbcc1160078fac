package dev.fluo.kms;

import com.google.protobuf.ByteString;
import dev.fluo.kms.v1.DecryptDataKeyRequest;
import dev.fluo.kms.v1.GenerateDataKeyRequest;
import dev.fluo.kms.v1.GenerateDataKeyResponse;
import dev.fluo.kms.v1.KeySpec;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;

/**
 * Files that are encrypted here under a data key of their own, which the service alone can open. Memory is that of a
 * chunk of 16 KiB, whatever the file's size.
 *
 * <pre>{@code
 * Map<String, String> context = Map.of("customer", "4711");
 * SealedFiles.seal(client, "acme", Path.of("report.pdf"), Path.of("report.sealed"), context);
 * SealedFiles.open(client, "acme", Path.of("report.sealed"), Path.of("report.pdf"), context);
 * }</pre>
 *
 * <p>Calls of the service fail with {@link StatusRuntimeException}.
 */
public final class SealedFiles {
  private static final String CIPHERTEXT_REJECTED = "CIPHERTEXT_REJECTED";

  private SealedFiles() {}

  /** {@link #seal(KmsClient, String, Path, Path, Map)} without an encryption context. */
  public static void seal(KmsClient client, String tenant, Path from, Path to) throws IOException {
    seal(client, tenant, from, to, Map.of());
  }

  /**
   * Seals a file. {@code to} is replaced once all is written, and is its owner's alone (mode 0600).
   *
   * @param context non-secret pairs that must be given again to open: at most 16, and 4 KiB
   * @throws IOException if a file cannot be read or written; {@code to} is then as it was
   */
  public static void seal(KmsClient client, String tenant, Path from, Path to, Map<String, String> context)
      throws IOException {
    try (InputStream in = Files.newInputStream(from)) {
      GenerateDataKeyResponse answer =
          client
              .kms()
              .generateDataKey(
                  GenerateDataKeyRequest.newBuilder()
                      .setTenantId(tenant)
                      .setKeySpec(KeySpec.KEY_SPEC_AES_256)
                      .putAllEncryptionContext(context)
                      .build());
      byte[] dataKey = answer.getPlaintext().toByteArray();
      try {
        byte[] blob = answer.getCiphertextBlob().toByteArray();
        ReplacedFile.write(to, out -> FileSeal.seal(dataKey, blob, in, out));
      } finally {
        Arrays.fill(dataKey, (byte) 0);
      }
    }
  }

  /** {@link #open(KmsClient, String, Path, Path, Map)} without an encryption context. */
  public static void open(KmsClient client, String tenant, Path from, Path to) throws IOException {
    open(client, tenant, from, to, Map.of());
  }

  /**
   * Opens a file that was sealed. {@code to} is replaced once all is authentic, and is its owner's alone (mode 0600).
   *
   * @param context exactly the pairs with which it was sealed
   * @throws SealedFileException if the file is not what was sealed; {@code to} is then as it was
   * @throws IOException if a file cannot be read or written; {@code to} is then as it was
   */
  public static void open(KmsClient client, String tenant, Path from, Path to, Map<String, String> context)
      throws IOException {
    try (InputStream in = Files.newInputStream(from)) {
      byte[] blob = FileSeal.readBlob(in);
      byte[] dataKey = dataKey(client, tenant, blob, context);
      try {
        ReplacedFile.write(to, out -> FileSeal.open(dataKey, blob, in, out));
      } finally {
        Arrays.fill(dataKey, (byte) 0);
      }
    }
  }

  /** {@link #openStream(KmsClient, String, InputStream, OutputStream, Map)} without an encryption context. */
  public static void openStream(KmsClient client, String tenant, InputStream from, OutputStream to)
      throws IOException {
    openStream(client, tenant, from, to, Map.of());
  }

  /**
   * Opens a stream that was sealed as a file. Each chunk is written once it is authentic, so what is written is a
   * beginning of the plaintext; only when this returns is it all of it. <b>What was written before it throws is void</b>:
   *
   * <pre>{@code
   * ByteArrayOutputStream out = new ByteArrayOutputStream();
   * SealedFiles.openStream(client, "acme", in, out);
   * use(out.toByteArray()); // Not before: the end of the stream may be missing.
   * }</pre>
   *
   * @param from is read to its end and not closed; give a buffered one
   * @param to is neither flushed nor closed
   * @param context exactly the pairs with which it was sealed
   * @throws SealedFileException if the stream is not what was sealed, or its end is missing
   * @throws IOException if it cannot be read or written
   */
  public static void openStream(
      KmsClient client, String tenant, InputStream from, OutputStream to, Map<String, String> context)
      throws IOException {
    byte[] blob = FileSeal.readBlob(from);
    byte[] dataKey = dataKey(client, tenant, blob, context);
    try {
      FileSeal.open(dataKey, blob, from, to);
    } finally {
      Arrays.fill(dataKey, (byte) 0);
    }
  }

  private static byte[] dataKey(KmsClient client, String tenant, byte[] blob, Map<String, String> context)
      throws SealedFileException {
    try {
      return client
          .kms()
          .decryptDataKey(
              DecryptDataKeyRequest.newBuilder()
                  .setTenantId(tenant)
                  .setCiphertextBlob(ByteString.copyFrom(blob))
                  .putAllEncryptionContext(context)
                  .build())
          .getPlaintext()
          .toByteArray();
    } catch (StatusRuntimeException e) {
      if (ErrorDetails.of(e).reason().equals(CIPHERTEXT_REJECTED)) {
        throw new SealedFileException();
      }
      throw e;
    }
  }
}
