package dev.fluo.kms.verify;

import java.util.Optional;
import java.util.OptionalLong;

/**
 * What is said of one span.
 *
 * @param reason why it verifies or does not
 * @param keyId the key that the evidence names, 32 lower-case hex digits; of a log proof, the key that signed
 * @param keyState the state of that key, where the key set has it
 * @param signedAt when the evidence says it was signed: RFC 3339 in UTC, three fraction digits, {@code Z}
 * @param traceId 32 lower-case hex digits; empty for a span that cannot be read
 * @param spanId 16 lower-case hex digits; empty for a span that cannot be read
 * @param log the name (origin) of the log that the span claims a place in
 * @param leafIndex its place there
 * @param message what is wrong, where more is known than the reason says; the text may change
 */
public record Verdict(
    Reason reason,
    Optional<String> keyId,
    Optional<KeyState> keyState,
    Optional<String> signedAt,
    Optional<String> traceId,
    Optional<String> spanId,
    Optional<String> log,
    OptionalLong leafIndex,
    Optional<String> message) {

  /** Returns whether the span is as it was when it was signed. */
  public boolean verified() {
    return reason == Reason.OK;
  }

  /** Returns the message, or what the reason says to people; empty for a span that verifies. */
  public String explanation() {
    return message.orElse(reason.explanation());
  }

  static Verdict of(Reason reason) {
    return new Verdict(
        reason,
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        OptionalLong.empty(),
        Optional.empty());
  }

  static Verdict malformed(String message) {
    return of(Reason.MALFORMED).saying(message);
  }

  Verdict saying(String text) {
    return new Verdict(
        reason, keyId, keyState, signedAt, traceId, spanId, log, leafIndex, Optional.ofNullable(text));
  }

  Verdict byKey(String id, KeyState state) {
    return new Verdict(
        reason,
        Optional.ofNullable(id),
        Optional.ofNullable(state),
        signedAt,
        traceId,
        spanId,
        log,
        leafIndex,
        message);
  }

  Verdict at(String time) {
    return new Verdict(
        reason, keyId, keyState, Optional.ofNullable(time), traceId, spanId, log, leafIndex, message);
  }

  Verdict about(ReadSpan span) {
    return new Verdict(
        reason,
        keyId,
        keyState,
        signedAt,
        Optional.of(span.traceId()),
        Optional.of(span.spanId()),
        log,
        leafIndex,
        message);
  }

  Verdict in(TreeProof proof) {
    return new Verdict(
        reason,
        keyId,
        keyState,
        signedAt,
        traceId,
        spanId,
        Optional.of(proof.checkpoint().origin()),
        OptionalLong.of(proof.index()),
        message);
  }
}
