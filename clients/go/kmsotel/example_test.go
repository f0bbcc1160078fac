package kmsotel_test

import (
	"context"
	"errors"
	"log"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsotel"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/trace"
)

func Example() {
	ctx := context.Background()
	client, err := kms.Dial("localhost:9000", kms.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	exporter, err := kmsotel.New(ctx, otlptracehttp.NewClient(), client, "acme")
	if err != nil {
		log.Fatal(err)
	}
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(exporter.BatchProcessor()))
	otel.SetTracerProvider(provider)

	defer func() {
		bounded, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		err := provider.Shutdown(bounded)
		var left *kmsotel.UndeliveredError
		if errors.As(err, &left) {
			log.Printf("%d spans were not delivered", left.Spans)
		}
	}()
}
