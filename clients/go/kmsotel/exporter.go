package kmsotel

import (
	"context"
	"errors"
	"fmt"

	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
)

// Exporter is an OpenTelemetry SpanExporter whose spans arrive signed.
type Exporter struct {
	*otlptrace.Exporter
	client *signingClient
}

// New returns an exporter that signs spans in the name of a tenant, by client, and delivers them by delegate:
// otlptracehttp.NewClient() or otlptracegrpc.NewClient(). Without options it signs in log mode, with a queue.
//
// Shut the tracer provider down before the client is closed: [Exporter.Shutdown] delivers what is queued.
func New(ctx context.Context, delegate otlptrace.Client, client kmsv1.KmsServiceClient, tenant string, options ...Option) (*Exporter, error) {
	s := defaults()
	for _, option := range options {
		option(&s)
	}
	signing := newSigningClient(delegate, client, tenant, s)
	var err error
	if signing.gauges, err = signing.observeWaiting(); err != nil {
		signing.abort()
		return nil, err
	}
	exporter, err := otlptrace.New(ctx, signing) // starts the delegate, so it comes last
	if err != nil {
		signing.abort()
		return nil, err
	}
	return &Exporter{exporter, signing}, nil
}

// Shutdown delivers what is queued until ctx ends, and stops. It returns [*UndeliveredError] if spans are left, which
// are lost.
func (e *Exporter) Shutdown(ctx context.Context) error { return e.Exporter.Shutdown(ctx) }

// ForceFlush waits until what is queued was delivered or lost, or ctx ends. The SDK never calls it, and its processor
// has a queue of its own: flush the tracer provider, which waits for both with [Exporter.BatchProcessor].
func (e *Exporter) ForceFlush(ctx context.Context) error {
	_, err := e.flush(ctx, e.client.tally.lostSpans())
	return err
}

// flush also returns [*UndeliveredError] if more spans are lost than before, or wait when ctx ends.
func (e *Exporter) flush(ctx context.Context, lostBefore int) (left int, err error) {
	err = e.client.flush(ctx)
	left = e.client.tally.lostSpans() - lostBefore
	if err != nil {
		left += e.client.waiting().Spans
	}
	if left > 0 {
		err = errors.Join(&UndeliveredError{Spans: left}, err)
	}
	return left, err
}

// Stats counts what became of the spans so far, and what waits now.
func (e *Exporter) Stats() Stats {
	found, waiting := e.client.tally.stats(), e.client.waiting()
	found.WaitingSpans, found.WaitingBytes = waiting.Spans, waiting.Bytes
	return found
}

// UndeliveredError says how many spans a flush or a shutdown did not deliver. Those that a flush left waiting may be
// delivered later; all others are lost.
type UndeliveredError struct {
	// Spans is at least 1.
	Spans int
}

// Error says how many.
func (e *UndeliveredError) Error() string {
	return fmt.Sprintf("kmsotel: %d spans were not delivered", e.Spans)
}
