package dev.fluo.kms;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/** Waits between attempts: each twice as long as the one before, up to a most, and up to half of it shorter by chance. */
public final class Backoff {
  private final long firstNanos;
  private final long mostNanos;
  private long nextNanos;

  /**
   * Makes the waits of one series of attempts. Not for several threads.
   *
   * @param first the first wait
   * @param most the longest wait
   */
  public Backoff(Duration first, Duration most) {
    this.firstNanos = first.toNanos();
    this.mostNanos = most.toNanos();
    this.nextNanos = firstNanos;
  }

  /** Returns how long to wait now. */
  public Duration next() {
    long nanos = nextNanos;
    nextNanos = Math.min(2 * nextNanos, mostNanos);
    return Duration.ofNanos(nanos - ThreadLocalRandom.current().nextLong(nanos / 2 + 1));
  }

  /** Begins with the first wait again, once an attempt came out well. */
  public void reset() {
    nextNanos = firstNanos;
  }
}
