package dev.fluo.kms;

import dev.fluo.kms.v1.SignSpansResponse;
import dev.fluo.kms.v1.SignedSpan;
import dev.fluo.kms.v1.SpanResult;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;

/** A batch without its whole answer. The signer's lock guards all but the future. */
final class Unanswered {
  private final SpanBatch batch;
  private final CompletableFuture<List<SpanOutcome>> future = new CompletableFuture<>();
  private List<SpanOutcome> outcomes = new ArrayList<>();

  Unanswered(SpanBatch batch) {
    this.batch = batch;
  }

  SpanBatch batch() {
    return batch;
  }

  CompletableFuture<List<SpanOutcome>> future() {
    return future;
  }

  List<SpanOutcome> outcomes() {
    return outcomes;
  }

  /** Over another stream the answer begins anew. */
  void forgetAnswers() {
    outcomes = new ArrayList<>();
  }

  /** Takes an answer, which must be to this batch and have what was asked for. Returns why it is not; null if it is. */
  Status add(SignSpansResponse answer) {
    if (!answer.getRequestId().equals(batch.request().getRequestId())) {
      return Status.INTERNAL.withDescription("the service answered another batch than the one whose turn it is");
    }
    for (SpanResult result : answer.getResultsList()) {
      if (result.hasError()) {
        outcomes.add(
            new SpanOutcome.Refused(
                Status.fromCodeValue(result.getError().getCode()).getCode(),
                result.getError().getField(),
                result.getError().getMessage()));
        continue;
      }
      SignedSpan signed = result.getSigned();
      if (signed.getAttributesCount() == 0) {
        return Status.FAILED_PRECONDITION.withDescription(
            "the service signs, but gives no attributes: it is older than this client and does not know"
                + " with_attributes; update it");
      }
      OptionalLong leafIndex = signed.hasLeafIndex() ? OptionalLong.of(signed.getLeafIndex()) : OptionalLong.empty();
      outcomes.add(new SpanOutcome.Signed(signed.getAttributesList(), leafIndex));
    }
    boolean isWhole = outcomes.size() == batch.spans();
    return outcomes.size() > batch.spans() || answer.getBatchDone() && !isWhole
        ? Status.INTERNAL.withDescription("the service answered another number of spans than the batch has")
        : null;
  }
}
