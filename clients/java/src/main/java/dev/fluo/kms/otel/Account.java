package dev.fluo.kms.otel;

import io.opentelemetry.sdk.trace.data.SpanData;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.logging.Level;
import java.util.logging.Logger;

/** Counts what becomes of spans; tells of each loss by callback, and at most once in 10 s and cause by log. */
final class Account {
  private static final Logger LOGGER = Logger.getLogger(SigningSpanExporter.class.getName());
  private static final long LOG_EVERY_NANOS = TimeUnit.SECONDS.toNanos(10);

  private final Consumer<Loss> listener;
  private final Map<LossCause, Long> lost = new EnumMap<>(LossCause.class);
  private final Map<Object, Quiet> quiet = new java.util.HashMap<>();
  private long delivered;
  private long refused;

  /** When a cause was logged last, and how many spans were not logged since. */
  private static final class Quiet {
    private long loggedAt;
    private long spans;
  }

  Account(Consumer<Loss> listener) {
    this.listener = listener;
  }

  synchronized void delivered(int spans) {
    delivered += spans;
  }

  synchronized void refused(String why) {
    refused++;
    log("refused", 1, "spans are refused by the service: " + why);
  }

  /** @param why for the listener and the log; must not show what spans hold */
  void lost(LossCause cause, List<SpanData> spans, String why) {
    if (spans.isEmpty()) {
      return;
    }
    synchronized (this) {
      lost.merge(cause, (long) spans.size(), Long::sum);
      log(cause, spans.size(), "spans are lost (" + cause.word() + "): " + why);
    }
    try {
      listener.accept(new Loss(cause, List.copyOf(spans), why));
    } catch (RuntimeException e) {
      LOGGER.log(Level.WARNING, "the listener of losses failed", e);
    }
  }

  /** Returns how many spans were lost, whatever the cause. */
  synchronized long lost() {
    return lost.values().stream().mapToLong(Long::longValue).sum();
  }

  synchronized ExporterStats stats(Waiting waiting) {
    return new ExporterStats(delivered, refused, Map.copyOf(lost), waiting.spans(), waiting.bytes());
  }

  private void log(Object what, int spans, String text) {
    long now = System.nanoTime();
    Quiet since = quiet.get(what);
    if (since != null && now - since.loggedAt < LOG_EVERY_NANOS) {
      since.spans += spans;
      return;
    }
    long all = spans + (since == null ? 0 : since.spans);
    Quiet next = new Quiet();
    next.loggedAt = now;
    quiet.put(what, next);
    LOGGER.warning(all + " " + text);
  }
}
