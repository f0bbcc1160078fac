package dev.fluo.kms;

import com.google.protobuf.ByteString;
import dev.fluo.kms.v1.DecryptDataKeyRequest;
import dev.fluo.kms.v1.GenerateDataKeyRequest;
import dev.fluo.kms.v1.GenerateDataKeyResponse;
import dev.fluo.kms.v1.KeySpec;
import io.grpc.StatusRuntimeException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;

/**
 * Files, streams and bytes that are encrypted here under a data key of their own, which the service alone can open. All
 * have one format: what one of them seals, each other opens. Memory of files and streams is that of a chunk of 16 KiB,
 * whatever their length.
 *
 * <pre>{@code
 * Map<String, String> context = Map.of("customer", "4711");
 * SealedFiles.seal(kms, "acme", Path.of("report.pdf"), Path.of("report.sealed"), context);
 * SealedFiles.open(kms, "acme", Path.of("report.sealed"), Path.of("report.pdf"), context);
 * }</pre>
 *
 * <p>An encryption context is non-secret pairs that must be given again to open: at most 16, and 4 KiB. Calls of the
 * service, one a file, fail with {@link StatusRuntimeException}.
 */
public final class SealedFiles {
  private static final String CIPHERTEXT_REJECTED = "CIPHERTEXT_REJECTED";

  private SealedFiles() {}

  /** {@link #seal(Kms, String, Path, Path, Map)} without an encryption context. */
  public static void seal(Kms kms, String tenant, Path from, Path to) throws IOException {
    seal(kms, tenant, from, to, Map.of());
  }

  /**
   * Seals a file. {@code to} is replaced once all is written, and is its owner's alone (mode 0600).
   *
   * @param context non-secret pairs that must be given again to open: at most 16, and 4 KiB
   * @throws IOException if a file cannot be read or written; {@code to} is then as it was
   */
  public static void seal(Kms kms, String tenant, Path from, Path to, Map<String, String> context)
      throws IOException {
    try (InputStream in = Files.newInputStream(from)) {
      withNewKey(kms, tenant, context, (key, blob) -> ReplacedFile.write(to, out -> FileSeal.seal(key, blob, in, out)));
    }
  }

  /** {@link #open(Kms, String, Path, Path, Map)} without an encryption context. */
  public static void open(Kms kms, String tenant, Path from, Path to) throws IOException {
    open(kms, tenant, from, to, Map.of());
  }

  /**
   * Opens a file that was sealed. {@code to} is replaced once all is authentic, and is its owner's alone (mode 0600).
   *
   * @param context exactly the pairs with which it was sealed
   * @throws SealedFileException if the file is not what was sealed; {@code to} is then as it was
   * @throws IOException if a file cannot be read or written; {@code to} is then as it was
   */
  public static void open(Kms kms, String tenant, Path from, Path to, Map<String, String> context)
      throws IOException {
    try (InputStream in = Files.newInputStream(from)) {
      withKeyOf(in, kms, tenant, context, (key, blob) -> ReplacedFile.write(to, out -> FileSeal.open(key, blob, in, out)));
    }
  }

  /** {@link #sealStream(Kms, String, InputStream, OutputStream, Map)} without an encryption context. */
  public static void sealStream(Kms kms, String tenant, InputStream from, OutputStream to) throws IOException {
    sealStream(kms, tenant, from, to, Map.of());
  }

  /**
   * Seals a stream to its end. If it throws, what was written is no sealed file and never opens, for its last chunk is
   * missing.
   *
   * @param from is read to its end and not closed
   * @param to gets at most 16 KiB and 16 bytes at once, and is neither flushed nor closed
   * @param context non-secret pairs that must be given again to open: at most 16, and 4 KiB
   * @throws IOException if a stream fails, as it failed
   */
  public static void sealStream(
      Kms kms, String tenant, InputStream from, OutputStream to, Map<String, String> context) throws IOException {
    withNewKey(kms, tenant, context, (key, blob) -> FileSeal.seal(key, blob, from, to));
  }

