package kms

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// SpanSigner signs spans over one SignSpans stream: batches in, results out. Each batch has a request_id, and is sent
// again over a new stream, in its first order and unchanged, until it is answered: in log mode it gets its places in
// the log once. It is safe for use by several goroutines.
//
// The stream opens again, with backoff from 0.1 s to 5 s, if it breaks or the service is away for a while. A batch
// that the service refuses fails alone. An UNAUTHENTICATED stream opens once more with a fresh token; then all
// unanswered batches fail. A batch that was unanswered for 23 h fails with [ErrExpired]: the service remembers a
// request_id for 24 h. In individual mode a batch that is sent again is signed again, and both signatures verify.
type SpanSigner struct {
	client kmsv1.KmsServiceClient
	tenant string
	mode   kmsv1.SignMode
	now    func() time.Time

	// ctx ends with Close.
	ctx     context.Context
	cancel  context.CancelFunc
	stopped chan struct{}
	// turn lets one call queue its batches at a time, in the order of the calls.
	turn chan struct{}
	// slots holds one item for each unanswered batch.
	slots chan struct{}
	// changed tells the worker that a batch was queued.
	changed chan struct{}

	mu sync.Mutex
	// queue has the unanswered batches, of which the first sent ones are on the stream that is open.
	queue    []*batch
	sent     int
	idPrefix string
	ids      uint64
}

// maxUnansweredAge is an hour less than the service remembers a request_id.
const maxUnansweredAge = 23 * time.Hour

const defaultMaxUnanswered = 4

var (
	// ErrSignerClosed says that a signer was closed before a batch was answered.
	ErrSignerClosed = errors.New("kms: the signer is closed")
	// ErrExpired says that a batch was unanswered for 23 h. It may be in the tenant's log.
	ErrExpired = errors.New("kms: the batch was unanswered for 23 h and is not sent again; it may be in the log")
	// ErrServiceTooOld says that the service gives no attributes to put on spans.
	ErrServiceTooOld = errors.New("kms: the service signs, but gives no attributes: it is older than this client; update it")
)

// SignerOption changes how a [SpanSigner] signs.
type SignerOption func(*SpanSigner)

// WithMode signs each span by itself (SIGN_MODE_INDIVIDUAL) in place of by an entry in the tenant's log.
func WithMode(mode kmsv1.SignMode) SignerOption { return func(s *SpanSigner) { s.mode = mode } }

// WithMaxUnanswered lets so many batches be unanswered, in place of 4, before Sign waits.
func WithMaxUnanswered(batches int) SignerOption {
	return func(s *SpanSigner) { s.slots = make(chan struct{}, max(1, batches)) }
}

// NewSpanSigner returns a signer of spans in the name of a tenant, in log mode. It opens its stream with the first
// batch, and must be closed.
func NewSpanSigner(client kmsv1.KmsServiceClient, tenant string, options ...SignerOption) *SpanSigner {
	s := &SpanSigner{
		client: client, tenant: tenant, mode: kmsv1.SignMode_SIGN_MODE_LOG, now: time.Now,
		stopped: make(chan struct{}), turn: make(chan struct{}, 1), slots: make(chan struct{}, defaultMaxUnanswered),
		changed: make(chan struct{}, 1), idPrefix: rand.Text(),
	}
	for _, option := range options {
		option(s)
	}
	s.ctx, s.cancel = context.WithCancel(quiet(context.Background()))
	go s.run()
	return s
}

// Sign queues spans to be signed, in batches of at most 1,000 spans and 1 MiB. It waits while too many batches are
// unanswered, and returns when all of these are queued: what is signed comes by [Signing.Wait]. If ctx ends while it
// waits, batches of a larger call may be queued already, and are signed.
func (s *SpanSigner) Sign(ctx context.Context, resourceSpans ...*kmsv1.ResourceSpans) (*Signing, error) {
	encoded := make([][]byte, len(resourceSpans))
	for i, message := range resourceSpans {
		var err error
		if encoded[i], err = proto.Marshal(message); err != nil {
			return nil, fmt.Errorf("kms: the spans cannot be encoded: %w", err)
		}
	}
	return s.SignEncoded(ctx, encoded...)
}

