package kms_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/fluo-dev/fluo-kms/clients/go/internal/testservice"
	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"github.com/fluo-dev/fluo-kms/clients/go/verify"
	"google.golang.org/protobuf/proto"
)

// publishedKeys are those of jwks.json that a test needs.
type publishedKeys struct {
	Keys []struct {
		Kid   string
		VKeys []string
	}
}

func publishedBy(t *testing.T, service *testservice.Service) (keys *verify.KeySet, published publishedKeys) {
	t.Helper()
	answer, err := http.Get(service.URL + "/api/kms/tenants/acme/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer answer.Body.Close()
	jwks, err := io.ReadAll(answer.Body)
	if err == nil {
		err = json.Unmarshal(jwks, &published)
	}
	if err == nil {
		keys, err = verify.ParseKeySet(jwks)
	}
	if err != nil {
		t.Fatal(err)
	}
	return keys, published
}

func reasonsOf(t *testing.T, keys *verify.KeySet, spans *kmsv1.ResourceSpans) map[verify.Reason]int {
	t.Helper()
	export, err := proto.Marshal(&kmsv1.SignSpansRequest{ResourceSpans: []*kmsv1.ResourceSpans{spans}})
	if err != nil {
		t.Fatal(err)
	}
	verdicts, err := keys.VerifyExport(export, "")
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[verify.Reason]int{}
	for _, verdict := range verdicts {
		reasons[verdict.Reason]++
	}
	return reasons
}

func TestTrustGoesOnByHandoversAndEndsWithACompromise(t *testing.T) {
	service := testservice.Start(t)
	client := dial(t, service.Address)
	ctx := contextOf(t)
	signed := func(first int) *kmsv1.ResourceSpans {
		signer := kms.NewSpanSigner(client, "acme")
		defer signer.Close()
		spans := spansOf("s", first, 3)
		signing, err := signer.Sign(ctx, spans)
		if err != nil {
			t.Fatal(err)
		}
		results, err := signing.Wait(ctx)
		if err != nil {
			t.Fatal(err)
		}
		put(t, spans, results)
		return spans
	}
	before := signed(0)
	_, old := publishedBy(t, service)
	if _, err := client.Rotate(ctx, &kmsv1.RotateRequest{TenantId: "acme", Purpose: kmsv1.KeyPurpose_KEY_PURPOSE_SIGNING, Force: true}); err != nil {
		t.Fatal(err)
	}
	after := signed(10)

	keys, published := publishedBy(t, service)
	trusting, err := keys.Trusting(old.Keys[0].VKeys...)
	if err != nil {
		t.Fatal(err)
	}
	for _, spans := range []*kmsv1.ResourceSpans{before, after} {
		if reasons := reasonsOf(t, trusting, spans); reasons[verify.OK] != 3 {
			t.Errorf("from the first key on: %v", reasons)
		}
	}
	newer := published.Keys[0]
	if newer.Kid == old.Keys[0].Kid {
		newer = published.Keys[1]
	}
	trusting, err = keys.Trusting(newer.VKeys...)
	if err != nil || !keys.Has(newer.VKeys[0]) {
		t.Fatal(err)
	}
	if reasons := reasonsOf(t, trusting, before); reasons[verify.UnknownKey] != 3 {
		t.Errorf("from the second key on: %v", reasons)
	}
	if _, err := keys.Trusting("x"); err == nil {
		t.Error("a text that is no verifier key is taken")
	}

	if _, err := client.MarkKeyCompromised(ctx, &kmsv1.MarkKeyCompromisedRequest{TenantId: "acme", KeyId: old.Keys[0].Kid}); err != nil {
		t.Fatal(err)
	}
	keys, _ = publishedBy(t, service)
	if reasons := reasonsOf(t, keys, before); reasons[verify.KeyCompromised] != 3 {
		t.Errorf("by a compromised key: %v", reasons)
	}
	if reasons := reasonsOf(t, keys, after); reasons[verify.OK] != 3 {
		t.Errorf("by another key: %v", reasons)
	}
	trusting, err = keys.Trusting(old.Keys[0].VKeys...)
	if err != nil {
		t.Fatal(err)
	}
	if reasons := reasonsOf(t, trusting, after); reasons[verify.UnknownKey] != 3 {
		t.Errorf("a compromised key hands over: %v", reasons)
	}
}
