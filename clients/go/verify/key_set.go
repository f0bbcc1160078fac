package verify

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
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

// publicKey is a key as it is published. A zero time means unbounded, or never.
type publicKey struct {
	keyID                              string
	raw                                []byte
	state                              string
	validFrom, validUntil, compromised time.Time
	// compromisedLog says how far its log went when the key was marked as compromised; nil if it was not.
	compromisedLog *checkpoint
}

// logKey is a key by the name of one of the tenant's logs: one that signs for several stands there for each.
type logKey struct {
	*publicKey
	name string
}

func (k *logKey) id() [4]byte { return verifierKey{k.name, k.raw}.id() }

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
	if reason == OK && !k.compromised.IsZero() {
		return KeyCompromised
	}
	return reason
}

func (k *publicKey) isValidAt(at time.Time) bool {
	if !k.validFrom.IsZero() && at.Before(k.validFrom.Add(-clockTolerance)) {
		return false
	}
	return k.validUntil.IsZero() || !at.After(k.validUntil)
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
	whole, _ := value.(*jsonObject)
	keys, ok := whole.get("keys").([]any)
	if !ok {
		return nil, errors.New(`the key set has no list "keys"; it must be a JWKS`)
	}
	if isPage(whole, len(keys)) {
		return nil, errors.New("this is one page of the tenant's keys; save all of them, as jwks.json serves them")
	}
	set := &KeySet{byID: map[string]*publicKey{}}
	for i, entry := range keys {
		if err := set.addKey(entry, fmt.Sprintf("keys[%d]", i)); err != nil {
			return nil, err
		}
	}
	for _, list := range []struct {
		name string
		add  func(*jsonObject, string) error
	}{{"handovers", set.addHandover}, {"unused_handovers", set.addUnusedHandover}, {"ended_logs", set.addEnded}} {
		if err := eachAt(whole.get(list.name), list.name, list.add); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// isPage says whether the file says that there are more keys.
func isPage(whole *jsonObject, count int) bool {
	if token := firstOf(whole, "next_page_token", "nextPageToken"); token != nil && token != "" {
		return true
	}
	total := firstOf(whole, "total_keys", "totalKeys")
	if total == nil {
		return whole.has("totalKeys")
	}
	number, ok := total.(jsonNumber)
	value, err := strconv.ParseFloat(string(number), 64)
	return !ok || err != nil || value != float64(count)
}

func firstOf(whole *jsonObject, names ...string) any {
	for _, name := range names {
		if value := whole.get(name); value != nil {
			return value
		}
	}
	return nil
}

// get returns nil for a member that is null, or not there, or of no object.
func (o *jsonObject) get(name string) any {
	if o == nil {
		return nil
	}
	return o.values[name]
}

func (o *jsonObject) has(name string) bool {
	if o == nil {
		return false
	}
	_, ok := o.values[name]
	return ok
}

func (k *KeySet) addKey(entry any, at string) error {
	jwk, _ := entry.(*jsonObject)
	if isOfUnknownKind, err := checkKind(jwk, at); isOfUnknownKind || err != nil {
		k.passedOver++
		return err
	}
	raw, err := readPublicKey(jwk, at)
	if err != nil {
		return err
	}
	keyID, _ := jwk.get("kid").(string)
	if keyID == "" {
		return errors.New(at + ".kid is missing")
	}
	state, _ := jwk.get("state").(string)
	if _, ok := reasonOfState[state]; !ok {
		return errors.New(at + ".state must be the state of a key, such as ACTIVE or RETIRED")
	}
	key := &publicKey{keyID: keyID, raw: raw, state: state}
	if key.validFrom, err = dateAt(jwk.get("valid_from"), at+".valid_from"); err != nil {
		return err
	}
	if key.validUntil, err = dateAt(jwk.get("valid_until"), at+".valid_until"); err != nil {
		return err
	}
	if key.compromised, err = dateAt(jwk.get("compromised_at"), at+".compromised_at"); err != nil {
		return err
	}
	if key.compromisedLog, err = headAt(jwk.get("compromised_log"), at+".compromised_log"); err != nil {
		return err
	}
	vkeys, err := listAt(jwk.get("vkeys"), at+".vkeys")
	if err != nil {
		return err
	}
	for i, each := range vkeys {
		text, _ := each.(string)
		named, ok := parseVerifierKey(text)
		if !ok || !named.isSameKey(raw) {
			return fmt.Errorf("%s.vkeys[%d] must be a verifier key of the same key", at, i)
		}
		k.logKeys = append(k.logKeys, &logKey{publicKey: key, name: named.name})
	}
	if k.byID[keyID] != nil {
		return errors.New(at + ".kid is there twice; keep one")
	}
	k.byID[keyID] = key
	return nil
}

// checkKind says whether a key is to be passed over: those of kinds that a reader does not know are, by RFC 7517, 5.
// A private key of whatever kind spoils the set.
func checkKind(jwk *jsonObject, at string) (isUnknown bool, err error) {
	for _, private := range []string{"d", "k", "priv"} {
		if jwk.has(private) {
			return false, errors.New(at + " HAS A PRIVATE KEY (" + private + "): whoever has read this key set can sign with it. " +
				"Replace the key, destroy the file, and verify by public keys")
		}
	}
	kty, hasKty := jwk.get("kty").(string)
	crv, hasCrv := jwk.get("crv").(string)
	if !hasKty || kty == "OKP" && !hasCrv {
		return false, errors.New(at + " is not an Ed25519 key (kty OKP, crv Ed25519)")
	}
	return kty != "OKP" || crv != "Ed25519", nil
}

// readPublicKey reads an Ed25519 public key that is for signatures, as RFC 8037 and RFC 7517 have it.
func readPublicKey(jwk *jsonObject, at string) ([]byte, error) {
	if alg := jwk.get("alg"); jwk.has("alg") && alg != "EdDSA" && alg != "Ed25519" { // RFC 8037's name, and RFC 9864's
		return nil, errors.New(at + ".alg must be one of EdDSA, Ed25519, or left out")
	}
	if jwk.has("use") && jwk.get("use") != "sig" {
		return nil, errors.New(at + ".use must be sig, or left out")
	}
	if operations, ok := jwk.get("key_ops").([]any); jwk.has("key_ops") && (!ok || !slices.Equal(operations, []any{"verify"})) {
		return nil, errors.New(at + `.key_ops must be ["verify"], or left out`)
	}
	x, _ := jwk.get("x").(string)
	raw, ok := canonicalBase64URL(x)
	if !ok || len(raw) != 32 {
		return nil, errors.New(at + ".x must be 32 bytes in base64url, without padding")
	}
	return raw, nil
}

var dateForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`)

// dateAt returns the zero time for null, or no value.
func dateAt(value any, at string) (time.Time, error) {
	if value == nil {
		return time.Time{}, nil
	}
	text, _ := value.(string)
	date, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || !dateForm.MatchString(text) {
		return time.Time{}, errors.New(at + " must be a date of RFC 3339, or null")
	}
	return date.Truncate(time.Millisecond), nil
}

// headAt returns nil for null, or no value.
func headAt(value any, at string) (*checkpoint, error) {
	if value == nil {
		return nil, nil
	}
	members, ok := value.(*jsonObject)
	if !ok {
		return nil, errors.New(at + " must be an object")
	}
	root, err := base64At(members.get("root"), at+".root")
	if err != nil {
		return nil, err
	}
	if len(root) != 32 {
		return nil, errors.New(at + ".root must be 32 bytes")
	}
	origin, ok := members.get("origin").(string)
	if !ok {
		return nil, errors.New(at + ".origin must be text")
	}
	size, err := indexAt(members.get("size"), at+".size")
	return &checkpoint{origin: origin, size: size, root: [32]byte(root)}, err
}

func (k *KeySet) addEnded(members *jsonObject, at string) error {
	head, err := headAt(members, at)
	k.ended = append(k.ended, head)
	return err
}

func base64At(value any, at string) ([]byte, error) {
	text, ok := value.(string)
	if !ok {
		return nil, errors.New(at + " must be text")
	}
	decoded, ok := canonicalBase64(text)
	if !ok {
		return nil, errors.New(at + " must be base64")
	}
	return decoded, nil
}

func indexAt(value any, at string) (int64, error) {
	text, _ := value.(jsonNumber)
	number, err := strconv.ParseFloat(string(text), 64)
	if err != nil || number != math.Trunc(number) || number < 0 || number > maxIndex {
		return 0, errors.New(at + " must be a whole number, not below 0")
	}
	return int64(number), nil
}

// listAt returns an empty list for null, or no value.
func listAt(value any, at string) ([]any, error) {
	if value == nil {
		return nil, nil
	}
	list, ok := value.([]any)
	if !ok {
		return nil, errors.New(at + " must be a list")
	}
	return list, nil
}

// eachAt calls add with each object of a list.
func eachAt(value any, at string, add func(*jsonObject, string) error) error {
	list, err := listAt(value, at)
	if err != nil {
		return err
	}
	for i, each := range list {
		at := fmt.Sprintf("%s[%d]", at, i)
		members, ok := each.(*jsonObject)
		if !ok {
			return errors.New(at + " must be an object")
		}
		if err := add(members, at); err != nil {
			return err
		}
	}
	return nil
}
