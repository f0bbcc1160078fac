// Command loans is a small service with OpenTelemetry whose spans are signed, and whose customers are encrypted:
//
//	go run .         # serves on 127.0.0.1:8090
//	go run . -demo   # sends itself requests, verifies what was exported, and ends
//
// It needs a fluo-kms: npm start in the project's folder, or -kms and -keys for another one.
//
//	curl -X POST -d '{"id": "7", "email": "ann@example.com", "amount": 5000}' 127.0.0.1:8090/loans
//	curl 127.0.0.1:8090/loans/7
//	curl 127.0.0.1:8090/audit
//
// Its spans go to the endpoint that OTEL_EXPORTER_OTLP_ENDPOINT names, or to the file spans.otlp.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
)

const tenant = "acme"

type settings struct {
	listen, kms, keys, spans string
	demo                     bool
}

func main() {
	var s settings
	flag.StringVar(&s.listen, "listen", "127.0.0.1:8090", "`HOST:PORT` to serve on")
	flag.StringVar(&s.kms, "kms", "localhost:9000", "`HOST:PORT` of fluo-kms, without TLS")
	flag.StringVar(&s.keys, "keys", "http://localhost:8080", "`URL` where fluo-kms serves public keys")
	flag.StringVar(&s.spans, "spans", "spans.otlp", "`FILE` for spans if no endpoint is set")
	flag.BoolVar(&s.demo, "demo", false, "send requests, verify, and end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, s); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, s settings) (err error) {
	client, err := kms.Dial(s.kms, kms.WithInsecure())
	if err != nil {
		return err
	}
	defer client.Close()
	provider, exporter, err := startTelemetry(ctx, client, s.spans)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	flush := func(ctx context.Context) error {
		return errors.Join(provider.ForceFlush(ctx), exporter.ForceFlush(ctx))
	}
	audit := auditor{keys: s.keys, spans: s.spans, flush: flush}
	server := &http.Server{Handler: newHandler(client, provider.Tracer("loans"), audit), ReadHeaderTimeout: 10 * time.Second}
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()
	fmt.Printf("serving on http://%s\n", listener.Addr())
	if s.demo {
		err = demo(ctx, "http://"+listener.Addr().String())
	} else {
		select {
		case err = <-serving:
		case <-ctx.Done():
		}
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	// The spans of requests that are under way are exported too: first the server, then the provider.
	return errors.Join(err, server.Shutdown(bounded), provider.Shutdown(bounded))
}
