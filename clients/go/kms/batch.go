package kms

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// A batch is kept below what the service takes, which is 10,000 spans and 4 MiB: a smaller one is answered sooner,
// and less is sent again when a stream breaks.
const (
	batchSpans = 1000
	batchBytes = 1 << 20
	// Bounds a span alone, with its resource and scope: some is left for what is said of the batch.
	maxSpanBytes = maxMessageBytes - 4096
)

// Fields of SignSpansRequest, ResourceSpans and ScopeSpans.
const (
	resourceSpansField = 1
	scopeSpansField    = 2
	spansField         = 2
)

// batch is a SignSpansRequest with its place among the spans of a call.
type batch struct {
	requestID string
	// body holds the ResourceSpans as fields of the request.
	body  []byte
	spans int
	// first is the index of its first span among those of the signing.
	first   int
	signing *Signing
	// since is when it was first queued.
	since time.Time
	// received counts the results of the stream that is open.
	received int
	// err says why it was not signed; nil while it is unanswered, and when it was.
	err error
}

// cut is a message whose repeated field was taken out.
type cut struct {
	// frame holds the other fields as they were.
	frame []byte
	items [][]byte
}

func cutOut(message []byte, field protowire.Number) (parts cut, err error) {
	for len(message) > 0 {
		number, wireType, tagLength := protowire.ConsumeTag(message)
		if tagLength < 0 {
			return parts, protowire.ParseError(tagLength)
		}
		length := protowire.ConsumeFieldValue(number, wireType, message[tagLength:])
		if length < 0 {
			return parts, protowire.ParseError(length)
		}
		if number == field && wireType == protowire.BytesType {
			item, _ := protowire.ConsumeBytes(message[tagLength:])
			parts.items = append(parts.items, item)
		} else {
			parts.frame = append(parts.frame, message[:tagLength+length]...)
		}
		message = message[tagLength+length:]
	}
	return parts, nil
}

func appendField(out []byte, number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(out, number, protowire.BytesType), content)
}

// fieldBytes is how much appendField adds.
func fieldBytes(number protowire.Number, content int) int {
	return protowire.SizeTag(number) + protowire.SizeBytes(content)
}

// batcher divides ResourceSpans into batches. One that fits into a batch goes as it is; of others, the parts have
// the same resource and scopes.
type batcher struct {
	batches []*batch
	current batch
	// total counts the spans.
	total int
	// tooLarge lists the spans that no message holds.
	tooLarge []int
}

func (b *batcher) add(resourceSpans []byte) error {
	whole, err := cutOut(resourceSpans, scopeSpansField)
	if err != nil {
		return fmt.Errorf("the bytes are no ResourceSpans: %w", err)
	}
	scopes := make([]cut, len(whole.items))
	count := 0
	for i, item := range whole.items {
		if scopes[i], err = cutOut(item, spansField); err != nil {
			return fmt.Errorf("the bytes are no ResourceSpans: %w", err)
		}
		count += len(scopes[i].items)
	}
	if size := fieldBytes(resourceSpansField, len(resourceSpans)); count <= batchSpans && size <= batchBytes {
		b.reserve(count, size)
		b.append(appendField(nil, resourceSpansField, resourceSpans), count)
		return nil
	}
	b.flush()
	for _, scope := range scopes {
		b.addScope(whole.frame, scope)
	}
	return nil
}

// addScope makes batches of the spans of one scope.
func (b *batcher) addScope(resourceFrame []byte, scope cut) {
	frames := len(resourceFrame) + len(scope.frame) + 64
	spans := append([]byte(nil), scope.frame...)
	count := 0
	finish := func() {
		if count > 0 {
			message := appendField(append([]byte(nil), resourceFrame...), scopeSpansField, spans)
			b.append(appendField(nil, resourceSpansField, message), count)
			b.flush()
		}
		spans, count = append([]byte(nil), scope.frame...), 0
	}
	for _, span := range scope.items {
		size := fieldBytes(spansField, len(span))
		if count == batchSpans || count > 0 && len(spans)+size+len(resourceFrame) > batchBytes {
			finish()
		}
		if frames+size > maxSpanBytes {
			finish()
			b.tooLarge = append(b.tooLarge, b.total)
			b.total++
			continue
		}
		spans = appendField(spans, spansField, span)
		count++
	}
	finish()
}

func (b *batcher) reserve(count, size int) {
	if b.current.spans+count > batchSpans || len(b.current.body)+size > batchBytes {
		b.flush()
	}
}

func (b *batcher) append(body []byte, count int) {
	b.current.body = append(b.current.body, body...)
	b.current.spans += count
	b.total += count
}

func (b *batcher) flush() {
	if b.current.spans > 0 {
		done := b.current
		done.first = b.total - done.spans
		b.batches = append(b.batches, &done)
	}
	b.current = batch{}
}

var errTooLarge = errors.New("is larger than a message may be, 4 MiB")
