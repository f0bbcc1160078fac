package dev.fluo.kms.otel;

import dev.fluo.kms.Backoff;
import dev.fluo.kms.SpanOutcome;
import dev.fluo.kms.SpanSigner;
import io.grpc.Status;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Brings parcels to the backend, one by one: waits for their signatures, and repeats what fails, within a time. A parcel,
 * once signed, is kept so: a repeat delivers the same spans with the same signatures.
 */
final class Courier {
  private static final Duration FIRST_WAIT = Duration.ofMillis(100);
  private static final Duration LONGEST_WAIT = Duration.ofSeconds(5);
  private static final Duration LONGEST_WAIT_DENIED = Duration.ofSeconds(30);

  private final SpanSigner signer;
  private final SpanExporter delegate;
  private final OnRefused onRefused;
  private final Account account;
  private final CountDownLatch aborted = new CountDownLatch(1);

  Courier(SpanSigner signer, SpanExporter delegate, OnRefused onRefused, Account account) {
    this.signer = signer;
    this.delegate = delegate;
    this.onRefused = onRefused;
    this.account = account;
  }

  /** Ends all waits between attempts; what is not delivered then is lost by {@code SHUTDOWN}. */
  void abort() {
    aborted.countDown();
  }

  /**
   * Delivers a parcel whose first attempt to sign is underway, and accounts for it. Returns whether it was delivered.
   *
   * @param age from the parcel's making on, within which it is to be delivered
   * @param late what a parcel is lost by that takes longer
   * @throws InterruptedException if the thread is interrupted; the parcel is not accounted for then
   */
  boolean deliver(Parcel parcel, Duration age, LossCause late) throws InterruptedException {
    try {
      take(parcel, outcomes(parcel, age));
    } catch (Rejected e) {
      return lost(parcel, LossCause.REJECTED, e.getMessage());
    } catch (TimeoutException e) {
      return lost(parcel, late, "they were not signed in time");
    }
    Backoff backoff = new Backoff(FIRST_WAIT, LONGEST_WAIT);
    do {
      CompletableResultCode result = export(parcel, age);
      if (result.isSuccess()) {
        if (parcel.settle()) {
          account.delivered(parcel.spans().size());
        }
        return true;
      }
      String refusal = BackendRefusal.of(result.getFailureThrowable());
      if (refusal != null) {
        return lost(parcel, LossCause.REJECTED, "the backend refuses them: " + refusal);
      }
    } while (wait(backoff, parcel.leftOf(age)));
    return lost(parcel, late, "the backend did not take them in time");
  }

  /** Says that the service refuses a batch, and would again. */
  private static final class Rejected extends Exception {
    private static final long serialVersionUID = 1;

    Rejected(Status status) {
      super(status.getCode() + ": " + status.getDescription(), null, false, false);
    }
  }

  private List<SpanOutcome> outcomes(Parcel parcel, Duration age)
      throws InterruptedException, TimeoutException, Rejected {
    CompletableFuture<List<SpanOutcome>> attempt = parcel.signing();
    Backoff backoff = new Backoff(FIRST_WAIT, LONGEST_WAIT_DENIED);
    while (true) {
      try {
        return attempt.get(Math.max(1, parcel.leftOf(age).toNanos()), TimeUnit.NANOSECONDS);
      } catch (ExecutionException e) {
        Status status = Status.fromThrowable(e.getCause());
        switch (status.getCode()) {
          case INVALID_ARGUMENT, ALREADY_EXISTS -> throw new Rejected(status);
          // A denial may be mended while the program runs.
          default -> {
            if (!wait(backoff, parcel.leftOf(age))) {
              throw new TimeoutException();
            }
          }
        }
      }
      // Under its old name, by which no log gets its spans twice.
      attempt = signer.sign(parcel.batch(), parcel.leftOf(age));
      parcel.track(attempt);
    }
  }

  /** Puts what became of the spans on them. */
  private void take(Parcel parcel, List<SpanOutcome> outcomes) {
    List<SpanData> unsigned = parcel.spans();
    List<SpanData> spans = new ArrayList<>(outcomes.size());
    List<SpanData> dropped = new ArrayList<>();
    String lastReason = "";
    for (int i = 0; i < outcomes.size(); i++) {
      if (outcomes.get(i) instanceof SpanOutcome.Signed signed) {
        spans.add(SignedSpanData.signed(unsigned.get(i), signed.attributes()));
      } else if (outcomes.get(i) instanceof SpanOutcome.Refused refused) {
        lastReason = reasonOf(refused);
        account.refused(lastReason);
        if (onRefused == OnRefused.FORWARD) {
          spans.add(SignedSpanData.unsigned(unsigned.get(i), lastReason));
        } else {
          dropped.add(unsigned.get(i));
        }
      }
    }
    if (parcel.replace(spans)) {
      account.lost(LossCause.REJECTED, dropped, lastReason);
    }
  }

  private static String reasonOf(SpanOutcome.Refused refused) {
    String where = refused.field().isEmpty() ? "" : " " + refused.field();
    String why = refused.message().isEmpty() ? "" : ": " + refused.message();
    return refused.code() + where + why;
  }

  /** Waits for the delegate's own word: one that is given up may still arrive, and would arrive twice. */
  private CompletableResultCode export(Parcel parcel, Duration age) {
    if (parcel.spans().isEmpty()) {
      return CompletableResultCode.ofSuccess();
    }
    CompletableResultCode[] result = new CompletableResultCode[1];
    try {
      Untraced.run(() -> result[0] = delegate.export(parcel.spans()));
    } catch (RuntimeException e) {
      // An exporter that throws failed, and may not the next time.
      return CompletableResultCode.ofFailure();
    }
    return result[0].join(Math.max(1, parcel.leftOf(age).toNanos()), TimeUnit.NANOSECONDS);
  }

  /** Returns false where no time is left, or the exporter is shut down. */
  private boolean wait(Backoff backoff, Duration left) throws InterruptedException {
    Duration wait = backoff.next();
    return wait.compareTo(left) < 0 && !aborted.await(wait.toNanos(), TimeUnit.NANOSECONDS);
  }

  private boolean lost(Parcel parcel, LossCause cause, String why) {
    if (parcel.settle()) {
      boolean isShutDown = aborted.getCount() == 0 && cause != LossCause.REJECTED;
      account.lost(isShutDown ? LossCause.SHUTDOWN : cause, parcel.spans(), why);
    }
    return false;
  }
}
