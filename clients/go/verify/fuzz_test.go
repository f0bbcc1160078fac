package verify

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzVerifyExport: no bytes make the verifier panic, and none but what was signed verifies.
//
//	go test -fuzz FuzzVerifyExport -fuzztime 1000000x ./verify
func FuzzVerifyExport(f *testing.F) {
	var exported struct {
		Protobuf string
		JSON     map[string]string
	}
	var accepted acceptedVectors
	readVectors(f, "span/exported.json", &exported)
	readVectors(f, "span/accepted.json", &accepted)
	protobuf := fromHex(f, exported.Protobuf)
	f.Add(protobuf)
	for _, document := range exported.JSON {
		f.Add([]byte(document))
	}
	raw := fromHex(f, accepted.PublicKey)
	jwks, err := json.Marshal(map[string]any{"keys": []any{jwkOf(accepted.KeyID, raw, map[string]any{"vkeys": []string{accepted.VKey.Text}})}})
	if err != nil {
		f.Fatal(err)
	}
	keys, err := ParseKeySet(jwks)
	if err != nil {
		f.Fatal(err)
	}
	signed := map[string]bool{}
	original, err := keys.VerifyExport(protobuf, "acme")
	if err != nil {
		f.Fatal(err)
	}
	for _, verdict := range original {
		signed[verdict.TraceID+"/"+verdict.SpanID] = true
	}
	f.Fuzz(func(t *testing.T, export []byte) {
		verdicts, err := keys.VerifyExport(export, "")
		if err != nil && len(verdicts) > 0 {
			t.Fatal("both verdicts and an error")
		}
		for _, verdict := range verdicts {
			if verdict.Verified != (verdict.Reason == OK) || verdict.Verified && !signed[verdict.TraceID+"/"+verdict.SpanID] {
				t.Fatalf("%+v", verdict)
			}
			if !utf8.ValidString(verdict.Message) {
				t.Fatalf("%q", verdict.Message)
			}
		}
	})
}

// FuzzParseKeySet: no bytes make the reader of key sets panic.
func FuzzParseKeySet(f *testing.F) {
	f.Add([]byte(`{"keys": [{"kty":"OKP","crv":"Ed25519","x":"AAAA","kid":"k","state":"ACTIVE","vkeys":["a+00000000+AAAA"]}], "handovers": [{}]}`))
	f.Fuzz(func(t *testing.T, jwks []byte) {
		if keys, err := ParseKeySet(jwks); (keys == nil) == (err == nil) {
			t.Fatal(keys, err)
		}
	})
}
