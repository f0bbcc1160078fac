package kms

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	firstDelay = 100 * time.Millisecond
	lastDelay  = 5 * time.Second
)

var (
	errExpiredOnStream = errors.New("a batch expired")
	errOtherAnswer     = errors.New("kms: the service answered something else than the batch that it was sent; look at its version")
)

// run sends what is queued, over one stream after another, until the signer is closed.
func (s *SpanSigner) run() {
	defer close(s.stopped)
	delay, refusals := firstDelay, 0
	for s.awaitBatch() {
		s.failExpired()
		answered, err := s.overOneStream()
		if answered {
			delay, refusals = firstDelay, 0
		}
		switch s.meaningOf(err) {
		case streamRefused:
			s.fail(1, err)
		case streamUseless:
			s.fail(-1, err)
		case streamUnauthenticated:
			// Credentials are shown when a stream opens: once more, with a fresh token.
			if refusals++; refusals > 1 {
				s.fail(-1, err)
				refusals = 0
			}
		case streamBroken:
			s.sleep(max(time.Duration((0.5+rand.Float64()/2)*float64(delay)), DetailsOf(err).RetryAfter))
			delay = min(2*delay, lastDelay)
		}
	}
	s.fail(-1, ErrSignerClosed)
}

// What the end of a stream means for the batches that it did not answer.
type streamEnd int

const (
	// It may be opened again, after a while.
	streamBroken streamEnd = iota
	// The first batch was refused.
	streamRefused
	// The credential was.
	streamUnauthenticated
	// The service, or this client, cannot do it.
	streamUseless
	// A batch expired meanwhile.
	streamExpired
)

func (s *SpanSigner) meaningOf(err error) streamEnd {
	found, isStatus := status.FromError(err)
	switch {
	case errors.Is(err, io.EOF):
		return streamBroken
	case errors.Is(err, errExpiredOnStream):
		return streamExpired
	case !isStatus, found.Code() == codes.Canceled && found.Message() == "grpc: the client connection is closing":
		return streamUseless
	}
	switch found.Code() {
	case codes.Unavailable, codes.Aborted, codes.ResourceExhausted:
		return streamBroken
	case codes.Unauthenticated:
		return streamUnauthenticated
	case codes.Canceled, codes.Unknown, codes.Internal, codes.DeadlineExceeded:
		// A connection that was cut, unless the service itself says so.
		if DetailsOf(err).Reason == "" {
			return streamBroken
		}
	}
	return streamRefused
}

// awaitBatch returns false once the signer is closed.
func (s *SpanSigner) awaitBatch() bool {
	for {
		s.mu.Lock()
		isEmpty := len(s.queue) == 0
		s.mu.Unlock()
		if s.ctx.Err() != nil {
			return false
		}
		if !isEmpty {
			return true
		}
		select {
		case <-s.changed:
		case <-s.ctx.Done():
		}
	}
}

func (s *SpanSigner) sleep(delay time.Duration) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// overOneStream sends the unanswered batches, and those that are queued meanwhile, until the stream ends. It returns
// why, and whether a batch was answered.
func (s *SpanSigner) overOneStream() (answered bool, err error) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	stream, err := s.client.SignSpans(ctx)
	if err != nil {
		return false, err
	}
	s.restart()
	type end struct {
		answered bool
		err      error
	}
	received := make(chan end, 1)
	go func() {
		answered, err := s.receive(stream)
		received <- end{answered, err}
		cancel() // a Send that waits for the peer's window returns
	}()
	ended := func(why error) (bool, error) {
		cancel()
		last := <-received
		if why == nil || errors.Is(why, io.EOF) {
			why = last.err
		}
		return last.answered, why
	}
	for {
		request, expiry := s.nextRequest()
		if request != nil {
			if err := stream.Send(request); errors.Is(err, io.EOF) || ctx.Err() != nil {
				last := <-received
				return last.answered, last.err
			} else if err != nil {
				return ended(err)
			}
			continue
		}
		timer := time.NewTimer(expiry)
		select {
		case last := <-received:
			timer.Stop()
			return last.answered, last.err
		case <-s.changed:
			timer.Stop()
		case <-timer.C:
			return ended(errExpiredOnStream)
		}
	}
}

