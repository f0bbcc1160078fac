package main

import (
	"crypto/rand"
	"fmt"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/protobuf/proto"
)

type resumed struct {
	LeafIndices []uint64 `json:"leafIndices"`
	Spans       []byte   `json:"spans"`
}

func resume(found *results, given world) error {
	ctx, client, done, err := given.open()
	if err != nil {
		return err
	}
	defer done()
	signer := kms.NewSpanSigner(client, given.Tenant)
	defer signer.Close()
	all := &kmsv1.SignSpansRequest{}
	var signings []*kms.Signing
	for batch := range given.Batches {
		spans := resumeSpans(batch, given.SpansPerBatch)
		signing, err := signer.Sign(ctx, spans)
		if err != nil {
			return err
		}
		all.ResourceSpans, signings = append(all.ResourceSpans, spans), append(signings, signing)
	}
	if err := signer.Flush(ctx); err != nil {
		return err
	}
	out := resumed{LeafIndices: []uint64{}}
	for batch, signing := range signings {
		results, err := signing.Wait(ctx)
		if err != nil {
			return fmt.Errorf("batch %d: %w", batch, err)
		}
		spans := all.ResourceSpans[batch].ScopeSpans[0].Spans
		for i, result := range results {
			if result.Err != nil {
				return fmt.Errorf("batch %d, span %d: %w", batch, i, result.Err)
			}
			spans[i].Attributes = append(spans[i].Attributes, result.Attributes...)
			out.LeafIndices = append(out.LeafIndices, result.LeafIndex)
		}
		found.check(len(results) == given.SpansPerBatch, fmt.Sprintf("batch %d", batch), len(results))
	}
	if out.Spans, err = proto.Marshal(all); err != nil {
		return err
	}
	return writeJSON(given.Out, out)
}

func resumeSpans(batch, count int) *kmsv1.ResourceSpans {
	scope := &kmsv1.ScopeSpans{Scope: &kmsv1.InstrumentationScope{Name: "resume"}}
	for i := range count {
		id := make([]byte, 24)
		_, _ = rand.Read(id) // never fails
		scope.Spans = append(scope.Spans, &kmsv1.Span{TraceId: id[:16], SpanId: id[16:], Name: fmt.Sprintf("r-%d-%d", batch, i)})
	}
	return &kmsv1.ResourceSpans{ScopeSpans: []*kmsv1.ScopeSpans{scope}}
}
