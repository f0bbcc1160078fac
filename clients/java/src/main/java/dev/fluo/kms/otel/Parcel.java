package dev.fluo.kms.otel;

import dev.fluo.kms.SpanBatch;
import dev.fluo.kms.SpanOutcome;
import io.opentelemetry.sdk.trace.data.SpanData;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Spans on their way together, from the processor to the backend. */
final class Parcel {
  private final SpanBatch batch;
  private final long sinceNanos = System.nanoTime();
  private final CompletableFuture<List<SpanOutcome>> signing = new CompletableFuture<>();
  private List<SpanData> spans;
  private CompletableFuture<?> underway;
  private boolean isSettled;

  /** @param spans in the order of the batch */
  Parcel(List<SpanData> spans, SpanBatch batch) {
    this.spans = spans;
    this.batch = batch;
  }

  SpanBatch batch() {
    return batch;
  }

  /** What is to be delivered, or would have been. */
  synchronized List<SpanData> spans() {
    return spans;
  }

  /** Has others delivered. Returns false once it is settled, for it was accounted with those that it had. */
  synchronized boolean replace(List<SpanData> others) {
    if (!isSettled) {
      spans = others;
    }
    return !isSettled;
  }

  /** The first attempt to sign it. */
  CompletableFuture<List<SpanOutcome>> signing() {
    return signing;
  }

  /** How long is left until it is so old; not above 0 when it is. */
  Duration leftOf(Duration age) {
    return age.minusNanos(System.nanoTime() - sinceNanos);
  }

  /** Ties the first attempt to what the signer says of it. */
  void signedBy(CompletableFuture<List<SpanOutcome>> answer) {
    track(answer);
    answer.whenComplete(
        (outcomes, error) -> {
          if (error != null) {
            signing.completeExceptionally(error);
          } else {
            signing.complete(outcomes);
          }
        });
  }

  /** Notes an attempt, which is given up when the parcel is settled without it. */
  synchronized void track(CompletableFuture<?> attempt) {
    underway = attempt;
    if (isSettled) {
      attempt.cancel(false);
    }
  }

  synchronized boolean isSettled() {
    return isSettled;
  }

  /** Says that it is delivered or lost. Returns false where that was said before, so that nothing counts twice. */
  synchronized boolean settle() {
    boolean isFirst = !isSettled;
    isSettled = true;
    if (underway != null) {
      underway.cancel(false);
    }
    return isFirst;
  }
}
