package kmsotel

import (
	"log/slog"
	"sync"
	"time"
)

// Cause says why spans were lost.
type Cause string

const (
	// QueueFull: the queue had no room until the export's timeout.
	QueueFull Cause = "queue-full"
	// Timeout: without a queue, the spans were not signed and delivered until the export's timeout.
	Timeout Cause = "timeout"
	// Rejected: the service refused the batch for good, or the span if these are dropped; or the backend refused them.
	Rejected Cause = "rejected"
	// Undeliverable: the batch was not signed and delivered within the delivery age.
	Undeliverable Cause = "undeliverable"
	// Shutdown: the exporter was shut down before.
	Shutdown Cause = "shutdown"
)

// Loss is spans that do not arrive, as [WithOnLoss] reports them.
type Loss struct {
	Cause Cause
	// Spans is at least 1.
	Spans int
	// Err says why: what the service or the backend said, if one of them refused the spans.
	Err error
}

// Stats counts spans since the exporter was made.
type Stats struct {
	// Delivered were taken by the backend, with or without a signature.
	Delivered int
	// Refused were not signed by the service; they were forwarded or dropped.
	Refused int
	// Lost were not delivered, by cause; causes without any are left out.
	Lost map[Cause]int
	// WaitingSpans are neither delivered nor lost yet: those in the queue or, without one, of the exports under way.
	WaitingSpans int
	// WaitingBytes is what they take as OTLP messages.
	WaitingBytes int
}

// A line in the log for each cause in this time.
const logInterval = 10 * time.Second

// tally counts, tells and logs. It is safe for use by several goroutines.
type tally struct {
	onLoss func(Loss)
	logger *slog.Logger
	now    func() time.Time

	mu        sync.Mutex
	delivered int
	refused   int
	lost      map[Cause]int
	lines     map[string]*line
}

// line is what is to be logged of one cause.
type line struct {
	last  time.Time
	spans int
}

func newTally(s settings) *tally {
	return &tally{onLoss: s.onLoss, logger: s.logger, now: time.Now, lost: map[Cause]int{}, lines: map[string]*line{}}
}

func (t *tally) stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	lost := map[Cause]int{}
	for cause, spans := range t.lost {
		lost[cause] = spans
	}
	return Stats{Delivered: t.delivered, Refused: t.refused, Lost: lost}
}

// lostSpans returns how many are lost so far, of whatever cause.
func (t *tally) lostSpans() (spans int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, each := range t.lost {
		spans += each
	}
	return spans
}

func (t *tally) deliver(spans int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delivered += spans
}

func (t *tally) lose(cause Cause, spans int, why error) {
	if spans == 0 {
		return
	}
	t.mu.Lock()
	t.lost[cause] += spans
	unsaid := t.due(string(cause), spans)
	t.mu.Unlock()
	t.log("spans are lost", string(cause), unsaid, why)
	t.onLoss(Loss{cause, spans, why})
}

func (t *tally) refuse(spans int, why error) {
	if spans == 0 {
		return
	}
	t.mu.Lock()
	t.refused += spans
	unsaid := t.due("refused", spans)
	t.mu.Unlock()
	t.log("spans were not signed", "refused", unsaid, why)
}

// due returns of how many spans a line is due, those that were passed over before included; 0 if none is. It is
// called under the lock.
func (t *tally) due(cause string, spans int) int {
	known := t.lines[cause]
	if known == nil {
		known = &line{}
		t.lines[cause] = known
	}
	known.spans += spans
	now := t.now()
	if now.Sub(known.last) < logInterval {
		return 0
	}
	due := known.spans
	known.last, known.spans = now, 0
	return due
}

func (t *tally) log(message, cause string, spans int, why error) {
	if spans > 0 {
		t.logger.Warn("fluo-kms: "+message, "cause", cause, "spans", spans, "error", why)
	}
}
