package verify

import "strings"

const (
	integrityPrefix = "audit.integrity."
	reservedPrefix  = integrityPrefix + "fluo."
)

// integrity holds those of the five attributes on a span that carry its signature, by what is behind the prefix. They
// are strings, and not part of the canonical form.
type integrity map[string]string

// take keeps an attribute that is one of the five.
func (i integrity) take(attribute keyValue) (bool, error) {
	if strings.HasPrefix(attribute.key, reservedPrefix) {
		return false, within(refused("names that begin with "+reservedPrefix+" are reserved; name it otherwise"), "key")
	}
	name, ok := strings.CutPrefix(attribute.key, integrityPrefix)
	if !ok || integrityForms[name] == "" {
		return false, nil
	}
	if i.has(name) {
		return false, within(refused("another attribute has the same key; keep one"), "key")
	}
	if attribute.text == nil {
		return false, within(refused("an attribute of the signature is a string"), "value")
	}
	i[name] = *attribute.text
	return true, nil
}

func (i integrity) has(name string) bool {
	_, ok := i[name]
	return ok
}

var integrityForms = map[string]string{
	"algorithm": "must be EdDSA or c2sp.org/tlog-proof@v1",
	"value":     "must be the base64 of a signature, which has 64 bytes, or of a log proof",
	"key_id":    "must be 32 lower-case hex digits, and must not be there beside a log proof",
	"tenant":    "must be the tenant in whose name the span was signed",
	"signed_at": "must be a time of RFC 3339 in UTC, without parts of a millisecond, such as 2026-01-02T03:04:05.678Z",
}

// malformed says which of the five is missing or malformed, and how it must be. It never shows what it is.
func (i integrity) malformed(name string) Verdict {
	message := integrityPrefix + name + " "
	switch {
	case len(i) == 0:
		message = "the span carries no evidence: put the attributes on it that signing gave"
	case !i.has(name):
		message += "is missing: it " + integrityForms[name]
	default:
		message += integrityForms[name]
	}
	return Verdict{Reason: Malformed, Message: message, Unsigned: len(i) == 0}
}
