package dev.fluo.kms.otel;

import dev.fluo.kms.KmsClient;
import dev.fluo.kms.SpanBatch;
import dev.fluo.kms.SpanSigner;
import dev.fluo.kms.v1.SignMode;
import io.opentelemetry.api.metrics.MeterProvider;
import io.opentelemetry.api.metrics.ObservableLongGauge;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.trace.SpanProcessor;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessorBuilder;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

/**
 * Signs spans and gives them to another exporter, with the attributes on them that carry their evidence. Put it in the
 * place of that exporter, behind {@link #batchProcessor}.
 *
 * <p>Unless it has none, spans wait in a queue of its own while service or backend are away: {@code export} succeeds once
 * they are in it, and waits for room where it is full. They are signed and delivered in order. What it promises: each
 * span comes to the backend at least once, or is counted as lost, told to a listener and logged; it gets at most one
 * entry in the log while the process lives; what is delivered twice, because the backend's answer was lost, is the same
 * to the byte. Spans in memory are lost with the process: call {@link #shutdown(Duration)} at its end.
 *
 * <p>A span that the service refuses because it is bad is delivered without a signature, unless {@link
 * Builder#onRefused} says otherwise. Its own calls are not traced.
 */
public final class SigningSpanExporter implements SpanExporter {
  private static final Duration SHUTDOWN_TIMEOUT = Duration.ofSeconds(30);
  private static final int MOST_SPANS_AT_ONCE = 1_000;

  private final SpanExporter delegate;
  private final SpanSigner signer;
  private final Account account;
  private final Courier courier;
  private final Duration timeout;
  private final Duration deliveryAge;
  private final int mostSpansAtOnce;
  private final ParcelQueue queue;
  /** Parcels on their way without a queue. */
  private final Set<Parcel> direct = ConcurrentHashMap.newKeySet();

  private final List<ObservableLongGauge> gauges;
  private final List<Thread> threads = new ArrayList<>();
  private final AtomicBoolean isShutDown = new AtomicBoolean();
  private final CompletableResultCode shutdown = new CompletableResultCode();
  private volatile long undelivered;

  private SigningSpanExporter(Builder options) {
    delegate = options.delegate;
    signer =
        SpanSigner.builder(options.client, options.tenant).mode(options.mode).interceptor(new Untraced()).build();
    account = new Account(options.listener);
    courier = new Courier(signer, delegate, options.onRefused, account);
    timeout = options.timeout;
    deliveryAge = options.deliveryAge;
    queue = options.hasQueue ? new ParcelQueue(options.queueSpans, options.queueBytes) : null;
    mostSpansAtOnce = queue == null ? MOST_SPANS_AT_ONCE : Math.min(MOST_SPANS_AT_ONCE, options.queueSpans);
    gauges = Waiting.gauges(options.meterProvider, options.tenant, this::waiting);
    if (queue != null) {
      start("fluo-kms-sign", this::signAll);
      start("fluo-kms-deliver", this::deliverAll);
    }
  }

  /**
   * Begins an exporter.
   *
   * @param delegate gets the signed spans, and is shut down with this
   * @param client stays open, and is the caller's to close
   * @param tenant whose key signs
   */
  public static Builder builder(SpanExporter delegate, KmsClient client, String tenant) {
    return new Builder(delegate, client, tenant);
  }

  /** Returns the processor of {@link #batchProcessor(Consumer)} with the SDK's defaults. */
  public SpanProcessor batchProcessor() {
    return batchProcessor(options -> {});
  }

  /**
   * Returns the SDK's batch processor before this exporter, whose flush waits until spans are delivered: that of the SDK
   * alone ends when they are in the exporter's queue.
   *
   * <pre>{@code
   * SdkTracerProvider provider =
   *     SdkTracerProvider.builder()
   *         .addSpanProcessor(exporter.batchProcessor(batches -> batches.setMaxQueueSize(4_096)))
   *         .build();
   * boolean isDelivered = provider.forceFlush().join(30, TimeUnit.SECONDS).isSuccess();
   * }</pre>
   *
   * <p>The result of {@code forceFlush} succeeds once all spans that ended before are delivered. It fails if one was lost
   * meanwhile, and is not done, hence no success, if that takes longer than the {@code join}.
   *
   * @param options sets the options of the SDK's processor; its exporter time-out is better not below {@link
   *     Builder#timeout}
   */
  public SpanProcessor batchProcessor(Consumer<BatchSpanProcessorBuilder> options) {
    BatchSpanProcessorBuilder builder = BatchSpanProcessor.builder(this);
    options.accept(builder);
    return new DeliveringSpanProcessor(builder.build(), this);
  }

