package dev.fluo.kms.otel;

import io.opentelemetry.sdk.trace.data.SpanData;
import java.util.List;

/**
 * Spans that this exporter will not deliver.
 *
 * @param cause the count that they are in
 * @param spans as they were given, or with the attributes that they have by now
 * @param why in words: what the service or the backend said, if one of them refused the spans
 */
public record Loss(LossCause cause, List<SpanData> spans, String why) {}
