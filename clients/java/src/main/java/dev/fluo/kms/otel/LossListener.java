package dev.fluo.kms.otel;

import io.opentelemetry.sdk.trace.data.SpanData;
import java.util.List;

/** Listener of losses. It is called on a thread of the exporter or of the processor, and must not block. */
@FunctionalInterface
public interface LossListener {
  /**
   * Spans will not come to the backend by this exporter.
   *
   * @param cause why
   * @param spans as they were given, or with the attributes that they have by now
   */
  void lost(LossCause cause, List<SpanData> spans);
}
