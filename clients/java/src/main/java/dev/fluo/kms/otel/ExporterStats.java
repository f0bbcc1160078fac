package dev.fluo.kms.otel;

import java.util.Map;

/**
 * What became of spans since the exporter was made. Each span that was given is delivered, lost, or still here.
 *
 * @param delivered spans that the delegate took, those without a signature included
 * @param refused spans that the service refused to sign
 * @param lost spans that were lost, by cause; causes without any are left out
 * @param waitingSpans spans in the queue or, without one, of the exports under way
 * @param waitingBytes what these take as OTLP messages
 */
public record ExporterStats(
    long delivered, long refused, Map<LossCause, Long> lost, long waitingSpans, long waitingBytes) {
  /** Makes those of an exporter in which nothing waits. */
  public ExporterStats(long delivered, long refused, Map<LossCause, Long> lost) {
    this(delivered, refused, lost, 0, 0);
  }
}
