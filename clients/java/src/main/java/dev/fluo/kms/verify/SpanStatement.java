package dev.fluo.kms.verify;

import java.io.ByteArrayOutputStream;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Locale;

/**
 * What an individual signature of a span is over. The service makes it; here it is for what stands in for the service in
 * a test.
 *
 * @param statement the in-toto statement, as SignSpan returns it
 * @param encoded the DSSE encoding of the statement: what Ed25519 signs
 * @param signedAt RFC 3339 in UTC, three fraction digits, {@code Z}, as the statement has it
 */
public record SpanStatement(byte[] statement, byte[] encoded, String signedAt) {
  private static final DateTimeFormatter SIGNED_AT =
      DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'", Locale.ROOT).withZone(ZoneOffset.UTC);

  /**
   * Makes the statement about a span, from its canonical form.
   *
   * @param tenant in whose name it is signed
   * @param keyId 32 lower-case hex digits
   * @param signedAt from the year 1 to 9999; parts of a millisecond are cut off
   * @param resource OTLP's Resource in protobuf; empty where there is none
   * @param scope OTLP's InstrumentationScope in protobuf; empty where there is none
   * @param span OTLP's Span in protobuf
   * @throws MalformedSpanException if the service would refuse to sign the span
   */
  public static SpanStatement of(
      String tenant, String keyId, Instant signedAt, byte[] resource, byte[] scope, byte[] span) {
    ReadSpan read;
    try {
      read = ResourceSpansReader.read(resource, scope, span);
    } catch (Malformed e) {
      throw new MalformedSpanException(e);
    }
    String at = SIGNED_AT.format(signedAt);
    byte[] statement = new Statement(keyId, at, tenant, read.digest(), read.traceId(), read.spanId()).bytes();
    ByteArrayOutputStream encoded = new ByteArrayOutputStream();
    encoded.writeBytes(Statement.encodingHead(statement.length));
    encoded.writeBytes(statement);
    return new SpanStatement(statement, encoded.toByteArray(), at);
  }
}