// restart begins a stream on which nothing was sent.
func (s *SpanSigner) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = 0
	for _, each := range s.queue {
		each.received = 0
	}
}

// nextRequest returns the next batch to send; nil if there is none, or it expired, and then after what time one does.
// Everything but the request_id is said again each time, so that the bytes of a batch never change.
func (s *SpanSigner) nextRequest() (*kmsv1.SignSpansRequest, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent < len(s.queue) {
		next := s.queue[s.sent]
		if s.isExpired(next) {
			return nil, 0
		}
		s.sent++
		request := &kmsv1.SignSpansRequest{TenantId: s.tenant, Mode: s.mode, RequestId: next.requestID, WithAttributes: true}
		// The spans go as they were encoded once: protobuf writes fields that it does not know as they are.
		request.ProtoReflect().SetUnknown(next.body)
		return request, 0
	}
	if len(s.queue) == 0 {
		return nil, maxUnansweredAge
	}
	return nil, maxUnansweredAge - s.now().Sub(s.queue[0].since)
}

func (s *SpanSigner) receive(stream grpc.BidiStreamingClient[kmsv1.SignSpansRequest, kmsv1.SignSpansResponse]) (answered bool, err error) {
	for {
		answer, err := stream.Recv()
		if err != nil {
			return answered, err
		}
		isDone, err := s.take(answer)
		if err != nil {
			return answered, err
		}
		answered = answered || isDone
	}
}

// take keeps results of the first batch that was sent, and returns whether these were its last.
func (s *SpanSigner) take(answer *kmsv1.SignSpansResponse) (isDone bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent == 0 || answer.GetRequestId() != s.queue[0].requestID {
		return false, errOtherAnswer
	}
	first := s.queue[0]
	if first.received+len(answer.GetResults()) > first.spans {
		return false, errOtherAnswer
	}
	for _, each := range answer.GetResults() {
		result, err := s.resultOf(each)
		if err != nil {
			return false, err
		}
		first.signing.results[first.first+first.received] = result
		first.received++
	}
	if !answer.GetBatchDone() {
		return false, nil
	}
	if first.received != first.spans {
		return false, errOtherAnswer
	}
	s.shift(nil)
	return true, nil
}

func (s *SpanSigner) resultOf(result *kmsv1.SpanResult) (SpanResult, error) {
	if refused := result.GetError(); refused != nil {
		return SpanResult{Err: &SpanError{codes.Code(refused.GetCode()), refused.GetField(), refused.GetMessage()}}, nil
	}
	signed := result.GetSigned()
	switch {
	case signed == nil:
		return SpanResult{}, errOtherAnswer
	case len(signed.GetAttributes()) == 0:
		return SpanResult{}, ErrServiceTooOld
	case s.mode == kmsv1.SignMode_SIGN_MODE_LOG && signed.LeafIndex == nil:
		return SpanResult{}, errOtherAnswer
	}
	return SpanResult{Attributes: signed.GetAttributes(), LeafIndex: signed.GetLeafIndex()}, nil
}

// shift takes the first batch out of the queue, under the lock: it was signed if err is nil.
func (s *SpanSigner) shift(err error) {
	first := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	s.sent = max(0, s.sent-1)
	first.settle(err)
	<-s.slots
}

// fail fails the first unanswered batches; all if count is negative. No stream is open.
func (s *SpanSigner) fail(count int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; len(s.queue) > 0 && count != 0; count-- {
		s.shift(err)
	}
}

// failExpired fails the batches that are too old to be sent again. No stream is open.
func (s *SpanSigner) failExpired() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = slices.DeleteFunc(s.queue, func(each *batch) bool {
		if !s.isExpired(each) {
			return false
		}
		each.settle(ErrExpired)
		<-s.slots
		return true
	})
}
