package kmsotel

import (
	"errors"
	"fmt"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// item is what one export brings.
type item struct {
	spans []*tracepb.ResourceSpans
	// count is how many spans are neither delivered nor lost.
	count int
	// bytes that they take, and how many there were at first: what they take of the queue.
	bytes, queued int
	// err says why some were lost; nil if none were.
	err     error
	since   time.Time
	signing *kms.Signing
}

func newItem(spans []*tracepb.ResourceSpans, now time.Time) *item {
	made := &item{spans: spans, since: now}
	for _, each := range spans {
		made.bytes += proto.Size(each)
		for _, scope := range each.GetScopeSpans() {
			made.count += len(scope.GetSpans())
		}
	}
	made.queued = made.count
	return made
}

// lose counts spans of the item as lost, and keeps why.
func (i *item) lose(cause Cause, spans int, why error, t *tally) {
	if spans == 0 {
		return
	}
	i.count -= spans
	i.err = errors.Join(i.err, errOf(cause, fmt.Errorf("%d of %d: %w", spans, i.queued, why)))
	t.lose(cause, spans, why)
}

// errUnencodable says that spans have text that is no UTF-8: no backend could be sent them either.
var errUnencodable = errors.New("the spans cannot be encoded")

func (i *item) encode() ([][]byte, error) {
	encoded := make([][]byte, len(i.spans))
	for at, each := range i.spans {
		var err error
		if encoded[at], err = proto.Marshal(each); err != nil {
			return nil, fmt.Errorf("%w: %w", errUnencodable, err)
		}
	}
	return encoded, nil
}

// passes says whether a failure of a batch may pass: it is tried again. The service refuses for good only what is wrong
// in the batch itself.
func passes(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.AlreadyExists:
		return false
	}
	return !errors.Is(err, kms.ErrExpired) && !errors.Is(err, kms.ErrSignerClosed)
}

// isAboutSpan says whether a result is the service's word on one span, and not on its batch.
func isAboutSpan(err error) bool {
	var refused *kms.SpanError
	return errors.As(err, &refused)
}

// put puts the results on the spans. Spans of batches that were not signed are taken out and lost.
func (i *item) put(results []kms.SpanResult, policy OnRefused, t *tally) {
	at, refused := 0, 0
	lost := map[Cause]int{}
	why := map[Cause]error{}
	var whyRefused error
	for _, each := range i.spans {
		for _, scope := range each.GetScopeSpans() {
			kept := scope.Spans[:0]
			for _, span := range scope.GetSpans() {
				err := results[at].Err
				switch {
				case err == nil:
					span.Attributes = appendAttributes(span.Attributes, results[at])
				case isAboutSpan(err):
					refused, whyRefused = refused+1, err
					if policy == Drop {
						lost[Rejected]++
						why[Rejected] = err
						at++
						continue
					}
					span.Attributes = append(span.Attributes, text(UnsignedReason, err.Error()))
				default:
					cause := causeOf(err)
					lost[cause]++
					why[cause] = err
					at++
					continue
				}
				kept = append(kept, span)
				at++
			}
			clear(scope.Spans[len(kept):])
			scope.Spans = kept
		}
	}
	t.refuse(refused, whyRefused)
	for cause, spans := range lost {
		i.lose(cause, spans, why[cause], t)
	}
}

// causeOf says why a batch that is given up was not signed.
func causeOf(err error) Cause {
	switch {
	case errors.Is(err, kms.ErrSignerClosed):
		return Shutdown
	case errors.Is(err, kms.ErrExpired) || passes(err):
		return Undeliverable
	}
	return Rejected
}

func appendAttributes(attributes []*commonpb.KeyValue, result kms.SpanResult) []*commonpb.KeyValue {
	for _, each := range result.Attributes {
		attributes = append(attributes, text(each.GetKey(), each.GetValue().GetStringValue()))
	}
	return attributes
}

func text(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}

// errOf names a cause as the error of an export.
func errOf(cause Cause, why error) error {
	return fmt.Errorf("kmsotel: spans are lost (%s): %w", cause, why)
}
