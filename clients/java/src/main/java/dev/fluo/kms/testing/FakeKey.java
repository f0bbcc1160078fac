package dev.fluo.kms.testing;

import dev.fluo.kms.internal.Cobblestone;
import dev.fluo.kms.internal.HkdfExpand;
import dev.fluo.kms.internal.SecretBytes;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.HexFormat;

/** The keys of the public vectors, from which nothing is secret. One id names both. */
final class FakeKey {
  static final String ID = "00112233445566778899aabbccddeeff";

  /** As the service serves it, of a key that was always there and a tenant without a log. */
  static final String JWKS =
      "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\","
          + "\"kid\":\"" + ID + "\",\"alg\":\"EdDSA\",\"use\":\"sig\",\"state\":\"ACTIVE\",\"version\":1,"
          + "\"valid_from\":\"1970-01-01T00:00:00.000Z\",\"valid_until\":null,\"compromised_at\":null,"
          + "\"vkeys\":[],\"compromised_log\":null}],\"handovers\":[]}";

  private static final byte[] DATA_KEY =
      HexFormat.of().parseHex("9374efee4579412084cc45c00ffbd3c5ed22a2b98ca98c1c760e46ab4cbfdf1d");
  /** The seed of the vectors in a PrivateKeyInfo (RFC 8410). */
  private static final byte[] SIGNING_KEY =
      HexFormat.of()
          .parseHex(
              "302e020100300506032b657004220420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

  private FakeKey() {}

  /** Returns the input key of a use of the data key, such as {@code pii}. */
  static byte[] inputKey(String use) {
    try (SecretBytes key = new SecretBytes("HmacSHA512", DATA_KEY.clone())) {
      byte[] info = ("fluo-kms/v1/" + use).getBytes(StandardCharsets.US_ASCII);
      return HkdfExpand.sha512(key, Cobblestone.KEY_BYTES, info);
    }
  }

  /** Returns the 64 bytes of the Ed25519 signature. */
  static byte[] sign(byte[] message) {
    try {
      PrivateKey key = KeyFactory.getInstance("Ed25519").generatePrivate(new PKCS8EncodedKeySpec(SIGNING_KEY));
      Signature signature = Signature.getInstance("Ed25519");
      signature.initSign(key);
      signature.update(message);
      return signature.sign();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }
}
