package main

import (
	"context"
	"fmt"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsotel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/trace"
)

type flushReport struct {
	Ended     int  `json:"ended"`
	Delivered int  `json:"delivered"`
	OK        bool `json:"ok"`
}

// flush ends spans, and says what was delivered once the provider's flush or shutdown has returned.
func flush(found *results, given world) (err error) {
	ctx := context.Background()
	client, err := kms.Dial(given.Service, kms.WithInsecure())
	if err != nil {
		return err
	}
	defer client.Close()
	timeout := time.Duration(given.ExportTimeoutMs) * time.Millisecond
	delegate := otlptracehttp.NewClient(otlptracehttp.WithEndpointURL(given.Backend), otlptracehttp.WithTimeout(timeout))
	exporter, err := kmsotel.New(ctx, delegate, client, given.Tenant, given.signingOptions(timeout, newLosses())...)
	if err != nil {
		return err
	}
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(exporter.BatchProcessor(
		trace.WithMaxExportBatchSize(given.Batch), trace.WithMaxQueueSize(given.ProcessorQueue), trace.WithExportTimeout(timeout))))
	tracer := provider.Tracer("conformance")
	for i := range given.Spans {
		endSpan(ctx, tracer, fmt.Sprintf("s-%d", i), i)
	}
	bounded, cancel := context.WithTimeout(ctx, time.Duration(given.ShutdownMs)*time.Millisecond)
	defer cancel()
	switch given.How {
	case "flush":
		err = provider.ForceFlush(bounded)
	case "shutdown":
		err = provider.Shutdown(bounded)
	default:
		return fmt.Errorf("there is no flush by %q", given.How)
	}
	report := flushReport{given.Spans, exporter.Stats().Delivered, err == nil}
	if err := writeJSON(given.Out, report); err != nil {
		return err
	}
	end, cancelEnd := context.WithTimeout(ctx, time.Duration(given.ShutdownMs)*time.Millisecond)
	defer cancelEnd()
	_ = provider.Shutdown(end) // what it does not deliver is not what this is about
	found.check(true, "spans are flushed")
	return nil
}