// SignEncoded is Sign for the wire bytes of ResourceSpans, as OpenTelemetry's own messages have them.
func (s *SpanSigner) SignEncoded(ctx context.Context, resourceSpans ...[]byte) (*Signing, error) {
	var divided batcher
	for _, each := range resourceSpans {
		if err := divided.add(each); err != nil {
			return nil, fmt.Errorf("kms: %w", err)
		}
	}
	divided.flush()
	signing := &Signing{results: make([]SpanResult, divided.total), batches: divided.batches, done: make(chan struct{})}
	for _, index := range divided.tooLarge {
		signing.results[index].Err = &SpanError{Code: codes.InvalidArgument, Message: errTooLarge.Error()}
	}
	for _, each := range divided.batches {
		each.signing = signing
	}
	if err := s.queueAll(ctx, signing, divided.batches); err != nil {
		return nil, err
	}
	return signing, nil
}

// Retry queues the batches of a signing that failed once more, under the request_ids that they had: for refusals
// that pass, such as PERMISSION_DENIED. It returns [ErrExpired] if one was first queued 23 h ago. The signing must be
// done; it is no more then.
func (s *SpanSigner) Retry(ctx context.Context, signing *Signing) error {
	select {
	case <-signing.done:
	default:
		return errors.New("kms: the signing is not done yet")
	}
	var failed []*batch
	for _, each := range signing.batches {
		if each.err == nil {
			continue
		}
		if s.isExpired(each) {
			return ErrExpired
		}
		failed = append(failed, each)
	}
	signing.err, signing.done = nil, make(chan struct{})
	return s.queueAll(ctx, signing, failed)
}

func (s *SpanSigner) queueAll(ctx context.Context, signing *Signing, batches []*batch) error {
	signing.unanswered = len(batches)
	if len(batches) == 0 {
		close(signing.done)
		return nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return s.abandon(batches, ctx.Err())
	}
	for i, each := range batches {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return s.abandon(batches[i:], ctx.Err())
		case <-s.ctx.Done():
			return s.abandon(batches[i:], ErrSignerClosed)
		}
		if !s.push(each) {
			<-s.slots
			return s.abandon(batches[i:], ErrSignerClosed)
		}
	}
	return nil
}

// abandon fails batches that were not queued.
func (s *SpanSigner) abandon(batches []*batch, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, each := range batches {
		each.settle(err)
	}
	return err
}

// push returns false after Close.
func (s *SpanSigner) push(queued *batch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	if queued.requestID == "" {
		s.ids++
		queued.requestID = s.idPrefix + "-" + strconv.FormatUint(s.ids, 10)
		queued.since = s.now()
	}
	queued.err = nil
	s.queue = append(s.queue, queued)
	select {
	case s.changed <- struct{}{}:
	default: // the worker was told already
	}
	return true
}

// Flush waits until all batches that were queued before it are answered, or ctx ends.
func (s *SpanSigner) Flush(ctx context.Context) error {
	s.mu.Lock()
	queued := append([]*batch(nil), s.queue...)
	dones := make([]<-chan struct{}, len(queued))
	for i, each := range queued {
		dones[i] = each.signing.done
	}
	s.mu.Unlock()
	for _, done := range dones {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close ends the stream. Batches that are not answered yet fail with [ErrSignerClosed]: flush before if they should
// not.
func (s *SpanSigner) Close() error {
	s.cancel()
	<-s.stopped
	return nil
}

func (s *SpanSigner) isExpired(b *batch) bool { return s.now().Sub(b.since) >= maxUnansweredAge }

// settle ends a batch, under the lock: it was signed if err is nil.
func (b *batch) settle(err error) {
	b.err = err
	if err == nil {
		b.body = nil
	} else {
		for i := range b.spans {
			b.signing.results[b.first+i] = SpanResult{Err: err}
		}
		if b.signing.err == nil {
			b.signing.err = fmt.Errorf("kms: a batch of %d spans was not signed: %w", b.spans, err)
		}
	}
	b.signing.unanswered--
	if b.signing.unanswered == 0 {
		close(b.signing.done)
	}
}
