package kmsotel

import (
	"log/slog"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// Option changes how [New] signs and delivers.
type Option func(*settings)

type settings struct {
	mode        kmsv1.SignMode
	queue       *Queue
	timeout     time.Duration
	onRefused   OnRefused
	onLoss      func(Loss)
	deliveryAge time.Duration
	logger      *slog.Logger
	meters      metric.MeterProvider
}

// Queue bounds the spans that are not delivered yet.
type Queue struct {
	// Spans is the most spans that wait.
	Spans int
	// Bytes is the most that they take as OTLP messages.
	Bytes int
}

func defaults() settings {
	return settings{
		mode:        kmsv1.SignMode_SIGN_MODE_LOG,
		queue:       &Queue{Spans: 20_000, Bytes: 64 << 20},
		timeout:     30 * time.Second,
		deliveryAge: time.Hour,
		onLoss:      func(Loss) {},
		logger:      slog.Default(),
		meters:      otel.GetMeterProvider(),
	}
}

// WithMode signs each span by itself (SIGN_MODE_INDIVIDUAL) in place of by an entry in the tenant's log.
func WithMode(mode kmsv1.SignMode) Option { return func(s *settings) { s.mode = mode } }

// WithQueue bounds the queue, in place of 20,000 spans and 64 MiB. An export succeeds once its spans are queued. When
// the queue is full it waits for room, until its timeout.
func WithQueue(queue Queue) Option { return func(s *settings) { s.queue = &queue } }

// WithoutQueue signs and delivers within each export and its timeout, and reports what fails.
func WithoutQueue() Option { return func(s *settings) { s.queue = nil } }

// WithTimeout bounds an export, and an attempt to deliver, in place of 30 s. Give it the export timeout of the
// processor.
func WithTimeout(timeout time.Duration) Option { return func(s *settings) { s.timeout = timeout } }

// OnRefused says what becomes of a span that the service refuses to sign.
type OnRefused int

const (
	// Forward delivers it without a signature, and with the attribute [UnsignedReason].
	Forward OnRefused = iota
	// Drop loses it, as [Rejected].
	Drop
)

// UnsignedReason is the attribute of a span that was forwarded without a signature. It says why.
const UnsignedReason = "fluo.kms.unsigned.reason"

// WithOnRefused says what becomes of a span that the service refuses to sign, in place of [Forward]. Either is
// counted and logged.
func WithOnRefused(policy OnRefused) Option { return func(s *settings) { s.onRefused = policy } }

// WithOnLoss has a function called for all spans that are lost. It is called by the goroutine that loses them, and
// must not wait.
func WithOnLoss(onLoss func(Loss)) Option { return func(s *settings) { s.onLoss = onLoss } }

// WithOnLost is [WithOnLoss] for a function that does not need the error.
func WithOnLost(onLost func(cause Cause, spans int)) Option {
	return WithOnLoss(func(loss Loss) { onLost(loss.Cause, loss.Spans) })
}

// WithDeliveryAge gives a batch up after so long in the queue, in place of 1 h.
func WithDeliveryAge(age time.Duration) Option { return func(s *settings) { s.deliveryAge = age } }

// WithMeterProvider registers the gauges fluo.kms.exporter.waiting.spans and fluo.kms.exporter.waiting.bytes, with the
// attribute fluo.kms.tenant, at this provider in place of the global one, until the shutdown.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return func(s *settings) { s.meters = provider }
}

// WithLogger logs losses and refusals, at most a line in 10 s for each cause, in place of by [slog.Default].
func WithLogger(logger *slog.Logger) Option { return func(s *settings) { s.logger = logger } }
