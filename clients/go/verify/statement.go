package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
)

const (
	payloadType           = "application/vnd.in-toto+json"
	statementType         = "https://in-toto.io/Statement/v1"
	predicateType         = "https://fluo.dev/kms/compliance-span/v1"
	handoverPredicateType = "https://fluo.dev/kms/key-handover/v1"

	maxStatementBytes = 1024
	maxEntryBytes     = 4096
)

// statement is an in-toto Statement v1 about one span, in RFC 8785 form: of an individual signature, or
// an entry of a log, which names no key.
type statement struct {
	traceID, spanID, digest, tenant, signedAt string
	// keyID is empty in an entry.
	keyID string
}

func (s statement) text() []byte {
	key := ""
	if s.keyID != "" {
		key = `"keyId":"` + s.keyID + `",`
	}
	return fmt.Appendf(nil, `{"_type":"%s","predicate":{%s"signedAt":"%s","tenant":%s},"predicateType":"%s",`+
		`"subject":[{"digest":{"sha256":"%s"},"name":"%s/%s"}]}`,
		statementType, key, s.signedAt, appendString(nil, s.tenant), predicateType, s.digest, s.traceID, s.spanID)
}

// The parts that vary, each in its own form; what is between them is checked by writing the text again.
const (
	tenantForm   = `"tenant":"(?P<tenant>[a-z0-9][a-z0-9._-]{0,62})"`
	signedAtForm = `"signedAt":"(?P<signedAt>[0-9TZ:.-]{24})"`
)

var (
	statementForm = regexp.MustCompile(`(?:"keyId":"(?P<keyID>[0-9a-f]{32})",)?` + signedAtForm + "," + tenantForm + ".*" +
		`"sha256":"(?P<digest>[0-9a-f]{64})"\},"name":"(?P<traceID>[0-9a-f]{32})/(?P<spanID>[0-9a-f]{16})"`)
	handoverForm = regexp.MustCompile(`"fromKeyId":"(?P<from>[0-9a-f]{32})",` + signedAtForm + "," + tenantForm +
		`,"toKeyId":"(?P<to>[0-9a-f]{32})","toVkey":"(?P<vkey>[!#-\[\]-~]+)".*"sha256":"(?P<digest>[0-9a-f]{64})"`)
)

// parseStatement returns the parts of a statement, false for bytes that are none in its one form.
func parseStatement(text []byte) (statement, bool) {
	part, ok := partsOf(text, statementForm)
	if !ok {
		return statement{}, false
	}
	s := statement{traceID: part["traceID"], spanID: part["spanID"], digest: part["digest"], tenant: part["tenant"],
		signedAt: part["signedAt"], keyID: part["keyID"]}
	return s, string(s.text()) == string(text)
}

func partsOf(text []byte, form *regexp.Regexp) (map[string]string, bool) {
	if len(text) > maxEntryBytes {
		return nil, false
	}
	found := form.FindSubmatch(text)
	if found == nil {
		return nil, false
	}
	parts := map[string]string{}
	for i, name := range form.SubexpNames() {
		parts[name] = string(found[i])
	}
	_, ok := signedAtTime(parts["signedAt"])
	return parts, ok
}

// parseHandover returns the key that an entry says follows another; false for bytes that are no such entry,
// or whose vkey and digest differ.
func parseHandover(entry []byte) (verifierKey, bool) {
	part, ok := partsOf(entry, handoverForm)
	if !ok {
		return verifierKey{}, false
	}
	key, ok := parseVerifierKey(part["vkey"])
	digest := sha256.Sum256(key.publicKey)
	written := fmt.Sprintf(`{"_type":"%s","predicate":{"fromKeyId":"%s","signedAt":"%s","tenant":"%s","toKeyId":"%s",`+
		`"toVkey":"%s"},"predicateType":"%s","subject":[{"digest":{"sha256":"%s"},"name":"%s"}]}`,
		statementType, part["from"], part["signedAt"], part["tenant"], part["to"], part["vkey"], handoverPredicateType,
		part["digest"], part["to"])
	return key, ok && hex.EncodeToString(digest[:]) == part["digest"] && written == string(entry)
}

// preAuthenticationEncoding is DSSE v1.0: "DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload.
func preAuthenticationEncoding(payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}
