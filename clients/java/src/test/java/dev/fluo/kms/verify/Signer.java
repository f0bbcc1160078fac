package dev.fluo.kms.verify;

import com.google.gson.JsonObject;
import dev.fluo.kms.Vectors;
import java.io.IOException;
import java.util.Base64;

/** The key of the vectors, as a key set has it. */
final class Signer {
  static final String KEY_ID = "00112233445566778899aabbccddeeff";
  static final String TENANT = "acme";
  static final String SIGNED_AT = "2026-01-02T03:04:05.678Z";

  private Signer() {}

  static JsonObject vectors() throws IOException {
    return Vectors.read("span/accepted.json").getAsJsonObject();
  }

  /** The key's members, in JSON. */
  static String jwk(String more) throws IOException {
    byte[] key = Vectors.hex(vectors(), "publicKey");
    return "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"%s\",\"x\":\"%s\"%s}"
        .formatted(KEY_ID, Base64.getUrlEncoder().withoutPadding().encodeToString(key), more);
  }

  static KeySet keys(String more) throws IOException {
    return KeySet.parse("{\"keys\":[" + jwk(more) + "]}");
  }

  static KeySet active() throws IOException {
    return keys(",\"state\":\"ACTIVE\",\"valid_from\":\"2026-01-01T00:00:00.000Z\"");
  }
}