  /** {@link #openStream(Kms, String, InputStream, OutputStream, Map)} without an encryption context. */
  public static void openStream(Kms kms, String tenant, InputStream from, OutputStream to) throws IOException {
    openStream(kms, tenant, from, to, Map.of());
  }

  /**
   * Opens a stream that was sealed. Each chunk is written once it is authentic, so what is written is a beginning of the
   * plaintext; only when this returns is it all of it. <b>What was written before it throws is void</b>:
   *
   * <pre>{@code
   * ByteArrayOutputStream out = new ByteArrayOutputStream();
   * SealedFiles.openStream(kms, "acme", in, out);
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
      Kms kms, String tenant, InputStream from, OutputStream to, Map<String, String> context) throws IOException {
    withKeyOf(from, kms, tenant, context, (key, blob) -> FileSeal.open(key, blob, from, to));
  }

  /** {@link #sealBytes(Kms, String, byte[], Map)} without an encryption context. */
  public static byte[] sealBytes(Kms kms, String tenant, byte[] data) {
    return sealBytes(kms, tenant, data, Map.of());
  }

  /**
   * Returns bytes sealed: what a file of them is sealed to. It is longer by a quarter of a KiB, and by 16 bytes for each
   * 16 KiB.
   *
   * @param context non-secret pairs that must be given again to open: at most 16, and 4 KiB
   */
  public static byte[] sealBytes(Kms kms, String tenant, byte[] data, Map<String, String> context) {
    ByteArrayOutputStream sealed = new ByteArrayOutputStream(data.length + data.length / 1024 + 1024);
    try {
      sealStream(kms, tenant, new ByteArrayInputStream(data), sealed, context);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return sealed.toByteArray();
  }

  /** {@link #openBytes(Kms, String, byte[], Map)} without an encryption context. */
  public static byte[] openBytes(Kms kms, String tenant, byte[] sealed) throws SealedFileException {
    return openBytes(kms, tenant, sealed, Map.of());
  }

  /**
   * Returns what bytes were sealed of, once all of it is authentic.
   *
   * @param context exactly the pairs with which they were sealed
   * @throws SealedFileException if they are not what was sealed
   */
  public static byte[] openBytes(Kms kms, String tenant, byte[] sealed, Map<String, String> context)
      throws SealedFileException {
    ByteArrayOutputStream opened = new ByteArrayOutputStream(sealed.length);
    try {
      openStream(kms, tenant, new ByteArrayInputStream(sealed), opened, context);
    } catch (SealedFileException e) {
      throw e;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return opened.toByteArray();
  }

  /** What is done with a data key, which is overwritten afterwards, and its blob. */
  private interface Use {
    void run(byte[] dataKey, byte[] blob) throws IOException;
  }

  private static void withNewKey(Kms kms, String tenant, Map<String, String> context, Use use) throws IOException {
    GenerateDataKeyResponse answer =
        kms.generateDataKey(
            GenerateDataKeyRequest.newBuilder()
                .setTenantId(tenant)
                .setKeySpec(KeySpec.KEY_SPEC_AES_256)
                .putAllEncryptionContext(context)
                .build());
    byte[] dataKey = answer.getPlaintext().toByteArray();
    try {
      use.run(dataKey, answer.getCiphertextBlob().toByteArray());
    } finally {
      Arrays.fill(dataKey, (byte) 0);
    }
  }

  private static void withKeyOf(InputStream from, Kms kms, String tenant, Map<String, String> context, Use use)
      throws IOException {
    byte[] blob = FileSeal.readBlob(from);
    byte[] dataKey = dataKey(kms, tenant, blob, context);
    try {
      use.run(dataKey, blob);
    } finally {
      Arrays.fill(dataKey, (byte) 0);
    }
  }

  private static byte[] dataKey(Kms kms, String tenant, byte[] blob, Map<String, String> context)
      throws SealedFileException {
    try {
      return kms.decryptDataKey(
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
