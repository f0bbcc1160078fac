// Package kmsotel signs the spans that OpenTelemetry exports. It goes between the exporter and the client that sends
// for it, so that the bytes that are signed are those of the messages that are sent:
//
//	client, err := kms.Dial("kms.example.com:9000")
//	…
//	exporter, err := kmsotel.New(ctx, otlptracehttp.NewClient(), client, "acme")
//	…
//	provider := trace.NewTracerProvider(trace.WithSpanProcessor(exporter.BatchProcessor()))
//
// A span's data is fixed when it ends, and a processor must not wait: so it is an exporter that signs, and no
// processor. OpenTelemetry's processors drop a batch whose export failed. Therefore this exporter keeps batches in a
// bounded queue of its own, signs and delivers them in order, and repeats what fails.
//
// It promises that spans arrive at the backend at least once, and get at most one entry in the log while the process
// lives. What is lost all the same is counted by its cause ([Exporter.Stats]), told to a callback ([WithOnLost]), and
// logged. Spans in memory at a crash are lost; for more, put a Collector with a queue on disk behind it.
package kmsotel
