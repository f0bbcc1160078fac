package dev.fluo.kms;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;

/**
 * How long ago something was, by whichever of two clocks says more: a computer that sleeps may stop the one, and whoever
 * sets the time changes the other.
 */
final class Age {
  private final Clock clock;
  private final Instant since;
  private final long sinceNanos = System.nanoTime();

  Age(Clock clock) {
    this.clock = clock;
    this.since = clock.instant();
  }

  boolean isAtLeast(Duration duration) {
    return !clock.instant().isBefore(since.plus(duration)) || System.nanoTime() - sinceNanos >= duration.toNanos();
  }
}
