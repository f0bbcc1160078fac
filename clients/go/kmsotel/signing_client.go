package kmsotel

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/metric"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

const (
	firstDelay = 100 * time.Millisecond
	// The longest wait between attempts to deliver.
	lastDelay = 5 * time.Second
	// The longest wait between attempts to sign what the service refuses for now.
	lastRefusedDelay = 30 * time.Second
	// How many items are signed ahead of the one that is delivered.
	signedAhead = 4
)

// signingClient is the client of OpenTelemetry's exporter: it signs what another client then sends.
type signingClient struct {
	settings
	delegate otlptrace.Client
	tenant   string
	signer   *kms.SpanSigner
	tally    *tally
	// gauges are read until the client is stopped; nil before they are there.
	gauges metric.Registration
	// pending is nil if there is no queue.
	pending *queue
	signed  chan *item

	// ctx ends when nothing may be waited for any more.
	ctx     context.Context
	cancel  context.CancelFunc
	workers sync.WaitGroup

	mu      sync.Mutex
	stopped bool
	// exports are those under way without a queue, and direct what they hold.
	exports sync.WaitGroup
	direct  Queue
}

func newSigningClient(delegate otlptrace.Client, client kmsv1.KmsServiceClient, tenant string, s settings) *signingClient {
	c := &signingClient{settings: s, delegate: delegate, tenant: tenant, signer: kms.NewSpanSigner(client, tenant, kms.WithMode(s.mode)), tally: newTally(s)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if s.queue != nil {
		c.pending, c.signed = newQueue(*s.queue), make(chan *item, signedAhead)
		c.workers.Go(c.signInOrder)
		c.workers.Go(c.deliverInOrder)
	}
	return c
}

// Start starts the delegate.
func (c *signingClient) Start(ctx context.Context) error { return c.delegate.Start(ctx) }

// UploadTraces queues spans, or signs and delivers them if there is no queue.
func (c *signingClient) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	brought := newItem(spans, time.Now())
	if c.pending == nil {
		return c.uploadNow(ctx, brought)
	}
	err := c.pending.push(ctx, brought)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errStopped):
		return c.lost(brought, Shutdown, err)
	}
	return c.lost(brought, QueueFull, err)
}

func (c *signingClient) uploadNow(ctx context.Context, brought *item) error {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return c.lost(brought, Shutdown, errStopped)
	}
	c.exports.Add(1)
	c.direct.Spans, c.direct.Bytes = c.direct.Spans+brought.queued, c.direct.Bytes+brought.bytes
	c.mu.Unlock()
	defer c.endExport(brought)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	err := c.sign(ctx, brought)
	if err == nil {
		err = c.deliver(ctx, brought)
	}
	switch {
	case err == nil:
		return brought.err
	case c.ctx.Err() != nil:
		return c.lost(brought, Shutdown, err)
	}
	return c.lost(brought, Timeout, err)
}

func (c *signingClient) endExport(of *item) {
	c.mu.Lock()
	c.direct.Spans, c.direct.Bytes = c.direct.Spans-of.queued, c.direct.Bytes-of.bytes
	c.mu.Unlock()
	c.exports.Done()
}

