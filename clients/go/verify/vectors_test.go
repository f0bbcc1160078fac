package verify

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fluo-dev/fluo-kms/clients/go/verify/internal/wire"
)

func appendBytes(out []byte, number wire.Number, content []byte) []byte {
	return wire.AppendBytes(wire.AppendTag(out, number, wire.BytesType), content)
}

const vectors = "../../../test/vectors"

func readVectors(t testing.TB, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(vectors, path))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatal(err)
	}
}

func fromHex(t testing.TB, text string) []byte {
	t.Helper()
	decoded, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

type acceptedVectors struct {
	PublicKey, KeyID, Tenant, SignedAt string
	VKey                               struct{ Name, Text string }
	Spans                              []struct {
		Name, SignSpanRequest, ResourceSpans, Canonical, Statement, PreAuthenticationEncoding, Signature string
	}
}

// parts of a SignSpanRequest.
func requestParts(t *testing.T, request []byte) (resource, scope, span []byte) {
	t.Helper()
	for len(request) > 0 {
		tag, n, err := wire.Varint(request)
		if err != nil {
			t.Fatal(err)
		}
		number, _ := wire.SplitTag(tag)
		content, length, err := wire.Bytes(request[n:])
		if err != nil {
			t.Fatal(err)
		}
		switch number {
		case 2:
			span = content
		case 3:
			resource = content
		case 4:
			scope = content
		}
		request = request[n+length:]
	}
	return resource, scope, span
}

func TestAcceptedVectorsHaveTheirCanonicalFormAndSignature(t *testing.T) {
	var accepted acceptedVectors
	readVectors(t, "span/accepted.json", &accepted)
	if len(accepted.Spans) == 0 {
		t.Fatal("no vectors")
	}
	publicKey := fromHex(t, accepted.PublicKey)
	for _, each := range accepted.Spans {
		t.Run(each.Name, func(t *testing.T) {
			resource, scope, span := requestParts(t, fromHex(t, each.SignSpanRequest))
			canonical, err := CanonicalForm(resource, scope, span)
			if err != nil || string(canonical) != each.Canonical {
				t.Fatalf("got %s, %v; want %s", canonical, err, each.Canonical)
			}
			whole, err := readWhole(resource, scope, span)
			if err != nil {
				t.Fatal(err)
			}
			signed := whole.statement(accepted.Tenant, accepted.SignedAt, accepted.KeyID).text()
			if string(signed) != each.Statement {
				t.Errorf("statement is %s; want %s", signed, each.Statement)
			}
			encoded := preAuthenticationEncoding(signed)
			if !bytes.Equal(encoded, fromHex(t, each.PreAuthenticationEncoding)) {
				t.Errorf("pre-authentication encoding is %q", encoded)
			}
			if !verifySignature(publicKey, encoded, fromHex(t, each.Signature)) {
				t.Error("signature does not verify")
			}
			encoded[0] ^= 1
			if verifySignature(publicKey, encoded, fromHex(t, each.Signature)) {
				t.Error("signature verifies over other bytes")
			}
		})
	}
}

func TestResourceSpansOfAcceptedVectorsReadAsTheirRequests(t *testing.T) {
	var accepted acceptedVectors
	readVectors(t, "span/accepted.json", &accepted)
	for _, each := range accepted.Spans {
		resource, scope, span := requestParts(t, fromHex(t, each.SignSpanRequest))
		want, err := readWhole(resource, scope, span)
		if err != nil {
			t.Fatal(err)
		}
		spans := 0
		err = eachSpan(fromHex(t, each.ResourceSpans), func(got wholeSpan, err error) {
			spans++
			if err != nil || got.digest != want.digest {
				t.Errorf("%s: %s, %v; want %s", each.Name, got.digest, err, want.digest)
			}
		})
		if err != nil || spans != 1 {
			t.Errorf("%s: %d spans, %v", each.Name, spans, err)
		}
	}
}

func TestRefusedVectorsAreRefusedAtTheirField(t *testing.T) {
	var refusals []struct{ Name, Span, Field string }
	readVectors(t, "span/refused.json", &refusals)
	if len(refusals) == 0 {
		t.Fatal("no vectors")
	}
	for _, each := range refusals {
		_, err := readWhole(nil, nil, fromHex(t, each.Span))
		var f *fault
		if f, _ = err.(*fault); f == nil {
			t.Errorf("%s: %v", each.Name, err)
		} else if each.Field != "" && f.path != each.Field {
			t.Errorf("%s: is refused at %s; want %s", each.Name, f.path, each.Field)
		}
	}
}

func TestExportedVectorsVerifyInEachForm(t *testing.T) {
	var exported struct {
		Protobuf string
		JSON     map[string]string
	}
	readVectors(t, "span/exported.json", &exported)
	var accepted acceptedVectors
	readVectors(t, "span/accepted.json", &accepted)
	keys := keySetOf(t, accepted.KeyID, fromHex(t, accepted.PublicKey), nil)
	forms := map[string][]byte{"protobuf": fromHex(t, exported.Protobuf)}
	var document []byte
	for by, text := range exported.JSON {
		document = []byte(text)
		forms["JSON by "+by] = document
		line := append(compact(t, document), '\n')
		forms["JSON lines by "+by] = append(line, line...)
	}
	for form, export := range forms {
		verdicts, err := keys.VerifyExport(export, accepted.Tenant)
		if err != nil || len(verdicts) == 0 {
			t.Fatalf("%s: %d verdicts, %v", form, len(verdicts), err)
		}
		for _, verdict := range verdicts {
			if !verdict.Verified || verdict.Reason != OK || verdict.SignedAt != accepted.SignedAt {
				t.Errorf("%s: %+v", form, verdict)
			}
		}
	}
	if verdicts, _ := keys.VerifyExport(forms["protobuf"], "other"); verdicts[0].Reason != UnknownKey {
		t.Errorf("of another tenant it is %+v", verdicts[0])
	}
	altered := bytes.Replace(document, []byte("POST"), []byte("PUT"), 1)
	if verdicts, _ := keys.VerifyExport(altered, ""); verdicts[0].Reason != SignatureMismatch {
		t.Errorf("altered it is %+v", verdicts[0])
	}
}

func compact(t *testing.T, document []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, document); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestTextsOfExportsHaveTheirReasons(t *testing.T) {
	var texts struct {
		JWKS  string
		Cases []struct {
			Name, Text string
			Reasons    json.RawMessage
		}
	}
	readVectors(t, "span/json.json", &texts)
	keys, err := ParseKeySet([]byte(texts.JWKS))
	if err != nil || len(texts.Cases) == 0 {
		t.Fatal(err)
	}
	for _, each := range texts.Cases {
		verdicts, err := keys.VerifyExport([]byte(each.Text), "acme")
		if string(each.Reasons) == `"unreadable"` {
			if err == nil {
				t.Errorf("%s: is read", each.Name)
			}
			continue
		}
		var want []Reason
		if err := json.Unmarshal(each.Reasons, &want); err != nil {
			t.Fatal(err)
		}
		got := []Reason{}
		for _, verdict := range verdicts {
			got = append(got, verdict.Reason)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", each.Name, verdicts, err, want)
		}
	}
}

func TestKeySetsHaveTheirKeys(t *testing.T) {
	var sets []struct {
		Name, Text string
		KeyIDs     *[]string
	}
	readVectors(t, "span/key-sets.json", &sets)
	if len(sets) == 0 {
		t.Fatal("no vectors")
	}
	for _, each := range sets {
		keys, err := ParseKeySet([]byte(each.Text))
		if (err == nil) != (each.KeyIDs != nil) {
			t.Errorf("%s: %v", each.Name, err)
		}
		if err != nil || each.KeyIDs == nil {
			continue
		}
		want := slices.Sorted(slices.Values(*each.KeyIDs))
		if got := slices.Sorted(maps.Keys(keys.byID)); !slices.Equal(got, want) {
			t.Errorf("%s: %v; want %v", each.Name, got, want)
		}
	}
}

func TestTimesOfSigning(t *testing.T) {
	var times struct {
		Accepted []struct{ By, Spelling, Canonical string }
		Refused  []struct{ What, Spelling string }
	}
	readVectors(t, "signed-at/vectors.json", &times)
	for _, each := range times.Accepted {
		if canonical, ok := canonicalSignedAt(each.Spelling); !ok || canonical != each.Canonical {
			t.Errorf("%s, %q: %q, %v", each.By, each.Spelling, canonical, ok)
		}
	}
	for _, each := range times.Refused {
		if _, ok := canonicalSignedAt(each.Spelling); ok {
			t.Errorf("%s is taken", each.What)
		}
	}
	if len(times.Accepted) == 0 || len(times.Refused) == 0 {
		t.Error("no vectors")
	}
}

func TestVerifierKeysAreReadInTheirOneSpelling(t *testing.T) {
	var accepted acceptedVectors
	readVectors(t, "span/accepted.json", &accepted)
	text := accepted.VKey.Text
	key, ok := parseVerifierKey(text)
	if !ok || key.name != accepted.VKey.Name || !key.isSameKey(fromHex(t, accepted.PublicKey)) {
		t.Errorf("%+v, %v", key, ok)
	}
	for _, wrong := range []string{"", text + "\n", text + "=", "x" + text, " " + text, text[:len(text)-1]} {
		if _, ok := parseVerifierKey(wrong); ok {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestReservedAttributesAreRefusedAndOthersSigned(t *testing.T) {
	span := appendBytes(appendBytes(nil, 1, []byte("0123456789abcdef")), 2, []byte("01234567"))
	with := func(key string) []byte { return appendBytes(bytes.Clone(span), 9, appendBytes(nil, 1, []byte(key))) }
	for _, key := range []string{"audit.integrity.", "audit.integrity.fluo", "audit.integrity.other", "audit.integrity.Value"} {
		canonical, err := CanonicalForm(nil, nil, with(key))
		if err != nil || !bytes.Contains(canonical, []byte(`"attributes":{"`+key+`":null}`)) {
			t.Errorf("%s: %s, %v", key, canonical, err)
		}
	}
	for _, key := range []string{"audit.integrity.fluo.", "audit.integrity.fluo.x"} {
		if _, err := CanonicalForm(nil, nil, with(key)); err == nil || !strings.HasPrefix(err.Error(), "span.attributes[0].key: names that begin with") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestWhiteSpaceThatIsNotOfJSON(t *testing.T) {
	keys, err := ParseKeySet([]byte(`{"keys":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"\ufeff{\"resourceSpans\":[]}", "{\"resourceSpans\":[]}\n \t\r\n{\"resourceSpans\":[]}"} {
		if _, err := keys.VerifyExport([]byte(text), ""); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"\ufeff\ufeff{\"resourceSpans\":[]}", "{\"resourceSpans\":[]}\n\u00a0\n", "{\"resourceSpans\":[]}\n\v\n",
		"{\"resourceSpans\":[]}\n\ufeff{\"resourceSpans\":[]}"} {
		if _, err := keys.VerifyExport([]byte(text), ""); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
