package verify

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"
)

// KeySet holds a tenant's public keys, and what there is of its logs. It is immutable, and safe for use by
// several goroutines.
type KeySet struct {
	byID      map[string]*publicKey
	logKeys   []*logKey
	handovers []handover
	unused    []unusedHandover
	// ended has the heads of logs that a restored backup or an accepted loss ended.
	ended []*checkpoint
	// passedOver counts the keys of a kind that is unknown here.
	passedOver int
}

// publicKey is a key as it is published. A time that is nil means unbounded, or never: the zero time is one that a set may name.
type publicKey struct {
	keyID                              string
	raw                                []byte
	state                              string
	validFrom, validUntil, compromised *time.Time
	// compromisedLog says how far its log went when the key was marked as compromised; nil if it was not.
	compromisedLog *checkpoint
}

// logKey is a key by the name of one of the tenant's logs: one that signs for several stands there for each.
type logKey struct {
	*publicKey
	name string
	// hash tells a name's keys apart in a note.
	hash uint32
}

// reasonOfState says what each state of a key means for a signature of it that holds. A disabled key's still
// verifies; the verdict's KeyState flags it.
var reasonOfState = map[string]Reason{
	"PENDING":           KeyState,
	"ACTIVE":            OK,
	"RETIRED":           OK,
	"DISABLED":          OK,
	"COMPROMISED":       KeyCompromised,
	"DESTROY_SCHEDULED": OK,
	"DESTROYED":         OK,
}

// reason returns what the state of the key alone makes of a signature of it that holds.
func (k *publicKey) reason() Reason {
	reason := reasonOfState[k.state]
	if reason == OK && k.compromised != nil {
		return KeyCompromised
	}
	return reason
}

func (k *publicKey) isValidAt(at time.Time) bool {
	if k.validFrom != nil && at.Before(k.validFrom.Add(-clockTolerance)) {
		return false
	}
	return k.validUntil == nil || !at.After(*k.validUntil)
}

// ParseKeySet reads the key set (JWKS, RFC 7517) that the service serves as jwks.json, with each key's
// state and times. Its error names the member that is wrong. One page of a tenant's keys is refused: spans of
// the others would look as if they were forged.
func ParseKeySet(jwks []byte) (*KeySet, error) {
	text, ok := decodeText(jwks)
	value, flaw, err := parseJSON(text)
	if err != nil || !ok {
		return nil, errors.New("the key set is not JSON; save what /api/kms/tenants/{tenant}/jwks.json answers")
	}
	if flaw != nil {
		return nil, fmt.Errorf("the key set cannot be read: %w", flaw)
	}
	object, _ := value.(*jsonObject)
	whole := &members{jsonObject: object}
	keys, ok := whole.get("keys").([]any)
	if !ok {
		return nil, errors.New(`the key set has no list "keys"; it must be a JWKS`)
	}
	if isPage(whole, len(keys)) {
		return nil, errors.New("this is one page of the tenant's keys; save all of them, as jwks.json serves them")
	}
	set := &KeySet{byID: map[string]*publicKey{}}
	for _, list := range []struct {
		name string
		add  func(*members) error
	}{{"keys", set.addKey}, {"handovers", set.addHandover}, {"unused_handovers", set.addUnusedHandover}, {"ended_logs", set.addEnded}} {
		if err := whole.each(list.name, list.add); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// isPage says whether the file says that there are more keys.
func isPage(whole *members, count int) bool {
	if token := firstOf(whole, "next_page_token", "nextPageToken"); token != nil && token != "" {
		return true
	}
	total := firstOf(whole, "total_keys", "totalKeys")
	if total == nil {
		return whole.has("totalKeys")
	}
	number, _ := total.(jsonNumber)
	value, ok := nearestDouble(string(number))
	return !ok || value != float64(count)
}

func firstOf(whole *members, names ...string) any {
	for _, name := range names {
		if value := whole.get(name); value != nil {
			return value
		}
	}
	return nil
}

func (k *KeySet) addKey(jwk *members) error {
	if isOfUnknownKind, err := checkKind(jwk); isOfUnknownKind || err != nil {
		k.passedOver++
		return err
	}
	key := &publicKey{raw: jwk.publicKey(), keyID: jwk.text("kid"), state: jwk.text("state"), validFrom: jwk.date("valid_from"),
		validUntil: jwk.date("valid_until"), compromised: jwk.date("compromised_at")}
	if key.keyID == "" {
		jwk.refuse("kid", "is missing")
	} else if k.byID[key.keyID] != nil {
		jwk.refuse("kid", "is there twice; keep one")
	}
	if _, ok := reasonOfState[key.state]; !ok {
		jwk.refuse("state", "must be the state of a key, such as ACTIVE or RETIRED")
	}
	if jwk.get("compromised_log") != nil {
		jwk.err = cmp.Or(jwk.err, jwk.object("compromised_log", func(head *members) error {
			key.compromisedLog = head.head()
			return head.err
		}))
	}
	for i, each := range jwk.list("vkeys") {
		text, _ := each.(string)
		named, ok := parseVerifierKey(text)
		if !ok || !named.isSameKey(key.raw) {
			jwk.refuse(fmt.Sprintf("vkeys[%d]", i), "must be a verifier key of the same key")
		}
		k.logKeys = append(k.logKeys, &logKey{publicKey: key, name: named.name, hash: named.hash})
	}
	k.byID[key.keyID] = key
	return jwk.err
}

// checkKind says whether a key is to be passed over: those of kinds that a reader does not know are, by RFC 7517, 5.
// A private key of whatever kind spoils the set.
func checkKind(jwk *members) (isUnknown bool, err error) {
	for _, private := range []string{"d", "k", "priv"} {
		if jwk.has(private) {
			return false, errors.New(jwk.at + " HAS A PRIVATE KEY (" + private + "): whoever has read this key set can sign with it. " +
				"Replace the key, destroy the file, and verify by public keys")
		}
	}
	kty, hasKty := jwk.get("kty").(string)
	crv, hasCrv := jwk.get("crv").(string)
	if !hasKty || kty == "OKP" && !hasCrv {
		return false, errors.New(jwk.at + " is not an Ed25519 key (kty OKP, crv Ed25519)")
	}
	return kty != "OKP" || crv != "Ed25519", nil
}

// publicKey reads an Ed25519 public key that is for signatures, as RFC 8037 and RFC 7517 have it.
func (m *members) publicKey() []byte {
	if alg := m.get("alg"); m.has("alg") && alg != "EdDSA" && alg != "Ed25519" { // RFC 8037's name, and RFC 9864's
		m.refuse("alg", "must be one of EdDSA, Ed25519, or left out")
	}
	if m.has("use") && m.get("use") != "sig" {
		m.refuse("use", "must be sig, or left out")
	}
	if operations, ok := m.get("key_ops").([]any); m.has("key_ops") && (!ok || !slices.Equal(operations, []any{"verify"})) {
		m.refuse("key_ops", `must be ["verify"], or left out`)
	}
	x, _ := m.get("x").(string)
	raw, ok := canonicalBase64URL(x)
	if !ok || len(raw) != ed25519.PublicKeySize {
		m.refuse("x", "must be 32 bytes in base64url, without padding")
	}
	return raw
}

func (k *KeySet) addEnded(log *members) error {
	k.ended = append(k.ended, log.head())
	return log.err
}