// waiting returns what is neither delivered nor lost yet.
func (c *signingClient) waiting() Queue {
	if c.pending != nil {
		return c.pending.held()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.direct
}

// lost counts what is left of an item, and names the cause.
func (c *signingClient) lost(of *item, cause Cause, why error) error {
	spans := of.count
	of.count = 0
	c.tally.lose(cause, spans, why)
	return errOf(cause, why)
}

// Stop delivers what is left until ctx ends, then stops the signer and the delegate.
func (c *signingClient) Stop(ctx context.Context) error {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	before := c.tally.stats().Lost[Shutdown]
	if c.pending != nil {
		c.pending.close()
		_ = c.pending.drained(ctx) // what is left is counted below
	} else {
		c.awaitExports(ctx)
	}
	c.abort()
	if c.pending != nil {
		c.tally.lose(Shutdown, c.pending.clear(), context.Cause(ctx))
	}
	err := c.delegate.Stop(ctx)
	if left := c.tally.stats().Lost[Shutdown] - before; left > 0 {
		err = errors.Join(&UndeliveredError{Spans: left}, err)
	}
	return err
}

func (c *signingClient) awaitExports(ctx context.Context) {
	stop := context.AfterFunc(ctx, c.cancel)
	defer stop()
	c.exports.Wait()
}

// abort ends the workers and the signer at once.
func (c *signingClient) abort() {
	c.cancel()
	c.workers.Wait()
	_ = c.signer.Close() // never fails
	if c.gauges != nil {
		_ = c.gauges.Unregister() // fails only for a provider that is shut down, which reads nothing more
	}
}

func (c *signingClient) flush(ctx context.Context) error {
	if c.pending == nil {
		return nil
	}
	return c.pending.drained(ctx)
}

// signInOrder has the queued items signed, some ahead of the one that is delivered.
func (c *signingClient) signInOrder() {
	for {
		next := c.pending.next(c.ctx)
		if next == nil {
			return
		}
		ctx, cancel := context.WithDeadline(c.ctx, next.since.Add(c.deliveryAge))
		_ = c.beginSigning(ctx, next) // what was not begun is begun again, or lost, when its turn to be delivered comes
		cancel()
		select {
		case c.signed <- next:
		case <-c.ctx.Done():
			return
		}
	}
}

func (c *signingClient) beginSigning(ctx context.Context, of *item) error {
	encoded, err := of.encode()
	if err == nil {
		of.signing, err = c.signer.SignEncoded(ctx, encoded...)
	}
	return err
}

// deliverInOrder delivers the items once they are signed.
func (c *signingClient) deliverInOrder() {
	for {
		var next *item
		select {
		case next = <-c.signed:
		case <-c.ctx.Done():
			return
		}
		ctx, cancel := context.WithDeadline(c.ctx, next.since.Add(c.deliveryAge))
		err := c.sign(ctx, next)
		if err == nil {
			err = c.deliver(ctx, next)
		}
		cancel()
		if c.ctx.Err() != nil && err != nil {
			return // what is left is counted by Stop
		}
		if err != nil {
			cause := Undeliverable
			if errors.Is(err, errUnencodable) {
				cause = Rejected
			}
			_ = c.lost(next, cause, err) // counted
		}
		c.pending.shift()
	}
}

// sign puts the attributes on the spans of an item. What is refused for now is tried again until ctx ends, under the
// request_ids that it had: it may be in the log.
func (c *signingClient) sign(ctx context.Context, of *item) error {
	if of.signing == nil {
		if err := c.beginSigning(ctx, of); err != nil {
			return err
		}
	}
	for delay := firstDelay; ; delay = min(2*delay, lastRefusedDelay) {
		results, err := of.signing.Wait(ctx)
		if results == nil {
			return err
		}
		if !anyPasses(results) {
			of.put(results, c.onRefused, c.tally)
			return nil
		}
		if !sleep(ctx, delay) {
			return err
		}
		if retryErr := c.signer.Retry(ctx, of.signing); retryErr != nil {
			return err
		}
	}
}

func anyPasses(results []kms.SpanResult) bool {
	for _, result := range results {
		if result.Err != nil && !isAboutSpan(result.Err) && passes(result.Err) {
			return true
		}
	}
	return false
}

// deliver sends an item until the backend takes it, refuses it for good, or ctx ends: the same bytes each time.
func (c *signingClient) deliver(ctx context.Context, of *item) error {
	if of.count == 0 {
		return nil
	}
	for delay := firstDelay; ; delay = min(2*delay, lastDelay) {
		attempt, cancel := context.WithTimeout(ctx, c.timeout)
		err := c.delegate.UploadTraces(attempt, of.spans)
		cancel()
		rejected, isTaken := rejectedByBackend(err)
		if err == nil || isTaken {
			of.lose(Rejected, min(rejected, of.count), err, c.tally)
			c.tally.deliver(of.count)
			of.count = 0
			return nil
		}
		if isRefusal(err) {
			of.lose(Rejected, of.count, err, c.tally)
			return nil
		}
		if !sleep(ctx, delay) {
			return err
		}
	}
}

// sleep waits up to a half less than delay, so that many exporters do not come at once; false if ctx ends before.
func sleep(ctx context.Context, delay time.Duration) bool {
	timer := time.NewTimer(delay/2 + time.Duration(rand.Int64N(int64(delay/2))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
