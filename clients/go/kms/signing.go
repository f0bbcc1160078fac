package kms

import (
	"context"
	"fmt"

	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/grpc/codes"
)

// Signing is the signing of the spans of one call of [SpanSigner.Sign].
type Signing struct {
	// results has one a span; those of a batch are written before it counts as answered.
	results []SpanResult
	batches []*batch
	// The rest is under the signer's lock.
	unanswered int
	err        error
	done       chan struct{}
}

// SpanResult says what became of one span: it was signed if Err is nil.
type SpanResult struct {
	// Attributes are to be put on the span.
	Attributes []*kmsv1.KeyValue
	// LeafIndex is the index of the span's entry in the tenant's log; 0 in individual mode.
	LeafIndex uint64
	// Err says why the span was not signed. [*SpanError] is about the span; anything else is about its batch.
	Err error
}

// SpanError says why the service refused one span.
type SpanError struct {
	// Code is INVALID_ARGUMENT for a span that will never be taken.
	Code codes.Code
	// Field is the path of the field that is wrong; empty where no field is.
	Field string
	// Message says what is wrong and what to do, without the value.
	Message string
}

// Error has code, field and message.
func (e *SpanError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s: %s", e.Code, e.Field, e.Message)
}

// Done is closed when there is a result for every span. After a [SpanSigner.Retry] it is another channel.
func (s *Signing) Done() <-chan struct{} { return s.done }

// Wait returns the results, one a span in order, once there are all. Its error says why a batch was not signed:
// then each span of the batch has it as its Err, and others may be signed all the same. If ctx ends first there
// are no results; the signing goes on.
func (s *Signing) Wait(ctx context.Context) ([]SpanResult, error) {
	select {
	case <-s.done:
		return s.results, s.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
