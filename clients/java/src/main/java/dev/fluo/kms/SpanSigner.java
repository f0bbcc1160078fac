package dev.fluo.kms;

import dev.fluo.kms.v1.KmsServiceGrpc;
import dev.fluo.kms.v1.ResourceSpans;
import dev.fluo.kms.v1.SignMode;
import dev.fluo.kms.v1.SignSpansRequest;
import dev.fluo.kms.v1.SignSpansResponse;
import io.grpc.ClientInterceptor;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Signs spans over one stream of SignSpans: batches in, what became of each span out, in order. May be shared between
 * threads.
 *
 * <pre>{@code
 * try (SpanSigner signer = SpanSigner.builder(client, "acme").build()) {
 *   List<SpanOutcome> outcomes = signer.sign(List.of(resourceSpans)).get();
 * }
 * }</pre>
 *
 * <p>If the stream breaks (UNAVAILABLE, ABORTED, RESOURCE_EXHAUSTED, a clean end, a cut connection), the signer opens
 * another. It waits longer each time, up to 5 s or as the service says. It sends again what was not answered: in its first
 * order, unchanged, under its old name, so that a log gets no span twice. On UNAUTHENTICATED it does so once, with a token
 * asked anew; then what is not answered fails. A refusal fails the first batch that is not answered, and the others go
 * over another stream. A batch that was first sent 23 hours ago fails instead of being sent again: the service remembers
 * names for 24. Futures fail with {@link StatusRuntimeException}. A bad span never fails its batch: see {@link
 * SpanOutcome.Refused}.
 *
 * <p>In mode INDIVIDUAL the service remembers nothing: a repeat is another signature with another time, and both verify.
 */
public final class SpanSigner implements AutoCloseable {
  static final Duration LONGEST_UNANSWERED = Duration.ofHours(23);
  private static final Duration FOR_EVER = Duration.ofNanos(Long.MAX_VALUE);
  private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(10);

  private final KmsClient client;
  private final KmsServiceGrpc.KmsServiceStub stub;
  private final SignSpansRequest streamFields;
  private final int maxUnanswered;
  private final Clock clock;
  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(DaemonThreads.named("fluo-kms-signer"));

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition room = lock.newCondition();
  private final List<Unanswered> unanswered = new ArrayList<>();
  private final Backoff backoff = new Backoff(Duration.ofMillis(100), Duration.ofSeconds(5));
  private List<Runnable> completions = new ArrayList<>();
  private SignStream stream;
  private int sent;
  private boolean isWaiting;
  private boolean hasAskedAgain;
  private boolean isClosed;

  private SpanSigner(Builder options) {
    client = options.client;
    stub =
        KmsServiceGrpc.newStub(options.client.channel())
            .withInterceptors(options.interceptors.toArray(new ClientInterceptor[0]));
    streamFields =
        SignSpansRequest.newBuilder()
            .setTenantId(options.tenant)
            .setMode(options.mode)
            .setWithAttributes(true)
            .build();
    maxUnanswered = options.maxUnanswered;
    clock = options.clock;
  }

  /**
   * Begins a signer.
   *
   * @param client stays open, and is the caller's to close
   * @param tenant whose key signs
   */
  public static Builder builder(KmsClient client, String tenant) {
    return new Builder(client, tenant);
  }

  /**
   * Signs spans; blocks while {@code maxUnanswered} batches have no answer. Many spans are several batches.
   *
   * @return one outcome a span, in their order; fails where a batch does. It is completed on a thread of gRPC's, which
   *     must not be blocked
   * @throws InterruptedException if the thread is interrupted while it waits; batches before may be on their way
   * @throws IllegalStateException if the signer is closed
   */
  public CompletableFuture<List<SpanOutcome>> sign(List<ResourceSpans> spans) throws InterruptedException {
    List<CompletableFuture<List<SpanOutcome>>> parts = new ArrayList<>();
    for (SpanBatch batch : split(spans)) {
      parts.add(sign(batch));
    }
    if (parts.size() == 1) {
      return parts.get(0);
    }
    return CompletableFuture.allOf(parts.toArray(new CompletableFuture<?>[0]))
        .thenApply(
            done -> {
              List<SpanOutcome> outcomes = new ArrayList<>();
              parts.forEach(part -> outcomes.addAll(part.join()));
              return outcomes;
            });
  }

  /**
   * Cuts spans into batches of at most 1,000 spans and 1 MiB, in order; a span that is larger is a batch of its own.
   * Signing a batch again after it failed cannot enter its spans twice, within 23 hours.
   */
  public List<SpanBatch> split(List<ResourceSpans> spans) {
    return new BatchSplitter(streamFields).split(spans);
  }

