package verify

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/gowebpki/jcs"
)

// wholeSpan is a span as it was signed.
type wholeSpan struct {
	// Lower-case hex.
	traceID, spanID string
	// digest is the SHA-256 of the canonical form, in lower-case hex.
	digest    string
	integrity integrity
	// lacks says what is not in the canonical form, because it was not given or is empty.
	lacks string
}

// combine makes the canonical form, RFC 8785. resource and scope are JSON, nil where they are empty.
func combine(resource, scope []byte, span loneSpan) (wholeSpan, error) {
	canonical, err := canonicalForm(resource, scope, span)
	digest := sha256.Sum256(canonical)
	whole := wholeSpan{
		traceID:   hex.EncodeToString(span.traceID),
		spanID:    hex.EncodeToString(span.spanID),
		digest:    hex.EncodeToString(digest[:]),
		integrity: span.integrity,
	}
	switch {
	case resource == nil && scope == nil:
		whole.lacks = "resource or scope"
	case resource == nil:
		whole.lacks = "resource"
	case scope == nil:
		whole.lacks = "scope"
	}
	return whole, err
}

func canonicalForm(resource, scope []byte, span loneSpan) ([]byte, error) {
	form := newObject()
	if resource != nil {
		form = form.raw("resource", resource)
	}
	if scope != nil {
		form = form.raw("scope", scope)
	}
	return jcs.Transform(form.raw("span", span.text).close())
}
