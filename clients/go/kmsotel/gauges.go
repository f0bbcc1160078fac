package kmsotel

import (
	"context"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// observeWaiting registers gauges of what waits, which are read until the registration ends.
func (c *signingClient) observeWaiting() (metric.Registration, error) {
	meter := c.meters.Meter("github.com/fluo-dev/fluo-kms/clients/go/kmsotel", metric.WithInstrumentationVersion(kms.Version))
	spans, err := meter.Int64ObservableGauge("fluo.kms.exporter.waiting.spans", metric.WithUnit("{span}"),
		metric.WithDescription("Spans that a signing exporter has neither delivered nor lost yet"))
	if err != nil {
		return nil, err
	}
	bytes, err := meter.Int64ObservableGauge("fluo.kms.exporter.waiting.bytes", metric.WithUnit("By"),
		metric.WithDescription("What the spans that wait in a signing exporter take as OTLP messages"))
	if err != nil {
		return nil, err
	}
	tenant := metric.WithAttributes(attribute.String("fluo.kms.tenant", c.tenant))
	return meter.RegisterCallback(func(_ context.Context, observer metric.Observer) error {
		found := c.waiting()
		observer.ObserveInt64(spans, int64(found.Spans), tenant)
		observer.ObserveInt64(bytes, int64(found.Bytes), tenant)
		return nil
	}, spans, bytes)
}
