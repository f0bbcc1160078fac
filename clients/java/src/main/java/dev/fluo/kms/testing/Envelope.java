package dev.fluo.kms.testing;

import dev.fluo.kms.internal.Cobblestone;
import java.io.ByteArrayOutputStream;
import java.security.GeneralSecurityException;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Map;

/**
 * The service's envelope of what a data key encrypts: {@code 0x01 ‖ kind ‖ key id (16) ‖ Cobblestone-256}. All before the
 * ciphertext is in its context, in front of the canonical one. A token is {@code fk1.} and an envelope in base64url.
 */
enum Envelope {
  PII(1, "pii"),
  DATA_KEY(2, "data-key");

  static final int MOST_VALUE_BYTES = 65_536;

  private static final String PREFIX = "fk1.";
  /** Prefixes of texts that the service does not open, and what they are for. */
  private static final Map<String, String> RESERVED =
      Map.of(
          "fl1.", "what a client library seals and opens by itself",
          "fh1.", "public-key sealing",
          "fp1.", "public-key sealing",
          "fb1.", "blind indexes");
  private static final int SUBJECT_KIND = 3;
  private static final int HEADER_BYTES = 18;
  private static final int SALT_AND_COMMITMENT = Cobblestone.SALT_BYTES + Cobblestone.COMMITMENT_BYTES;
  private static final int MOST_CHUNKS = MOST_VALUE_BYTES / Cobblestone.CHUNK_BYTES + 1;
  private static final int MOST_BYTES =
      HEADER_BYTES + SALT_AND_COMMITMENT + MOST_VALUE_BYTES + MOST_CHUNKS * Cobblestone.TAG_BYTES;
  private static final SecureRandom RANDOM = new SecureRandom();

  private final byte[] header;
  private final byte[] inputKey;

  Envelope(int kind, String use) {
    header = HexFormat.of().parseHex("01%02x".formatted(kind) + FakeKey.ID);
    inputKey = FakeKey.inputKey(use);
  }

  byte[] seal(byte[] context, byte[] plaintext) {
    byte[] salt = new byte[Cobblestone.SALT_BYTES];
    RANDOM.nextBytes(salt);
    ByteArrayOutputStream envelope = new ByteArrayOutputStream();
    envelope.writeBytes(header);
    envelope.writeBytes(salt);
    byte[] sealed = new byte[Cobblestone.SEALED_CHUNK_BYTES];
    try (Cobblestone message = new Cobblestone(inputKey, salt, header, context)) {
      envelope.writeBytes(message.commitment());
      int length;
      int at = 0;
      do {
        length = Math.min(Cobblestone.CHUNK_BYTES, plaintext.length - at);
        byte[] chunk = Arrays.copyOfRange(plaintext, at, at + length);
        envelope.write(sealed, 0, message.seal(chunk, length, sealed));
        at += length;
      } while (length == Cobblestone.CHUNK_BYTES);
    }
    return envelope.toByteArray();
  }

  /** Throws CIPHERTEXT_REJECTED for all that {@link #seal} did not make with this context. */
  byte[] open(byte[] context, byte[] envelope) {
    int start = HEADER_BYTES + SALT_AND_COMMITMENT;
    if (envelope.length < start
        || envelope.length > MOST_BYTES
        || !Arrays.equals(header, Arrays.copyOf(envelope, HEADER_BYTES))) {
      throw Refusal.ciphertextRejected();
    }
    byte[] salt = Arrays.copyOfRange(envelope, HEADER_BYTES, HEADER_BYTES + Cobblestone.SALT_BYTES);
    ByteArrayOutputStream opened = new ByteArrayOutputStream();
    byte[] chunk = new byte[Cobblestone.CHUNK_BYTES];
    try (Cobblestone message = new Cobblestone(inputKey, salt, header, context)) {
      if (!message.isCommittedTo(Arrays.copyOfRange(envelope, HEADER_BYTES + Cobblestone.SALT_BYTES, start))) {
        throw Refusal.ciphertextRejected();
      }
      int length;
      int at = start;
      do {
        length = Math.min(Cobblestone.SEALED_CHUNK_BYTES, envelope.length - at);
        if (length < Cobblestone.TAG_BYTES) {
          throw Refusal.ciphertextRejected();
        }
        byte[] sealed = Arrays.copyOfRange(envelope, at, at + length);
        opened.write(chunk, 0, message.open(sealed, length, chunk));
        at += length;
      } while (length == Cobblestone.SEALED_CHUNK_BYTES);
    } catch (GeneralSecurityException e) {
      throw Refusal.ciphertextRejected();
    }
    return opened.toByteArray();
  }

  static String token(byte[] context, byte[] value) {
    return PREFIX + Base64.getUrlEncoder().withoutPadding().encodeToString(PII.seal(context, value));
  }

  /** Throws CIPHERTEXT_REJECTED, and INVALID_ARGUMENT for what is reserved. */
  static byte[] openToken(byte[] context, String token) {
    String start = token.substring(0, Math.min(PREFIX.length(), token.length()));
    if (RESERVED.containsKey(start)) {
      throw reserved(start + " is for " + RESERVED.get(start));
    }
    if (!start.equals(PREFIX)) {
      throw Refusal.ciphertextRejected();
    }
    byte[] envelope = decode(token.substring(PREFIX.length()));
    if (envelope.length > 1 && envelope[0] == 1 && envelope[1] == SUBJECT_KIND) {
      throw reserved("kind " + SUBJECT_KIND + " of fk1. is for tokens of subjects");
    }
    return PII.open(context, envelope);
  }

  private static Refusal reserved(String what) {
    return Refusal.of("INVALID_ARGUMENT", what + "; the service opens what EncryptPii gives");
  }

  /** Takes the canonical spelling alone; Java's decoder takes others too. */
  private static byte[] decode(String text) {
    try {
      byte[] bytes = Base64.getUrlDecoder().decode(text);
      if (Base64.getUrlEncoder().withoutPadding().encodeToString(bytes).equals(text)) {
        return bytes;
      }
    } catch (IllegalArgumentException e) {
      // It is no base64url at all.
    }
    throw Refusal.ciphertextRejected();
  }
}
