package verify

import (
	"regexp"
	"time"
)

const signedAtLayout = "2006-01-02T15:04:05.000Z"

// signedAtTime reads a time in exactly the form that the service signs: UTC with milliseconds.
func signedAtTime(text string) (time.Time, bool) {
	at, err := time.Parse(signedAtLayout, text)
	return at, err == nil && at.Year() >= 1 && at.Format(signedAtLayout) == text
}

var signedAtSpelling = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,3})0{0,6})?(?:[Zz]|\+00:00)$`)

// canonicalSignedAt returns the form that is signed for any spelling of the same instant that protobuf's
// JSON, Go, Python or Java writes: 0 to 9 fraction digits, those after the third 0, and Z, z or +00:00.
func canonicalSignedAt(text string) (string, bool) {
	parts := signedAtSpelling.FindStringSubmatch(text)
	if parts == nil {
		return "", false
	}
	canonical := parts[1] + "." + (parts[2] + "000")[:3] + "Z"
	_, ok := signedAtTime(canonical)
	return canonical, ok
}
