package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsotel"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// exportWorld is what export is given beside what other commands are.
type exportWorld struct {
	Backend string `json:"backend"`
	Mode    string `json:"mode"`
	Spans   int    `json:"spans"`
	WarmUp  int    `json:"warmUp"`
	Queue   *struct {
		Spans int `json:"spans"`
		Bytes int `json:"bytes"`
	} `json:"queue"`
	ExportTimeoutMs int      `json:"exportTimeoutMs"`
	Batch           int      `json:"batch"`
	ProcessorQueue  int      `json:"processorQueue"`
	RatePerSecond   *float64 `json:"ratePerSecond"`
	Plain           bool     `json:"plain"`
	ShutdownMs      int      `json:"shutdownMs"`
	// How is of flush alone.
	How string `json:"how"`
}

type exportReport struct {
	Ended            int                      `json:"ended"`
	Delivered        *int                     `json:"delivered,omitempty"`
	Refused          *int                     `json:"refused,omitempty"`
	Lost             map[kmsotel.Cause]int    `json:"lost,omitzero"`
	Told             map[kmsotel.Cause]int    `json:"told,omitzero"`
	Why              map[kmsotel.Cause]string `json:"why,omitzero"`
	WaitingSpans     *int                     `json:"waitingSpans,omitempty"`
	WaitingBytes     *int                     `json:"waitingBytes,omitempty"`
	Undelivered      *int                     `json:"undelivered,omitempty"`
	CPUMicrosPerSpan float64                  `json:"cpuMicrosPerSpan"`
}

func export(found *results, given world) error {
	ctx := context.Background()
	client, err := kms.Dial(given.Service, kms.WithInsecure(), kms.WithStatsHandler(tracing{}))
	if err != nil {
		return err
	}
	defer client.Close()
	timeout := time.Duration(given.ExportTimeoutMs) * time.Millisecond
	delegate := otlptracehttp.NewClient(otlptracehttp.WithEndpointURL(given.Backend), otlptracehttp.WithTimeout(timeout),
		otlptracehttp.WithHTTPClient(&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}))
	told := newLosses()
	var exporter trace.SpanExporter
	var signing *kmsotel.Exporter
	if given.Plain {
		exporter, err = otlptrace.New(ctx, delegate)
	} else {
		signing, err = kmsotel.New(ctx, delegate, client, given.Tenant, given.signingOptions(timeout, told)...)
		exporter = signing
	}
	if err != nil {
		return err
	}
	provider := trace.NewTracerProvider(
		trace.WithBatcher(exporter, trace.WithMaxExportBatchSize(given.Batch), trace.WithMaxQueueSize(given.ProcessorQueue), trace.WithExportTimeout(timeout)),
		trace.WithResource(resource.NewSchemaless(attribute.String("service.name", "go"))))
	otel.SetTracerProvider(provider)
	flush := func() {
		_ = provider.ForceFlush(ctx) // what it lost is counted
		if signing != nil {
			bounded, cancel := context.WithTimeout(ctx, time.Duration(given.ShutdownMs)*time.Millisecond)
			defer cancel()
			_ = signing.ForceFlush(bounded)
		}
	}
	tracer := provider.Tracer("conformance")
	for i := range given.WarmUp {
		endSpan(ctx, tracer, fmt.Sprintf("w-%d", i), i)
	}
	if given.WarmUp > 0 {
		flush()
	}
	cpu := cpuTime()
	began := time.Now()
	for i := range given.Spans {
		if given.RatePerSecond != nil {
			time.Sleep(time.Until(began.Add(time.Duration(float64(i) / *given.RatePerSecond * float64(time.Second)))))
		}
		endSpan(ctx, tracer, fmt.Sprintf("s-%d", i), i)
	}
	fmt.Printf("ENDED %d\n", given.Spans)
	flush()
	report := exportReport{Ended: given.Spans + given.WarmUp, CPUMicrosPerSpan: float64((cpuTime() - cpu).Microseconds()) / float64(max(1, given.Spans))}
	bounded, cancel := context.WithTimeout(ctx, time.Duration(given.ShutdownMs)*time.Millisecond)
	defer cancel()
	err = provider.Shutdown(bounded)
	if signing != nil {
		report.add(signing.Stats(), told, err)
	}
	found.check(true, "spans are exported")
	return writeJSON(given.Out, report)
}

func (w exportWorld) signingOptions(timeout time.Duration, told *losses) []kmsotel.Option {
	options := []kmsotel.Option{kmsotel.WithTimeout(timeout), kmsotel.WithOnLoss(told.add)}
	if w.Queue == nil {
		options = append(options, kmsotel.WithoutQueue())
	} else {
		options = append(options, kmsotel.WithQueue(kmsotel.Queue{Spans: w.Queue.Spans, Bytes: w.Queue.Bytes}))
	}
	if w.Mode == "INDIVIDUAL" {
		options = append(options, kmsotel.WithMode(kmsv1.SignMode_SIGN_MODE_INDIVIDUAL))
	}
	return options
}

func (r *exportReport) add(found kmsotel.Stats, told *losses, err error) {
	var left int
	var undelivered *kmsotel.UndeliveredError
	if errors.As(err, &undelivered) {
		left = undelivered.Spans
	}
	told.mu.Lock()
	defer told.mu.Unlock()
	r.Delivered, r.Refused, r.Lost, r.Told, r.Undelivered = &found.Delivered, &found.Refused, found.Lost, told.spans, &left
	r.Why, r.WaitingSpans, r.WaitingBytes = told.why, &found.WaitingSpans, &found.WaitingBytes
}

// losses sums up what the callback is told, and prints it.
type losses struct {
	mu    sync.Mutex
	spans map[kmsotel.Cause]int
	// why has the last reason of each cause.
	why map[kmsotel.Cause]string
}

func newLosses() *losses {
	return &losses{spans: map[kmsotel.Cause]int{}, why: map[kmsotel.Cause]string{}}
}

func (l *losses) add(loss kmsotel.Loss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spans[loss.Cause] += loss.Spans
	l.why[loss.Cause] = loss.Err.Error()
	_, _ = fmt.Fprintf(os.Stdout, "LOST %s %d\n", loss.Cause, loss.Spans)
}

func endSpan(ctx context.Context, tracer tracer, name string, number int) {
	_, span := tracer.Start(ctx, name)
	span.SetAttributes(
		attribute.String("string", "größe"), attribute.Bool("bool", number%2 == 0), attribute.Int("int", number), attribute.Float64("double", 0.1),
		attribute.StringSlice("strings", []string{"a", ""}), attribute.BoolSlice("bools", []bool{true, false}),
		attribute.IntSlice("ints", []int{1, -1}), attribute.Float64Slice("doubles", []float64{1e300, -0.5}))
	span.AddEvent("event")
	span.SetStatus(codes.Error, "no reason")
	span.End()
}
