package dev.fluo.kms;

import dev.fluo.kms.v1.KeyValue;
import io.grpc.Status;
import java.util.List;
import java.util.OptionalLong;

/** What became of one span that was given to a {@link SpanSigner}. */
public sealed interface SpanOutcome {
  /**
   * The span is signed.
   *
   * @param attributes to put on the span, behind its own
   * @param leafIndex its place in the tenant's log, in mode LOG
   */
  record Signed(List<KeyValue> attributes, OptionalLong leafIndex) implements SpanOutcome {}

  /**
   * The span is bad, and would be refused again. Nothing of it is in the log.
   *
   * @param code of the error
   * @param field path of what is wrong, in its batch; may be empty
   * @param message what is wrong and what to do, without the value; may be empty
   */
  record Refused(Status.Code code, String field, String message) implements SpanOutcome {}
}
