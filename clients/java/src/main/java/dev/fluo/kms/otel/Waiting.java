package dev.fluo.kms.otel;

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.metrics.Meter;
import io.opentelemetry.api.metrics.MeterProvider;
import io.opentelemetry.api.metrics.ObservableLongGauge;
import java.util.List;
import java.util.function.Supplier;

/** Spans that an exporter has neither delivered nor lost yet, and what they take as OTLP messages. */
record Waiting(long spans, long bytes) {
  /** Registers gauges of it, which are read until they are closed. */
  static List<ObservableLongGauge> gauges(MeterProvider provider, String tenant, Supplier<Waiting> now) {
    Meter meter = provider.get("dev.fluo.kms.otel");
    Attributes attributes = Attributes.of(AttributeKey.stringKey("fluo.kms.tenant"), tenant);
    return List.of(
        meter
            .gaugeBuilder("fluo.kms.exporter.waiting.spans")
            .ofLongs()
            .setUnit("{span}")
            .setDescription("Spans that a signing exporter has neither delivered nor lost yet")
            .buildWithCallback(gauge -> gauge.record(now.get().spans(), attributes)),
        meter
            .gaugeBuilder("fluo.kms.exporter.waiting.bytes")
            .ofLongs()
            .setUnit("By")
            .setDescription("What the spans that wait in a signing exporter take as OTLP messages")
            .buildWithCallback(gauge -> gauge.record(now.get().bytes(), attributes)));
  }
}