  /**
   * Signs one batch; blocks while {@code maxUnanswered} batches have no answer. A future that is cancelled gives the batch
   * up: it is not sent again, and may be in the log.
   *
   * @throws InterruptedException if the thread is interrupted while it waits; nothing of the batch is on its way then
   * @throws IllegalStateException if the signer is closed
   */
  public CompletableFuture<List<SpanOutcome>> sign(SpanBatch batch) throws InterruptedException {
    try {
      return sign(batch, FOR_EVER);
    } catch (TimeoutException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Signs one batch as {@link #sign(SpanBatch)} does, but waits no longer than this for room.
   *
   * @throws TimeoutException if there was none; nothing of the batch is on its way then
   * @throws InterruptedException if the thread is interrupted while it waits; nothing of the batch is on its way then
   * @throws IllegalStateException if the signer is closed
   */
  public CompletableFuture<List<SpanOutcome>> sign(SpanBatch batch, Duration timeout)
      throws InterruptedException, TimeoutException {
    Unanswered added = new Unanswered(batch);
    if (batch.bytes() > ChannelFactory.MESSAGE_BYTES) {
      added.future().complete(List.of(tooLarge()));
      return added.future();
    }
    long left = timeout.toNanos();
    lock.lockInterruptibly();
    try {
      while (unanswered.size() >= maxUnanswered && !isClosed) {
        if (left <= 0) {
          throw new TimeoutException("the batches before it are not answered yet");
        }
        left = room.awaitNanos(left);
      }
      if (isClosed) {
        throw new IllegalStateException("the signer is closed");
      }
      unanswered.add(added);
      pump();
    } finally {
      unlock();
    }
    added.future().whenComplete((outcomes, error) -> dropCancelled(added));
    return added.future();
  }

  /** Waits until all that was given before is answered or failed. Returns false where that takes longer. */
  public boolean flush(Duration timeout) throws InterruptedException {
    CompletableFuture<?>[] given;
    lock.lockInterruptibly();
    try {
      given = unanswered.stream().map(Unanswered::future).toArray(CompletableFuture<?>[]::new);
    } finally {
      unlock();
    }
    try {
      CompletableFuture.allOf(given).get(timeout.toNanos(), TimeUnit.NANOSECONDS);
      return true;
    } catch (ExecutionException e) {
      // Whoever signed is told why; here it counts that nothing is left.
      return true;
    } catch (TimeoutException e) {
      return false;
    }
  }

  /** Ends the stream: waits up to 10 s for answers; what has none then fails with CANCELLED. */
  @Override
  public void close() {
    try {
      flush(CLOSE_TIMEOUT);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    lock.lock();
    try {
      isClosed = true;
      if (stream != null) {
        stream.end(unanswered.isEmpty());
        stream = null;
      }
      failAll(
          Status.CANCELLED.withDescription("the signer was closed before an answer came").asRuntimeException());
      room.signalAll();
    } finally {
      unlock();
    }
    timer.shutdownNow();
  }

  /** Sends what there is to send and the stream takes. The lock is held, here and below. */
  private void pump() {
    if (isWaiting || isClosed) {
      return;
    }
    failExpired();
    if (stream == null) {
      if (unanswered.isEmpty()) {
        return;
      }
      stream = new SignStream(this::pumpLocked, this::answered, this::ended);
      SignStream opened = stream;
      // The context of whoever signs may end before the stream does.
      Context.ROOT.run(() -> stub.signSpans(opened));
    }
    while (stream != null && sent < unanswered.size() && stream.isReady()) {
      SpanBatch batch = unanswered.get(sent).batch();
      batch.sentAt(new Age(clock));
      sent++;
      stream.send(batch.request());
    }
  }

  private void pumpLocked() {
    lock.lock();
    try {
      pump();
    } finally {
      unlock();
    }
  }

  private void answered(SignStream from, SignSpansResponse answer) {
    lock.lock();
    try {
      if (from != stream) {
        return;
      }
      Status fault =
          sent == 0
              ? Status.INTERNAL.withDescription("the service answered a batch that it was not sent")
              : unanswered.get(0).add(answer);
      if (fault != null) {
        stream.end(false);
        forgetStream();
        failFirst(fault.asRuntimeException());
        reopen(backoff.next());
      } else if (answer.getBatchDone()) {
        Unanswered done = unanswered.remove(0);
        sent--;
        backoff.reset();
        hasAskedAgain = false;
        List<SpanOutcome> outcomes = done.outcomes();
        completions.add(() -> done.future().complete(outcomes));
        room.signalAll();
        pump();
      }
    } finally {
      unlock();
    }
  }

  private void ended(SignStream from, StatusRuntimeException how) {
    lock.lock();
    try {
      if (from != stream) {
        return;
      }
      forgetStream();
      if (unanswered.isEmpty()) {
        return;
      }
      ErrorDetails details = ErrorDetails.of(how);
      switch (StreamEnd.of(how.getStatus(), details)) {
        case PASSES -> {
          Duration wait = backoff.next();
          Duration asked = details.retryAfter().orElse(Duration.ZERO);
          reopen(asked.compareTo(wait) > 0 ? asked : wait);
        }
        case NEEDS_CREDENTIAL -> {
          if (hasAskedAgain) {
            hasAskedAgain = false;
            failAll(how);
          } else {
            hasAskedAgain = true;
            pump();
          }
        }
        case REFUSES_BATCH -> {
          failFirst(how);
          pump();
        }
      }
    } finally {
      unlock();
    }
  }

  private void forgetStream() {
    stream = null;
    sent = 0;
    unanswered.removeIf(each -> each.future().isCancelled());
    unanswered.forEach(Unanswered::forgetAnswers);
    room.signalAll();
  }

  private void reopen(Duration wait) {
    if (isClosed) {
      return;
    }
    isWaiting = true;
    timer.schedule(
        () -> {
          lock.lock();
          try {
            isWaiting = false;
            client.connectAtOnce();
            pump();
          } finally {
            unlock();
          }
        },
        wait.toNanos(),
        TimeUnit.NANOSECONDS);
  }

  private void dropCancelled(Unanswered given) {
    if (!given.future().isCancelled()) {
      return;
    }
    lock.lock();
    try {
      // One that is on its way stays, for its answer comes before those of others.
      if (unanswered.indexOf(given) >= sent) {
        unanswered.remove(given);
        room.signalAll();
      }
    } finally {
      unlock();
    }
  }

  private void failExpired() {
    Status expired =
        Status.DEADLINE_EXCEEDED.withDescription(
            "no answer within 23 hours: the service may have forgotten the batch, and is not sent it again");
    // What is on its way over this stream is not sent again by it.
    for (int i = unanswered.size() - 1; i >= sent; i--) {
      if (isExpired(unanswered.get(i))) {
        fail(unanswered.remove(i), expired.asRuntimeException());
      }
    }
  }

  private static boolean isExpired(Unanswered each) {
    return each.batch().age() != null && each.batch().age().isAtLeast(LONGEST_UNANSWERED);
  }

  private void failFirst(StatusRuntimeException error) {
    if (!unanswered.isEmpty()) {
      fail(unanswered.remove(0), error);
    }
  }

  private void fail(Unanswered failed, StatusRuntimeException error) {
    completions.add(() -> failed.future().completeExceptionally(error));
    room.signalAll();
  }

  private void failAll(StatusRuntimeException error) {
    while (!unanswered.isEmpty()) {
      failFirst(error);
    }
  }

  /** Completes futures without the lock: whoever waits for one may call back. */
  private void unlock() {
    List<Runnable> due = List.of();
    if (lock.getHoldCount() == 1) {
      due = completions;
      completions = new ArrayList<>();
    }
    lock.unlock();
    due.forEach(Runnable::run);
  }

  private static SpanOutcome tooLarge() {
    return new SpanOutcome.Refused(
        Status.Code.INVALID_ARGUMENT, "", "the span is larger with its resource than the 4 MiB of a message");
  }

  /** How to sign. */
  public static final class Builder {
    private final KmsClient client;
    private final String tenant;
    private SignMode mode = SignMode.SIGN_MODE_LOG;
    private int maxUnanswered = 4;
    private Clock clock = Clock.systemUTC();
    private final List<ClientInterceptor> interceptors = new ArrayList<>();

    private Builder(KmsClient client, String tenant) {
      this.client = client;
      this.tenant = tenant;
    }

    /** Signs in this mode; SIGN_MODE_LOG unless said. */
    public Builder mode(SignMode mode) {
      this.mode = mode;
      return this;
    }

    /** Has at most so many batches without an answer; 4 unless said. They are what is held in memory. */
    public Builder maxUnanswered(int maxUnanswered) {
      if (maxUnanswered < 1) {
        throw new IllegalArgumentException("maxUnanswered is at least 1");
      }
      this.maxUnanswered = maxUnanswered;
      return this;
    }

    /** Lets an interceptor see the streams of this signer alone. */
    public Builder interceptor(ClientInterceptor interceptor) {
      interceptors.add(interceptor);
      return this;
    }

    /** Sets the clock by which a batch is too old; for tests. */
    Builder clock(Clock clock) {
      this.clock = clock;
      return this;
    }

    /** Makes the signer. It opens its stream with the first batch. */
    public SpanSigner build() {
      return new SpanSigner(this);
    }
  }
}
