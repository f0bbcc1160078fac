package main

import (
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"sync"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// application is for a loan. What names the customer is encrypted before it is kept.
type application struct {
	ID     string `json:"id"`
	Email  string `json:"email" kms:"email"`
	Amount int    `json:"amount"`
}

// A token opens only under this context.
var table = map[string]string{"table": "applications"}

type loans struct {
	client *kms.Client
	tracer trace.Tracer

	mu   sync.Mutex
	kept map[string]application
}

func newHandler(client *kms.Client, tracer trace.Tracer, audit auditor) http.Handler {
	l := &loans{client: client, tracer: tracer, kept: map[string]application{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /loans", l.traced("decide", l.decide))
	mux.HandleFunc("GET /loans/{id}", l.traced("show", l.show))
	mux.Handle("GET /audit", audit)
	return mux
}

var errNotFound = errors.New("there is no such application")

// traced makes a span of a request. What it says is signed: it must not name the customer.
func (l *loans) traced(name string, handle func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, span := l.tracer.Start(r.Context(), name)
		defer span.End()
		answer, err := handle(r.WithContext(ctx))
		if err != nil {
			span.SetStatus(codes.Error, "failed")
			log.Printf("%s: %v", name, err)
			status := http.StatusInternalServerError
			if errors.Is(err, errNotFound) {
				status = http.StatusNotFound
			}
			http.Error(w, http.StatusText(status), status)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			log.Printf("%s: %v", name, err)
		}
	}
}

func (l *loans) decide(r *http.Request) (any, error) {
	var given application
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<16)).Decode(&given); err != nil {
		return nil, err
	}
	encrypted, err := kms.EncryptRecord(r.Context(), l.client, tenant, given, table)
	if err != nil {
		return nil, err
	}
	approved := given.Amount <= 10_000
	trace.SpanFromContext(r.Context()).SetAttributes(attribute.String("application", given.ID), attribute.Bool("approved", approved))
	l.mu.Lock()
	l.kept[given.ID] = encrypted
	l.mu.Unlock()
	return map[string]any{"approved": approved, "kept": encrypted}, nil
}

func (l *loans) show(r *http.Request) (any, error) {
	l.mu.Lock()
	encrypted, ok := l.kept[r.PathValue("id")]
	l.mu.Unlock()
	if !ok {
		return nil, errNotFound
	}
	return kms.DecryptRecord(r.Context(), l.client, tenant, encrypted, table)
}
