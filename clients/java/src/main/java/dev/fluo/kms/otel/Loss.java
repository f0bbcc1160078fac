package dev.fluo.kms.otel;

import io.opentelemetry.sdk.trace.data.SpanData;
import java.util.List;

/**
 * Spans that will not come to the backend by this exporter.
 *
 * @param cause what they are counted by
 * @param spans as they were given, or with the attributes that they have by now
 * @param why in words: what the service or the backend said, if one of them refused the spans
 */
public record Loss(LossCause cause, List<SpanData> spans, String why) {}
