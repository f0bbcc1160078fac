package kms_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/fluo-dev/fluo-kms/clients/go/internal/testservice"
	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"github.com/fluo-dev/fluo-kms/clients/go/verify"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

func span(number int, name string) *kmsv1.Span {
	id := binary.BigEndian.AppendUint64(nil, uint64(number+1))
	return &kmsv1.Span{TraceId: append(make([]byte, 8), id...), SpanId: id, Name: name}
}

func spansOf(scope string, first, count int) *kmsv1.ResourceSpans {
	scoped := &kmsv1.ScopeSpans{Scope: &kmsv1.InstrumentationScope{Name: scope}}
	for i := range count {
		scoped.Spans = append(scoped.Spans, span(first+i, fmt.Sprintf("%s-%d", scope, first+i)))
	}
	return &kmsv1.ResourceSpans{ScopeSpans: []*kmsv1.ScopeSpans{scoped}}
}

func jwksOf(t *testing.T, service *testservice.Service, tenant string) *verify.KeySet {
	t.Helper()
	answer, err := http.Get(service.URL + "/api/kms/tenants/" + tenant + "/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	jwks, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	keys, err := verify.ParseKeySet(jwks)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// put puts the attributes of the results on the spans.
func put(t *testing.T, spans *kmsv1.ResourceSpans, results []kms.SpanResult) {
	t.Helper()
	at := 0
	for _, scope := range spans.GetScopeSpans() {
		for _, each := range scope.GetSpans() {
			if results[at].Err != nil {
				t.Errorf("span %d: %v", at, results[at].Err)
			}
			each.Attributes = append(each.Attributes, results[at].Attributes...)
			at++
		}
	}
	if at != len(results) {
		t.Errorf("%d results of %d spans", len(results), at)
	}
}

func verifyAll(t *testing.T, keys *verify.KeySet, spans *kmsv1.ResourceSpans) {
	t.Helper()
	export, err := proto.Marshal(&kmsv1.SignSpansRequest{ResourceSpans: []*kmsv1.ResourceSpans{spans}})
	if err != nil {
		t.Fatal(err)
	}
	verdicts, err := keys.VerifyExport(export, "acme")
	if err != nil {
		t.Fatal(err)
	}
	for _, verdict := range verdicts {
		if !verdict.Verified {
			t.Fatalf("%+v", verdict)
		}
	}
}

func TestSignedSpansVerifyInBothModes(t *testing.T) {
	service := testservice.Start(t)
	client := dial(t, service.Address)
	ctx := contextOf(t)
	for _, mode := range []kmsv1.SignMode{kmsv1.SignMode_SIGN_MODE_LOG, kmsv1.SignMode_SIGN_MODE_INDIVIDUAL} {
		signer := kms.NewSpanSigner(client, "acme", kms.WithMode(mode))
		spans := spansOf("s", 0, 2500)
		signing, err := signer.Sign(ctx, spans)
		if err != nil {
			t.Fatal(err)
		}
		results, err := signing.Wait(ctx)
		if err != nil {
			t.Fatal(err)
		}
		put(t, spans, results)
		verifyAll(t, jwksOf(t, service, "acme"), spans)
		if mode == kmsv1.SignMode_SIGN_MODE_LOG && results[2499].LeafIndex != 2499 {
			t.Errorf("the last one has place %d", results[2499].LeafIndex)
		}
		if err := signer.Close(); err != nil {
			t.Error(err)
		}
		if _, err := signer.Sign(ctx, spansOf("s", 0, 1)); !errors.Is(err, kms.ErrSignerClosed) {
			t.Error(err)
		}
	}
}

func TestABadSpanAndABadBatchFailAlone(t *testing.T) {
	client := dial(t, testservice.Start(t).Address)
	ctx := contextOf(t)
	signer := kms.NewSpanSigner(client, "acme")
	defer signer.Close()
	bad := spansOf("s", 0, 3)
	bad.ScopeSpans[0].Spans[1].TraceId = nil
	refusedFrame, err := proto.Marshal(spansOf("s", 5, 2))
	if err != nil {
		t.Fatal(err)
	}
	refusedFrame = append(refusedFrame, 0x78, 1) // a field that ResourceSpans has not
	first, err := signer.Sign(ctx, bad)
	if err != nil {
		t.Fatal(err)
	}
	second, err := signer.SignEncoded(ctx, refusedFrame)
	if err != nil {
		t.Fatal(err)
	}
	third, err := signer.Sign(ctx, spansOf("s", 10, 2))
	if err != nil {
		t.Fatal(err)
	}
	results, err := first.Wait(ctx)
	var refused *kms.SpanError
	if err != nil || results[0].Err != nil || results[2].LeafIndex != 1 || !errors.As(results[1].Err, &refused) ||
		refused.Code != codes.InvalidArgument || refused.Field == "" {
		t.Errorf("%+v, %v", results, err)
	}
	if results, err := second.Wait(ctx); err == nil || results[0].Err == nil || results[1].Err == nil {
		t.Errorf("%+v, %v", results, err)
	}
	if results, err := third.Wait(ctx); err != nil || results[1].LeafIndex != 3 {
		t.Errorf("%+v, %v", results, err)
	}
	if _, err := signer.SignEncoded(ctx, []byte{0xff}); err == nil {
		t.Error("bytes that are no ResourceSpans are taken")
	}
}

func TestCutConnectionsAndAnAbsentServiceLoseNothing(t *testing.T) {
	service := testservice.Start(t)
	proxy := testservice.StartProxy(t, service.Address)
	client := dial(t, proxy.Address)
	ctx := contextOf(t)
	signer := kms.NewSpanSigner(client, "acme")
	defer signer.Close()
	const batches, each = 40, 50
	var all []*kmsv1.ResourceSpans
	var signings []*kms.Signing
	for i := range batches {
		switch {
		case i%7 == 3:
			proxy.Cut()
		case i == 20:
			proxy.SetDown(true)
			go proxy.SetDown(false)
		}
		spans := spansOf("s", i*each, each)
		signing, err := signer.Sign(ctx, spans)
		if err != nil {
			t.Fatal(err)
		}
		all, signings = append(all, spans), append(signings, signing)
	}
	proxy.Cut()
	if err := signer.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	seen := map[uint64]bool{}
	for i, signing := range signings {
		results, err := signing.Wait(ctx)
		if err != nil {
			t.Fatal(err)
		}
		put(t, all[i], results)
		for _, result := range results {
			if seen[result.LeafIndex] || result.LeafIndex >= batches*each {
				t.Fatalf("place %d is there twice, or has a gap before it", result.LeafIndex)
			}
			seen[result.LeafIndex] = true
		}
	}
	keys := jwksOf(t, service, "acme")
	for _, spans := range all {
		verifyAll(t, keys, spans)
	}
}

func TestSignWaitsWhileTooManyBatchesAreUnanswered(t *testing.T) {
	service := testservice.Start(t)
	proxy := testservice.StartProxy(t, service.Address)
	proxy.SetDown(true)
	client := dial(t, proxy.Address)
	signer := kms.NewSpanSigner(client, "acme", kms.WithMaxUnanswered(2))
	defer signer.Close()
	ctx := contextOf(t)
	first, err := signer.Sign(ctx, spansOf("s", 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signer.Sign(ctx, spansOf("s", 1, 1)); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := signer.Sign(ended, spansOf("s", 2, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("a third batch: %v", err)
	}
	if _, err := first.Wait(ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	proxy.SetDown(false)
	if signing, err := signer.Sign(ctx, spansOf("s", 2, 1)); err != nil {
		t.Error(err)
	} else if results, err := signing.Wait(ctx); err != nil || results[0].LeafIndex != 2 {
		t.Errorf("%+v, %v", results, err)
	}
}

func TestCloseFailsWhatIsNotAnswered(t *testing.T) {
	proxy := testservice.StartProxy(t, "127.0.0.1:1")
	proxy.SetDown(true)
	signer := kms.NewSpanSigner(dial(t, proxy.Address), "acme")
	ctx := contextOf(t)
	signing, err := signer.Sign(ctx, spansOf("s", 0, 2))
	if err != nil {
		t.Fatal(err)
	}
	if err := signer.Close(); err != nil {
		t.Error(err)
	}
	if results, err := signing.Wait(ctx); !errors.Is(err, kms.ErrSignerClosed) || len(results) != 2 {
		t.Errorf("%+v, %v", results, err)
	}
}
