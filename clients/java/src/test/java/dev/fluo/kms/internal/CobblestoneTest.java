package dev.fluo.kms.internal;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.fluo.kms.Vectors;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.InflaterInputStream;
import javax.crypto.Mac;
import org.junit.jupiter.api.Test;

/** Against Wycheproof's vectors. */
class CobblestoneTest {
  @Test
  void agreesWithWycheproof() throws Exception {
    for (JsonObject vector : tests("c2sp_chunked_encryption_aes_256_gcm_test.json")) {
      byte[] sealed =
          new InflaterInputStream(new ByteArrayInputStream(Vectors.hex(vector, "ct"))).readAllBytes();
      byte[] key = Vectors.hex(vector, "key");
      byte[] context = Vectors.hex(vector, "ctx");
      String id = vector.get("tcId").getAsString();
      if (Vectors.text(vector, "result").equals("valid")) {
        byte[] opened = open(key, context, sealed);
        assertEquals(vector.get("msgLength").getAsInt(), opened.length, id);
        byte[] digest = MessageDigest.getInstance("SHA-512").digest(opened);
        assertArrayEquals(Vectors.hex(vector, "msgSha512"), digest, id);
      } else {
        Exception error = assertThrows(Exception.class, () -> open(key, context, sealed), id);
        assertTrue(error instanceof GeneralSecurityException || error instanceof IllegalArgumentException, error::toString);
      }
    }
  }

  @Test
  void expandsAsWycheproofDoes() throws Exception {
    for (JsonObject vector : tests("hkdf_sha512_test.json")) {
      int size = vector.get("size").getAsInt();
      byte[] salt = Vectors.hex(vector, "salt");
      Mac extract = Mac.getInstance("HmacSHA512");
      try (SecretBytes saltKey = new SecretBytes("HmacSHA512", salt.length == 0 ? new byte[64] : salt)) {
        extract.init(saltKey);
        try (SecretBytes key = new SecretBytes("HmacSHA512", extract.doFinal(Vectors.hex(vector, "ikm")))) {
          if (Vectors.text(vector, "result").equals("valid")) {
            byte[] expanded = HkdfExpand.sha512(key, size, Vectors.hex(vector, "info"));
            assertArrayEquals(Vectors.hex(vector, "okm"), expanded, vector.get("tcId").getAsString());
          } else {
            assertThrows(IllegalArgumentException.class, () -> HkdfExpand.sha512(key, size, new byte[0]));
          }
        }
      }
    }
  }

  private static byte[] open(byte[] key, byte[] context, byte[] sealed) throws GeneralSecurityException {
    int head = Cobblestone.SALT_BYTES + Cobblestone.COMMITMENT_BYTES;
    if (sealed.length < head) {
      throw new GeneralSecurityException("cut");
    }
    ByteArrayOutputStream opened = new ByteArrayOutputStream();
    byte[] salt = Arrays.copyOf(sealed, Cobblestone.SALT_BYTES);
    try (Cobblestone message = new Cobblestone(key, salt, context)) {
      if (!message.isCommittedTo(Arrays.copyOfRange(sealed, Cobblestone.SALT_BYTES, head))) {
        throw new GeneralSecurityException("commitment");
      }
      byte[] chunk = new byte[Cobblestone.SEALED_CHUNK_BYTES];
      int at = head;
      int length;
      do {
        length = Math.min(Cobblestone.SEALED_CHUNK_BYTES, sealed.length - at);
        byte[] part = Arrays.copyOfRange(sealed, at, at + length);
        opened.write(chunk, 0, message.open(part, length, chunk));
        at += length;
      } while (length == Cobblestone.SEALED_CHUNK_BYTES);
    }
    return opened.toByteArray();
  }

  private static List<JsonObject> tests(String name) throws Exception {
    Path file = Vectors.wycheproof(name);
    assumeTrue(Files.exists(file), "Wycheproof's vectors are not there");
    JsonArray groups = JsonParser.parseString(Files.readString(file)).getAsJsonObject().getAsJsonArray("testGroups");
    List<JsonObject> tests = new ArrayList<>();
    for (JsonElement group : groups) {
      group.getAsJsonObject().getAsJsonArray("tests").forEach(test -> tests.add(test.getAsJsonObject()));
    }
    return tests;
  }
}
