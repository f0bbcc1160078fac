package verify

// A million inputs: `go test -run '^$' -fuzz '^FuzzVerifyExport$' -fuzztime 1000000x -fuzzminimizetime 1x ./verify`. With
// Go's own minimize time of 60 s, most of them would be attempts to make one input shorter.

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"unicode/utf8"
)

// FuzzVerifyExport: no bytes make the verifier panic, and none but what was signed verifies.
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

// FuzzAlteredExport: an export of the vectors with a few bytes changed, left out or doubled. What still verifies has
// the canonical form that was signed.
func FuzzAlteredExport(f *testing.F) {
	var exported struct{ Protobuf string }
	var accepted acceptedVectors
	readVectors(f, "span/exported.json", &exported)
	readVectors(f, "span/accepted.json", &accepted)
	protobuf := fromHex(f, exported.Protobuf)
	jwks, err := json.Marshal(map[string]any{"keys": []any{jwkOf(accepted.KeyID, fromHex(f, accepted.PublicKey), nil)}})
	if err != nil {
		f.Fatal(err)
	}
	keys, err := ParseKeySet(jwks)
	if err != nil {
		f.Fatal(err)
	}
	signed := digestsOf(f, protobuf)
	for seed := range uint64(100) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		altered := alter(protobuf, rand.New(rand.NewPCG(seed, 0)))
		verdicts, err := keys.VerifyExport(altered, "acme")
		if err != nil {
			return
		}
		digests := digestsOf(t, altered)
		if len(digests) != len(verdicts) {
			t.Fatalf("%d verdicts of %d spans", len(verdicts), len(digests))
		}
		for i, verdict := range verdicts {
			if verdict.Verified && !slices.Contains(signed, digests[i]) {
				t.Fatalf("span %d verifies with another form than was signed", i)
			}
		}
	})
}

func alter(original []byte, random *rand.Rand) []byte {
	altered := bytes.Clone(original)
	for range 1 + random.IntN(3) {
		at := random.IntN(len(altered))
		switch random.IntN(4) {
		case 0:
			altered = slices.Delete(altered, at, at+1)
		case 1:
			altered = slices.Insert(altered, at, altered[at])
		case 2:
			altered[at] ^= 1 << random.IntN(8)
		default:
			altered[at] = byte(random.Uint32())
		}
	}
	return altered
}

// digestsOf returns the digest of each span in the order of the verdicts; "" for what cannot be read.
func digestsOf(t testing.TB, export []byte) (digests []string) {
	t.Helper()
	messages, err := splitExport(export)
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range messages {
		err := message.err
		if err == nil {
			err = eachSpan(message.bytes, func(span wholeSpan, _ error) { digests = append(digests, span.digest) })
		}
		if err != nil {
			digests = append(digests, "")
		}
	}
	return digests
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
