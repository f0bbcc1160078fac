package kmsotel

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/sdk/trace"
)

// BatchProcessor returns the SDK's batch processor for this exporter, with the SDK's options, whose flush waits for
// delivery. Give it to the tracer provider by [trace.WithSpanProcessor]:
//
//	provider := trace.NewTracerProvider(trace.WithSpanProcessor(exporter.BatchProcessor()))
//
// The processor of [trace.WithBatcher] hands its spans over when it is flushed, and asks nothing about what becomes of
// them. ForceFlush of this one returns once all spans that ended before are delivered or lost, or its context ends. Its
// error, and that of Shutdown, is [*UndeliveredError] if spans were not delivered.
func (e *Exporter) BatchProcessor(options ...trace.BatchSpanProcessorOption) trace.SpanProcessor {
	return &batchProcessor{trace.NewBatchSpanProcessor(e, options...), e}
}

type batchProcessor struct {
	trace.SpanProcessor
	exporter *Exporter
}

// ForceFlush has the SDK's processor export what it holds, then waits until the exporter has delivered it.
func (b *batchProcessor) ForceFlush(ctx context.Context) error {
	before := b.exporter.client.tally.lostSpans()
	handedOver := b.SpanProcessor.ForceFlush(ctx)
	left, err := b.exporter.flush(ctx, before)
	if left > 0 {
		return err // says the same of an export that failed
	}
	return errors.Join(handedOver, err)
}

// Shutdown is the SDK's, which has the exporter deliver until ctx ends. It drops the exporter's error at that end, and says
// nothing of spans that were refused for good: what was not delivered is counted here.
func (b *batchProcessor) Shutdown(ctx context.Context) error {
	before := b.exporter.client.tally.lostSpans()
	err := b.SpanProcessor.Shutdown(ctx)
	var known *UndeliveredError
	if errors.As(err, &known) {
		return err
	}
	left := b.exporter.client.tally.lostSpans() - before + b.exporter.client.waiting().Spans
	if left == 0 {
		return err
	}
	return errors.Join(&UndeliveredError{Spans: left}, err)
}
