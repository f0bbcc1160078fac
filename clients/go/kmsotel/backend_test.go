package kmsotel_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// backend is an OTLP/HTTP endpoint that keeps what it takes.
type backend struct {
	url string

	mu sync.Mutex
	// taken has the bodies of the exports that were answered with success.
	taken [][]byte
	// refused has those that were not.
	refused [][]byte
	// answer decides on an export, nil for success.
	answer func(http.ResponseWriter) bool
}

func startBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		b.mu.Lock()
		answer := b.answer
		b.mu.Unlock()
		// It may hang.
		isTaken := answer == nil || answer(w)
		b.mu.Lock()
		defer b.mu.Unlock()
		if isTaken {
			b.taken = append(b.taken, body)
		} else {
			b.refused = append(b.refused, body)
		}
	}))
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

func (b *backend) answerBy(answer func(http.ResponseWriter) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

// unavailable is the answer of a backend that is down for a while.
func unavailable(w http.ResponseWriter) bool {
	w.WriteHeader(http.StatusServiceUnavailable)
	return false
}

func (b *backend) bodies() (taken, refused [][]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([][]byte(nil), b.taken...), append([][]byte(nil), b.refused...)
}

// names counts the spans that were taken by name, and returns them.
func (b *backend) names(t *testing.T) (names map[string]int, spans []*tracepb.Span) {
	t.Helper()
	names = map[string]int{}
	taken, _ := b.bodies()
	for _, body := range taken {
		var export coltracepb.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &export); err != nil {
			t.Fatal(err)
		}
		for _, resource := range export.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					names[span.GetName()]++
					spans = append(spans, span)
				}
			}
		}
	}
	return names, spans
}
