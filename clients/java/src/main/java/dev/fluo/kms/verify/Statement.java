package dev.fluo.kms.verify;

import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What is signed, and what a log holds: an in-toto Statement v1 about one span, in RFC 8785 form.
 *
 * @param keyId 32 lower-case hex digits; null in a log, where a checkpoint's key signs
 * @param signedAt in the canonical form
 * @param digest SHA-256 of the canonical form, in hex
 */
record Statement(String keyId, String signedAt, String tenant, String digest, String traceId, String spanId) {
  static final String TYPE = "https://in-toto.io/Statement/v1";
  private static final String PREDICATE_TYPE = "https://fluo.dev/kms/compliance-span/v1";
  private static final String PAYLOAD_TYPE = "application/vnd.in-toto+json";
  private static final int MOST_BYTES = 1024;
  private static final int MOST_ENTRY_BYTES = 4096;

  static final String TENANT = "[a-z0-9][a-z0-9._-]{0,62}";

  // The parts that vary. What is between them is checked by writing the statement again.
  private static final String SUBJECT =
      ".*\"sha256\":\"([0-9a-f]{64})\"\\},\"name\":\"([0-9a-f]{32})/([0-9a-f]{16})\"";
  private static final Pattern SIGNED =
      Pattern.compile(
          "\"keyId\":\"([0-9a-f]{32})\",\"signedAt\":\"([0-9TZ:.-]{24})\",\"tenant\":\"(" + TENANT + ")\"" + SUBJECT);
  private static final Pattern LOGGED =
      Pattern.compile("\"signedAt\":\"([0-9TZ:.-]{24})\",\"tenant\":\"(" + TENANT + ")\"" + SUBJECT);

  /** The exact text. */
  String text() {
    StringBuilder text = new StringBuilder(512).append("{\"_type\":\"").append(TYPE).append("\",\"predicate\":{");
    if (keyId != null) {
      text.append("\"keyId\":\"").append(keyId).append("\",");
    }
    text.append("\"signedAt\":\"").append(signedAt).append("\",\"tenant\":");
    return text.append(JsonWriter.quoted(tenant))
        .append("},\"predicateType\":\"")
        .append(PREDICATE_TYPE)
        .append("\",\"subject\":[{\"digest\":{\"sha256\":\"")
        .append(digest)
        .append("\"},\"name\":\"")
        .append(traceId)
        .append('/')
        .append(spanId)
        .append("\"}]}")
        .toString();
  }

  byte[] bytes() {
    return text().getBytes(StandardCharsets.UTF_8);
  }

  /** Returns the parts of a signed statement; null for bytes that {@link #text} cannot have written. */
  static Statement parseSigned(byte[] bytes) {
    String text = textOf(bytes, MOST_BYTES);
    Matcher parts = SIGNED.matcher(text);
    return parts.find()
        ? checked(
            text,
            new Statement(
                parts.group(1), parts.group(2), parts.group(3), parts.group(4), parts.group(5), parts.group(6)))
        : null;
  }

  /** Returns the parts of a log's entry about a span; null for bytes that {@link #text} cannot have written. */
  static Statement parseLogged(byte[] bytes) {
    String text = textOf(bytes, MOST_ENTRY_BYTES);
    Matcher parts = LOGGED.matcher(text);
    return parts.find()
        ? checked(
            text,
            new Statement(null, parts.group(1), parts.group(2), parts.group(3), parts.group(4), parts.group(5)))
        : null;
  }

  private static Statement checked(String text, Statement parts) {
    return parts.text().equals(text) && SignedAt.parse(parts.signedAt) != null ? parts : null;
  }

  static String textOf(byte[] bytes, int most) {
    return bytes.length > most ? "" : new String(bytes, StandardCharsets.ISO_8859_1);
  }

  /** What comes before a statement in its DSSE pre-authentication encoding, over which the signature is. */
  static byte[] encodingHead(int statementBytes) {
    return ("DSSEv1 " + PAYLOAD_TYPE.length() + " " + PAYLOAD_TYPE + " " + statementBytes + " ")
        .getBytes(StandardCharsets.US_ASCII);
  }
}
