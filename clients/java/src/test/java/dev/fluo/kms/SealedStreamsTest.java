package dev.fluo.kms;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.fluo.kms.testing.FakeKms;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SealedStreamsTest {
  private static final Map<String, String> CONTEXT = Map.of("upload", "größer");
  private static final int HEAD_BYTES = 1024;

  @AutoClose private final FakeKms fake = FakeKms.start();
  private final KmsClient kms = fake.client();

  @TempDir Path folder;

  @Test
  void opensWhatItSealedAtEachBorderAsStreamAsBytesAndAsFile() throws Exception {
    for (int length : new int[] {0, 1, 16_383, 16_384, 16_385, 32_768, 100_000}) {
      byte[] plain = plaintext(length);
      ByteArrayOutputStream sealed = new ByteArrayOutputStream();
      SealedFiles.sealStream(kms, "acme", new OddPieces(plain), sealed, CONTEXT);
      assertArrayEquals(plain, SealedFiles.openBytes(kms, "acme", sealed.toByteArray(), CONTEXT));
      byte[] bytes = SealedFiles.sealBytes(kms, "acme", plain, CONTEXT);
      ByteArrayOutputStream opened = new ByteArrayOutputStream();
      SealedFiles.openStream(kms, "acme", new OddPieces(bytes), opened, CONTEXT);
      assertArrayEquals(plain, opened.toByteArray());
      Path from = Files.write(folder.resolve("sealed"), bytes);
      SealedFiles.open(kms, "acme", from, folder.resolve("opened"), CONTEXT);
      assertArrayEquals(plain, Files.readAllBytes(folder.resolve("opened")));
    }
  }

  @Test
  void givesBytesWholeOrNotAtAll() throws Exception {
    byte[] plain = plaintext(40_000);
    byte[] sealed = SealedFiles.sealBytes(kms, "acme", plain);
    assertArrayEquals(plain, SealedFiles.openBytes(kms, "acme", sealed));
    byte[] cut = Arrays.copyOf(sealed, sealed.length - 1);
    byte[] changed = sealed.clone();
    changed[sealed.length - 1] ^= 1;
    byte[] longer = Arrays.copyOf(sealed, sealed.length + 1);
    for (byte[] wrong : List.of(cut, changed, longer, new byte[0])) {
      assertThrows(SealedFileException.class, () -> SealedFiles.openBytes(kms, "acme", wrong));
    }
    assertThrows(SealedFileException.class, () -> SealedFiles.openBytes(kms, "globex", sealed));
    assertThrows(SealedFileException.class, () -> SealedFiles.openBytes(kms, "acme", sealed, CONTEXT));
  }

  @Test
  void tellsHowASourceFailsAndLeavesNothingThatOpens() {
    IOException broken = new IOException("the source broke");
    for (int length : new int[] {0, 16_384, 20_000, 32_768}) {
      InputStream source =
          new FilterInputStream(new ByteArrayInputStream(plaintext(length))) {
            @Override
            public int read(byte[] into, int at, int most) throws IOException {
              int read = super.read(into, at, most);
              if (read < 0) {
                throw broken;
              }
              return read;
            }
          };
      ByteArrayOutputStream sealed = new ByteArrayOutputStream();
      IOException told =
          assertThrows(IOException.class, () -> SealedFiles.sealStream(kms, "acme", source, sealed));
      assertSame(broken, told);
      assertThrows(SealedFileException.class, () -> SealedFiles.openBytes(kms, "acme", sealed.toByteArray()));
    }
  }

  @Test
  void tellsHowASinkFailsAndClosesNeither() throws Exception {
    IOException full = new IOException("the sink is full");
    Closes closes = new Closes();
    InputStream source =
        new FilterInputStream(new ByteArrayInputStream(plaintext(50_000))) {
          @Override
          public void close() {
            closes.count++;
          }
        };
    ByteArrayOutputStream kept = new ByteArrayOutputStream();
    OutputStream sink =
        new OutputStream() {
          @Override
          public void write(int one) throws IOException {
            write(new byte[] {(byte) one}, 0, 1);
          }

          @Override
          public void write(byte[] bytes, int at, int length) throws IOException {
            if (kept.size() + length > 20_000) {
              throw full;
            }
            kept.write(bytes, at, length);
          }

          @Override
          public void close() {
            closes.count++;
          }
        };
    assertSame(
        full, assertThrows(IOException.class, () -> SealedFiles.sealStream(kms, "acme", source, sink)));
    assertEquals(0, closes.count);
    assertThrows(SealedFileException.class, () -> SealedFiles.openBytes(kms, "acme", kept.toByteArray()));
  }

  /** Reads 64 MiB, and holds nothing but how far what was read is ahead of what was written. */
  @Test
  void neverReadsFarAheadOfWhatItWrites() throws Exception {
    long length = 64L << 20;
    long[] read = {0};
    long[] written = {0};
    InputStream source =
        new InputStream() {
          @Override
          public int read() {
            throw new AssertionError("reads in pieces");
          }

          @Override
          public int read(byte[] into, int at, int most) {
            int given = (int) Math.min(most, length - read[0]);
            read[0] += given;
            assertTrue(read[0] - written[0] <= 2 * 16_384, "is ahead by " + (read[0] - written[0]));
            return given == 0 ? -1 : given;
          }
        };
    OutputStream sink =
        new OutputStream() {
          @Override
          public void write(int one) {
            written[0]++;
          }

          @Override
          public void write(byte[] bytes, int at, int most) {
            assertTrue(most <= 16_384 + 16, "writes " + most + " bytes at once");
            written[0] += most;
          }
        };
    SealedFiles.sealStream(kms, "acme", source, sink);
    assertTrue(written[0] > length && written[0] < length + length / 1024 + HEAD_BYTES);
  }

  private static final class Closes {
    private int count;
  }

  /** Gives 1, 2, 3, … bytes at once. */
  private static final class OddPieces extends FilterInputStream {
    private int most;

    OddPieces(byte[] bytes) {
      super(new ByteArrayInputStream(bytes));
    }

    @Override
    public int read(byte[] into, int at, int length) throws IOException {
      most = most % 997 + 1;
      return super.read(into, at, Math.min(most, length));
    }
  }

  private static byte[] plaintext(int length) {
    byte[] plaintext = new byte[length];
    for (int i = 0; i < length; i++) {
      plaintext[i] = (byte) (31 * i + i / 251);
    }
    return plaintext;
  }
}
