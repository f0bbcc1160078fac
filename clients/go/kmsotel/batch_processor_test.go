package kmsotel_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kmsotel"
	"go.opentelemetry.io/otel/sdk/trace"
)

// batch returns a provider with the exporter's own processor.
func (w *world) batch(t *testing.T, options ...kmsotel.Option) (*trace.TracerProvider, *kmsotel.Exporter) {
	t.Helper()
	_, exporter := w.export(t, options...)
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(
		exporter.BatchProcessor(trace.WithMaxExportBatchSize(100), trace.WithExportTimeout(hung))))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	return provider, exporter
}

func undelivered(err error) int {
	if found, ok := errors.AsType[*kmsotel.UndeliveredError](err); ok {
		return found.Spans
	}
	return 0
}

func TestAFlushWaitsUntilAllIsDelivered(t *testing.T) {
	w := startWorld(t)
	provider, exporter := w.batch(t)
	refusals := 3
	w.backend.answerBy(func(out http.ResponseWriter) bool {
		if refusals == 0 {
			return true
		}
		refusals--
		return unavailable(out)
	})
	for round := range 2 {
		end(w.ctx, provider, 250*round, 250)
		if err := provider.ForceFlush(w.ctx); err != nil {
			t.Fatal(err)
		}
		if names, _ := w.backend.names(t); exporter.Stats().Delivered != 250*(round+1) || len(names) != 250*(round+1) {
			t.Errorf("after flush %d: %+v, %d names", round, exporter.Stats(), len(names))
		}
	}
	w.verifyAll(t, 500)
}

func TestAFlushThatIsNotInTimeSaysWhatIsLeftAndTheNextDelivers(t *testing.T) {
	w := startWorld(t)
	provider, exporter := w.batch(t)
	short, cancel := context.WithCancel(w.ctx)
	w.backend.answerBy(func(out http.ResponseWriter) bool {
		cancel()
		return unavailable(out)
	})
	end(w.ctx, provider, 0, 250)
	if err := provider.ForceFlush(short); !errors.Is(err, context.Canceled) || exporter.Stats().Delivered != 0 {
		t.Errorf("%v, %+v", err, exporter.Stats())
	}
	w.backend.answerBy(nil)
	if err := provider.ForceFlush(w.ctx); err != nil || exporter.Stats().Delivered != 250 {
		t.Errorf("%v, %+v", err, exporter.Stats())
	}
}

func TestAFlushFailsWithTheSpansThatAreLostMeanwhile(t *testing.T) {
	w := startWorld(t)
	w.backend.answerBy(unavailable)
	provider, exporter := w.batch(t, kmsotel.WithDeliveryAge(10*time.Millisecond))
	end(w.ctx, provider, 0, 250)
	if err := provider.ForceFlush(w.ctx); undelivered(err) != 250 || exporter.Stats().Lost[kmsotel.Undeliverable] != 250 {
		t.Errorf("%v, %+v", err, exporter.Stats())
	}
	w.backend.answerBy(nil)
	if err := provider.ForceFlush(w.ctx); err != nil {
		t.Errorf("what was lost before: %v", err)
	}
}

func TestAFlushWithoutAQueueFailsAsItsExportDoes(t *testing.T) {
	w := startWorld(t)
	w.backend.answerBy(unavailable)
	provider, _ := w.batch(t, kmsotel.WithoutQueue(), kmsotel.WithTimeout(100*time.Millisecond))
	end(w.ctx, provider, 0, 10)
	if err := provider.ForceFlush(w.ctx); undelivered(err) != 10 {
		t.Error(err)
	}
}

func TestAShutdownSaysWhatTheBackendRefusedForGood(t *testing.T) {
	w := startWorld(t)
	w.backend.answerBy(func(out http.ResponseWriter) bool {
		out.WriteHeader(http.StatusUnauthorized)
		return false
	})
	provider, exporter := w.batch(t)
	end(w.ctx, provider, 0, 50)
	if err := provider.Shutdown(w.ctx); undelivered(err) != 50 || exporter.Stats().Lost[kmsotel.Rejected] != 50 {
		t.Errorf("%v, %+v", err, exporter.Stats())
	}
}

func TestAShutdownDeliversWithinItsTimeAndSaysWhatItDidNot(t *testing.T) {
	w := startWorld(t)
	provider, exporter := w.batch(t)
	end(w.ctx, provider, 0, 250)
	if err := provider.Shutdown(w.ctx); err != nil || exporter.Stats().Delivered != 250 {
		t.Errorf("%v, %+v", err, exporter.Stats())
	}

	provider, exporter = w.batch(t)
	short, cancel := context.WithCancel(w.ctx)
	var once sync.Once
	w.backend.answerBy(func(out http.ResponseWriter) bool {
		once.Do(cancel)
		return unavailable(out)
	})
	end(w.ctx, provider, 0, 50)
	if err := provider.Shutdown(short); undelivered(err) != 50 || exporter.Stats().Delivered != 0 {
		t.Errorf("%v, %+v", err, exporter.Stats())
	}
}
