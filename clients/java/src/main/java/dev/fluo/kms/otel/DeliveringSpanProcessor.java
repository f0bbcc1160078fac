package dev.fluo.kms.otel;

import io.opentelemetry.context.Context;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.trace.ReadWriteSpan;
import io.opentelemetry.sdk.trace.ReadableSpan;
import io.opentelemetry.sdk.trace.SpanProcessor;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;

/**
 * The SDK's batch processor, whose flush also waits for deliveries: its own ends when the exporter has taken the spans
 * into its queue. Its shutdown needs nothing more, for it waits for that of the exporter.
 */
final class DeliveringSpanProcessor implements SpanProcessor {
  private final BatchSpanProcessor batches;
  private final SigningSpanExporter exporter;

  DeliveringSpanProcessor(BatchSpanProcessor batches, SigningSpanExporter exporter) {
    this.batches = batches;
    this.exporter = exporter;
  }

  @Override
  public void onStart(Context parent, ReadWriteSpan span) {
    batches.onStart(parent, span);
  }

  @Override
  public boolean isStartRequired() {
    return batches.isStartRequired();
  }

  @Override
  public void onEnd(ReadableSpan span) {
    batches.onEnd(span);
  }

  @Override
  public boolean isEndRequired() {
    return batches.isEndRequired();
  }

  @Override
  public CompletableResultCode forceFlush() {
    CompletableResultCode result = new CompletableResultCode();
    long lostBefore = exporter.lost();
    CompletableResultCode handedOver = batches.forceFlush();
    handedOver.whenComplete(
        () -> {
          CompletableResultCode delivered = exporter.flush();
          delivered.whenComplete(
              () -> {
                boolean isWhole = handedOver.isSuccess() && delivered.isSuccess() && exporter.lost() == lostBefore;
                SigningSpanExporter.complete(result, isWhole);
              });
        });
    return result;
  }

  @Override
  public CompletableResultCode shutdown() {
    return batches.shutdown();
  }

  @Override
  public String toString() {
    return "DeliveringSpanProcessor{" + batches + "}";
  }
}
