package dev.fluo.kms;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(300)
class SealedFilesTest {
  @TempDir Path folder;

  @Test
  void opensTheVectors() throws Exception {
    JsonObject vectors = Vectors.read("file/files.json").getAsJsonObject();
    for (JsonElement each : vectors.getAsJsonArray("files")) {
      JsonObject vector = each.getAsJsonObject();
      byte[] sealed = Vectors.base64(vector, "sealed");
      assertArrayEquals(plaintext(vector.get("length").getAsInt()), open(vectors, sealed, new ByteArrayOutputStream()));
    }
  }

  @Test
  void refusesWhatWasChangedAndDeliversAuthenticBeginningsAlone() throws Exception {
    JsonObject vectors = Vectors.read("file/files.json").getAsJsonObject();
    Map<String, byte[]> files = new HashMap<>();
    for (JsonElement each : vectors.getAsJsonArray("files")) {
      JsonObject file = each.getAsJsonObject();
      files.put(Vectors.text(file, "length"), Vectors.base64(file, "sealed"));
    }
    for (JsonElement each : vectors.getAsJsonArray("refused")) {
      JsonObject vector = each.getAsJsonObject();
      byte[] changed = parts(vector.getAsJsonArray("parts"), files.get(Vectors.text(vector, "of")));
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      String name = Vectors.text(vector, "name");
      assertThrows(SealedFileException.class, () -> open(vectors, changed, out), name);
      int most = vector.has("authentic") ? vector.get("authentic").getAsInt() : 0;
      assertTrue(out.size() <= most, name);
      assertArrayEquals(plaintext(out.size()), out.toByteArray(), name);
    }
  }

  @Test
  void opensWhatItSealedAtEachBorder() throws Exception {
    byte[] dataKey = new byte[32];
    byte[] blob = {1, 2, 3};
    for (int length : new int[] {0, 1, 16_383, 16_384, 16_385, 32_768, 100_000}) {
      ByteArrayOutputStream sealed = new ByteArrayOutputStream();
      FileSeal.seal(dataKey, blob, new ByteArrayInputStream(plaintext(length)), sealed);
      InputStream in = new ByteArrayInputStream(sealed.toByteArray());
      assertArrayEquals(blob, FileSeal.readBlob(in));
      ByteArrayOutputStream opened = new ByteArrayOutputStream();
      FileSeal.open(dataKey, blob, in, opened);
      assertArrayEquals(plaintext(length), opened.toByteArray());
    }
  }

  @Test
  void sealsAndOpensByTheServiceAndLeavesNothingOnFailure() throws Exception {
    Map<String, String> context = Map.of("customer", "4711");
    Path plain = Files.write(folder.resolve("plain"), plaintext(50_000));
    Path sealed = folder.resolve("sealed");
    Path opened = folder.resolve("opened");
    try (TestService service = TestService.start();
        KmsClient client = service.client()) {
      SealedFiles.seal(client, "acme", plain, sealed, context);
      Files.writeString(opened, "before");
      SealedFiles.open(client, "acme", sealed, opened, context);
      assertArrayEquals(plaintext(50_000), Files.readAllBytes(opened));
      assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(opened)));

      Files.writeString(opened, "before");
      assertThrows(
          SealedFileException.class, () -> SealedFiles.open(client, "acme", sealed, opened, Map.of("customer", "1")));
      assertThrows(SealedFileException.class, () -> SealedFiles.open(client, "acme", sealed, opened));
      assertThrows(SealedFileException.class, () -> SealedFiles.open(client, "globex", sealed, opened, context));
      byte[] bytes = Files.readAllBytes(sealed);
      Path cut = Files.write(folder.resolve("cut"), Arrays.copyOf(bytes, bytes.length - 1));
      assertThrows(SealedFileException.class, () -> SealedFiles.open(client, "acme", cut, opened, context));
      assertEquals("before", Files.readString(opened));

      ByteArrayOutputStream stream = new ByteArrayOutputStream();
      SealedFiles.openStream(client, "acme", new ByteArrayInputStream(bytes), stream, context);
      assertArrayEquals(plaintext(50_000), stream.toByteArray());
      try (Stream<Path> files = Files.list(folder)) {
        assertEquals(4, files.count());
      }
    }
  }

  private static byte[] open(JsonObject vectors, byte[] sealed, ByteArrayOutputStream out) throws IOException {
    InputStream in = new ByteArrayInputStream(sealed);
    byte[] blob = FileSeal.readBlob(in);
    FileSeal.open(Vectors.base64(vectors, "dataKey"), blob, in, out);
    return out.toByteArray();
  }

  private static byte[] parts(JsonArray parts, byte[] file) throws IOException {
    ByteArrayOutputStream joined = new ByteArrayOutputStream();
    for (JsonElement part : parts) {
      if (part.isJsonArray()) {
        int start = part.getAsJsonArray().get(0).getAsInt();
        joined.write(file, start, part.getAsJsonArray().get(1).getAsInt() - start);
      } else {
        joined.writeBytes(Base64.getDecoder().decode(part.getAsString()));
      }
    }
    return joined.toByteArray();
  }

  private static byte[] plaintext(int length) {
    byte[] plaintext = new byte[length];
    for (int i = 0; i < length; i++) {
      plaintext[i] = (byte) (31 * i + i / 251);
    }
    return plaintext;
  }
}
