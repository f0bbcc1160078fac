package verify

import "strings"

const (
	integrityPrefix = "audit.integrity."
	reservedPrefix  = integrityPrefix + "fluo."
)

// integrity holds the five attributes on a span that carry its signature, nil where one is missing. They
// are strings, and not part of the canonical form.
type integrity struct {
	algorithm, value, keyID, tenant, signedAt *string
}

func (i *integrity) field(name string) **string {
	switch name {
	case "algorithm":
		return &i.algorithm
	case "value":
		return &i.value
	case "key_id":
		return &i.keyID
	case "tenant":
		return &i.tenant
	case "signed_at":
		return &i.signedAt
	}
	return nil
}

func (i *integrity) count() (count int) {
	for _, value := range []*string{i.algorithm, i.value, i.keyID, i.tenant, i.signedAt} {
		if value != nil {
			count++
		}
	}
	return count
}

// take keeps an attribute that is one of the five.
func (i *integrity) take(attribute keyValue) (bool, error) {
	if strings.HasPrefix(attribute.key, reservedPrefix) {
		return false, within(refused("names that begin with "+reservedPrefix+" are reserved; name it otherwise"), "key")
	}
	name, ok := strings.CutPrefix(attribute.key, integrityPrefix)
	field := i.field(name)
	switch {
	case !ok || field == nil:
		return false, nil
	case *field != nil:
		return false, within(refused("another attribute has the same key; keep one"), "key")
	case attribute.text == nil:
		return false, within(refused("an attribute of the signature is a string"), "value")
	}
	*field = attribute.text
	return true, nil
}

var integrityForms = map[string]string{
	"algorithm": "must be EdDSA or c2sp.org/tlog-proof@v1",
	"value":     "must be the base64 of a signature, which has 64 bytes, or of a log proof",
	"key_id":    "must be 32 lower-case hex digits, and must not be there beside a log proof",
	"tenant":    "must be the tenant in whose name the span was signed",
	"signed_at": "must be a time of RFC 3339 in UTC, without parts of a millisecond, such as 2026-01-02T03:04:05.678Z",
}

// malformed says which of the five is missing or malformed, and how it must be. It never shows what it is.
func (i *integrity) malformed(name string) Verdict {
	message := integrityPrefix + name + " "
	switch {
	case i.count() == 0:
		message = "the span carries no evidence: put the attributes on it that signing gave"
	case *i.field(name) == nil:
		message += "is missing: it " + integrityForms[name]
	default:
		message += integrityForms[name]
	}
	return Verdict{Reason: Malformed, Message: message, Unsigned: i.count() == 0}
}

func orEmpty(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