  @Override
  public CompletableResultCode export(Collection<SpanData> spans) {
    List<SpanData> all = List.copyOf(spans);
    long until = System.nanoTime() + timeout.toNanos();
    boolean isTaken = true;
    try {
      for (int at = 0; at < all.size(); at += mostSpansAtOnce) {
        for (Parcel parcel : parcels(all.subList(at, Math.min(all.size(), at + mostSpansAtOnce)))) {
          isTaken &= queue == null ? deliverNow(parcel) : enqueue(parcel, until - System.nanoTime());
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      isTaken = false;
    }
    return isTaken ? CompletableResultCode.ofSuccess() : CompletableResultCode.ofFailure();
  }

  private List<Parcel> parcels(List<SpanData> spans) {
    OtlpSpans.Converted converted = OtlpSpans.of(spans);
    List<Parcel> parcels = new ArrayList<>();
    int at = 0;
    for (SpanBatch batch : signer.split(converted.messages())) {
      parcels.add(new Parcel(converted.ordered().subList(at, at + batch.spans()), batch));
      at += batch.spans();
    }
    return parcels;
  }

  private boolean enqueue(Parcel parcel, long nanos) throws InterruptedException {
    ParcelQueue.Admission admission;
    try {
      admission = queue.add(parcel, nanos);
    } catch (InterruptedException e) {
      account.lost(LossCause.SHUTDOWN, parcel.spans(), "the processor was interrupted");
      throw e;
    }
    switch (admission) {
      case FULL -> account.lost(LossCause.QUEUE_FULL, parcel.spans(), "the queue had no room in time");
      case CLOSED -> account.lost(LossCause.SHUTDOWN, parcel.spans(), "the exporter is shut down");
      default -> {
        return true;
      }
    }
    return false;
  }

  private boolean deliverNow(Parcel parcel) throws InterruptedException {
    if (isShutDown.get()) {
      account.lost(LossCause.SHUTDOWN, parcel.spans(), "the exporter is shut down");
      return false;
    }
    direct.add(parcel);
    try {
      parcel.signedBy(signer.sign(parcel.batch(), parcel.leftOf(timeout)));
      return courier.deliver(parcel, timeout, LossCause.TIMEOUT);
    } catch (TimeoutException e) {
      loseUnlessSettled(LossCause.TIMEOUT, parcel, "the service did not answer those before them");
    } catch (IllegalStateException e) {
      loseUnlessSettled(LossCause.SHUTDOWN, parcel, "the exporter is shut down");
    } catch (InterruptedException e) {
      loseUnlessSettled(LossCause.SHUTDOWN, parcel, "the processor was interrupted");
      throw e;
    } finally {
      direct.remove(parcel);
    }
    return false;
  }

  /** Counts a parcel as lost unless it was settled before. */
  private void loseUnlessSettled(LossCause cause, Parcel parcel, String why) {
    if (parcel.settle()) {
      account.lost(cause, parcel.spans(), why);
    }
  }

  /** Keeps the signer busy ahead of the deliveries. */
  private void signAll() throws InterruptedException {
    while (true) {
      Parcel parcel = queue.takeUnsigned();
      if (!parcel.isSettled()) {
        parcel.signedBy(signer.sign(parcel.batch()));
      }
    }
  }

  private void deliverAll() throws InterruptedException {
    while (true) {
      Parcel parcel = queue.first();
      courier.deliver(parcel, deliveryAge, LossCause.UNDELIVERABLE);
      queue.finish(parcel);
    }
  }

  private interface Work {
    void run() throws InterruptedException;
  }

  private void start(String name, Work work) {
    Thread thread =
        new Thread(
            () -> {
              try {
                work.run();
              } catch (InterruptedException | IllegalStateException e) {
                // The exporter is shut down.
              }
            },
            name);
    thread.setDaemon(true);
    thread.start();
    threads.add(thread);
  }

  /** Succeeds once all that was given before is delivered or lost, and the delegate is flushed. */
  @Override
  public CompletableResultCode flush() {
    CompletableResultCode result = new CompletableResultCode();
    CompletableResultCode ours = queue == null ? CompletableResultCode.ofSuccess() : queue.flush();
    ours.whenComplete(
        () -> {
          CompletableResultCode theirs = delegate.flush();
          theirs.whenComplete(() -> complete(result, theirs.isSuccess()));
        });
    return result;
  }

  /** Returns how many spans were lost so far. */
  long lost() {
    return account.lost();
  }

  static void complete(CompletableResultCode result, boolean isSuccess) {
    if (isSuccess) {
      result.succeed();
    } else {
      result.fail();
    }
  }

  /** Shuts down as {@link #shutdown(Duration)} does, within 30 s, on a thread of its own. Fails if spans were not delivered. */
  @Override
  public CompletableResultCode shutdown() {
    Thread thread =
        new Thread(
            () -> {
              try {
                shutdown(SHUTDOWN_TIMEOUT);
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            },
            "fluo-kms-shutdown");
    thread.setDaemon(true);
    thread.start();
    return shutdown;
  }

  /**
   * Delivers what is in the queue, as far as the time allows, and shuts the delegate down. Returns how many spans of the
   * queue were not delivered; they are told as {@link LossCause#SHUTDOWN}. The first call counts;
   * another waits for it, and returns how many spans still wait if that takes longer than its own time.
   *
   * @throws InterruptedException if the thread is interrupted while it waits; the exporter is shut down all the same
   */
  public long shutdown(Duration most) throws InterruptedException {
    if (!isShutDown.compareAndSet(false, true)) {
      shutdown.join(most.toNanos(), TimeUnit.NANOSECONDS);
      return shutdown.isDone() ? undelivered : waiting().spans();
    }
    try {
      if (queue != null) {
        queue.close(most.toNanos());
      }
    } finally {
      end();
    }
    return undelivered;
  }

  private void end() {
    courier.abort();
    threads.forEach(Thread::interrupt);
    if (queue != null) {
      queue.drain(parcel -> loseUnlessSettled(LossCause.SHUTDOWN, parcel, "the exporter was shut down before"));
    }
    gauges.forEach(ObservableLongGauge::close);
    undelivered = stats().lost().getOrDefault(LossCause.SHUTDOWN, 0L);
    signer.close();
    CompletableResultCode theirs = delegate.shutdown();
    theirs.whenComplete(() -> complete(shutdown, theirs.isSuccess() && undelivered == 0));
  }

  /** Returns what became of spans so far, and what waits now. */
  public ExporterStats stats() {
    return account.stats(waiting());
  }

  private Waiting waiting() {
    if (queue != null) {
      return queue.held();
    }
    long spans = 0;
    long bytes = 0;
    for (Parcel parcel : direct) {
      spans += parcel.batch().spans();
      bytes += parcel.batch().bytes();
    }
    return new Waiting(spans, bytes);
  }

  /** How to sign and deliver. */
  public static final class Builder {
    private final SpanExporter delegate;
    private final KmsClient client;
    private final String tenant;
    private SignMode mode = SignMode.SIGN_MODE_LOG;
    private boolean hasQueue = true;
    private int queueSpans = 20_000;
    private long queueBytes = 64L * 1024 * 1024;
    private Duration timeout = Duration.ofSeconds(30);
    private Duration deliveryAge = Duration.ofHours(1);
    private OnRefused onRefused = OnRefused.FORWARD;
    private Consumer<Loss> listener = loss -> {};
    private MeterProvider meterProvider = MeterProvider.noop();

    private Builder(SpanExporter delegate, KmsClient client, String tenant) {
      this.delegate = delegate;
      this.client = client;
      this.tenant = tenant;
    }

    /** Signs in this mode; SIGN_MODE_LOG unless said. */
    public Builder mode(SignMode mode) {
      this.mode = mode;
      return this;
    }

    /** Bounds the queue; 20,000 spans and 64 MiB of them as OTLP unless said. */
    public Builder queue(int spans, long bytes) {
      if (spans < 1 || bytes < 1) {
        throw new IllegalArgumentException("a queue holds something; for none call withoutQueue()");
      }
      this.hasQueue = true;
      this.queueSpans = spans;
      this.queueBytes = bytes;
      return this;
    }

    /** Has {@code export} sign and deliver itself, within the timeout; what takes longer is lost. */
    public Builder withoutQueue() {
      this.hasQueue = false;
      return this;
    }

    /** Bounds one export: give the export timeout of the processor; 30 s unless said. */
    public Builder timeout(Duration timeout) {
      this.timeout = timeout;
      return this;
    }

    /** Gives up spans that could not be delivered for so long; 1 h unless said. */
    public Builder deliveryAge(Duration deliveryAge) {
      this.deliveryAge = deliveryAge;
      return this;
    }

    /** Says what becomes of spans that the service refuses; they are delivered without a signature unless said. */
    public Builder onRefused(OnRefused onRefused) {
      this.onRefused = onRefused;
      return this;
    }

    /** Calls the listener with each loss, on a thread of the exporter or of the processor. It must not block. */
    public Builder onLoss(Consumer<Loss> listener) {
      this.listener = listener;
      return this;
    }

    /** Calls the listener with the cause and the spans of each loss, as {@link #onLoss} does. The last listener counts. */
    public Builder onLost(LossListener listener) {
      return onLoss(loss -> listener.lost(loss.cause(), loss.spans()));
    }

    /**
     * Registers the gauges {@code fluo.kms.exporter.waiting.spans} and {@code fluo.kms.exporter.waiting.bytes}, with the
     * attribute {@code fluo.kms.tenant}, at this provider, until the shutdown. By default there are none: an exporter is
     * built before the global SDK.
     */
    public Builder meterProvider(MeterProvider meterProvider) {
      this.meterProvider = meterProvider;
      return this;
    }

    /** Makes the exporter. It connects with the first spans. */
    public SigningSpanExporter build() {
      return new SigningSpanExporter(this);
    }
  }
}
