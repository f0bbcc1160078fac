package verify

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// jwkOf returns an ACTIVE key with further members, which replace its own; nil removes one.
func jwkOf(keyID string, raw []byte, more map[string]any) map[string]any {
	jwk := map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(raw), "kid": keyID,
		"alg": "EdDSA", "use": "sig", "state": "ACTIVE"}
	for name, value := range more {
		jwk[name] = value
	}
	return jwk
}

func jwksOf(t *testing.T, jwk map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"keys": []any{jwk}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func keySetOf(t *testing.T, keyID string, raw []byte, more map[string]any) *KeySet {
	t.Helper()
	keys, err := ParseKeySet(jwksOf(t, jwkOf(keyID, raw, more)))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestAKeySetIsRefusedByTheMemberThatIsWrong(t *testing.T) {
	raw := make([]byte, 32)
	id := strings.Repeat("0", 32)
	for name, value := range map[string]any{
		"d": "AA", "k": nil, "priv": 7, "kty": 3, "crv": nil, "alg": "RS256", "use": "enc", "key_ops": []string{"sign"}, "x": "AA", "kid": "",
		"state": "active", "valid_from": "today", "valid_until": 5, "compromised_at": "2026-02-30T00:00:00Z",
		"compromised_log": "x", "vkeys": []string{"a+00000000+AAAA"},
	} {
		_, err := ParseKeySet(jwksOf(t, jwkOf(id, raw, map[string]any{name: value})))
		if err == nil || !strings.Contains(err.Error(), "keys[0]") {
			t.Errorf("%s: %v", name, err)
		}
	}
	x := base64.RawURLEncoding.EncodeToString(raw)
	for what, text := range map[string]string{
		"no JSON":                    `{"keys": [`,
		"no list":                    `{"keys": {}}`,
		"a page":                     `{"keys": [], "next_page_token": "x"}`,
		"a part of the keys":         `{"keys": [], "total_keys": 2}`,
		"a member twice":             `{"keys": [], "keys": []}`,
		"a member twice, escaped":    `{"keys": [], "\u006beys": []}`,
		"a key twice":                `{"keys": [` + strings.Repeat(`,{"kty":"OKP","crv":"Ed25519","x":"`+x+`","kid":"k","state":"ACTIVE"}`, 2)[1:] + `]}`,
		"another spelling of base64": `{"keys": [{"kty":"OKP","crv":"Ed25519","x":"` + x[:42] + `B","kid":"k","state":"ACTIVE"}]}`,
		"a handover that is none":    `{"keys": [], "handovers": [{"entry": "AA==", "proof": ""}]}`,
		"bytes that are no UTF-8":    "{\"keys\": [], \"\xff\": 1}",
		"something behind it":        `{"keys": []} {}`,
	} {
		if _, err := ParseKeySet([]byte(text)); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	for _, text := range []string{`{"keys": []}`, `{"keys": [], "handovers": null, "total_keys": 0, "next_page_token": ""}`} {
		if _, err := ParseKeySet([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAPrivateKeyIsNotQuoted(t *testing.T) {
	_, err := ParseKeySet(jwksOf(t, jwkOf("k", make([]byte, 32), map[string]any{"d": "c2VjcmV0"})))
	if err == nil || strings.Contains(err.Error(), "c2VjcmV0") {
		t.Error(err)
	}
}

func TestKeysOfKindsThatAreUnknownArePassedOver(t *testing.T) {
	raw := make([]byte, 32)
	id := strings.Repeat("0", 32)
	own := jwkOf(id, raw, nil)
	var exported struct{ Protobuf string }
	readVectors(t, "span/exported.json", &exported)
	for _, other := range []map[string]any{
		{"kty": "EC", "crv": "P-256", "x": 7},
		{"kty": "AKP", "kid": id, "state": "none"},
		{"kty": "OKP", "crv": "X25519"},
	} {
		text, err := json.Marshal(map[string]any{"keys": []any{other, own}, "total_keys": 2})
		if err != nil {
			t.Fatal(err)
		}
		keys, err := ParseKeySet(append([]byte("\ufeff"), text...))
		if err != nil {
			t.Errorf("%v: %v", other, err)
			continue
		}
		if len(keys.byID) != 1 || keys.byID[id] == nil {
			t.Errorf("%v: the set has %d keys", other, len(keys.byID))
		}
		verdicts, err := keys.VerifyExport(fromHex(t, exported.Protobuf), "")
		if err != nil {
			t.Fatal(err)
		}
		verdict := verdicts[0]
		if want := "no such key of this tenant in the keys file, which has 1 key of a kind that is unknown here"; verdict.Explanation() != want {
			t.Errorf("%v: %q", other, verdict.Explanation())
		}
	}
	for _, private := range []string{`{"kty":"oct","k":"c2VjcmV0"}`, `{"kty":"AKP","priv":null}`, `{"kty":"EC","d":1}`} {
		if _, err := ParseKeySet([]byte(`{"keys":[` + private + `]}`)); err == nil || !strings.Contains(err.Error(), "PRIVATE KEY") {
			t.Errorf("%s: %v", private, err)
		}
	}
}

func TestTheFirstTimeOfATimestampIsATime(t *testing.T) {
	first := "0001-01-01T00:00:00Z"
	raw, _ := base64.StdEncoding.DecodeString("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=") // of RFC 8032
	set, err := ParseKeySet(jwksOf(t, jwkOf("k", raw, map[string]any{"compromised_at": first, "valid_until": first})))
	if err != nil {
		t.Fatal(err)
	}
	key := set.byID["k"]
	if key.reason() != KeyCompromised || key.isValidAt(time.Now()) {
		t.Errorf("the key is %s, valid now: %v", key.reason(), key.isValidAt(time.Now()))
	}
}
