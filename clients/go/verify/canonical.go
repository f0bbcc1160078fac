package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
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

// loneSpan is a span without its resource and scope.
type loneSpan struct {
	// Lower-case hex.
	traceID, spanID string
	// text is the span's part of the canonical form.
	text []byte
	// integrity holds the attributes of the signature, which are not part of that.
	integrity integrity
}

func readSpan(encoded []byte) (span loneSpan, err error) {
	span.integrity = integrity{}
	found, err := readMessage(encoded, spanMessage, span.integrity)
	span.traceID, span.spanID = idText(found, "trace_id"), idText(found, "span_id")
	switch {
	case err != nil:
		return span, err
	case span.traceID == "":
		return span, within(refused("is missing or all zero; give the 16 bytes of the trace's id"), "trace_id")
	case span.spanID == "":
		return span, within(refused("is missing or all zero; give the 8 bytes of the span's id"), "span_id")
	}
	span.text = found.text()
	return span, nil
}

func idText(of covered, name string) string { return strings.Trim(string(of.get(name)), `"`) }

// readPart returns a resource or a scope in its canonical form, nil where nothing of it is covered.
func readPart(encoded []byte, of *message) ([]byte, error) {
	found, err := readMessage(encoded, of, nil)
	text := found.text()
	if err != nil || string(text) == "{}" {
		return nil, err
	}
	return text, nil
}

// combine makes the whole of parts, nil where they are empty.
func combine(resource, scope []byte, span loneSpan) wholeSpan {
	digest := sha256.Sum256(canonicalForm(resource, scope, span))
	whole := wholeSpan{traceID: span.traceID, spanID: span.spanID, digest: hex.EncodeToString(digest[:]), integrity: span.integrity}
	switch {
	case resource == nil && scope == nil:
		whole.lacks = "resource or scope"
	case resource == nil:
		whole.lacks = "resource"
	case scope == nil:
		whole.lacks = "scope"
	}
	return whole
}

// canonicalForm is RFC 8785 JSON.
func canonicalForm(resource, scope []byte, span loneSpan) []byte {
	form := []byte{'{'}
	if resource != nil {
		form = append(append(append(form, `"resource":`...), resource...), ',')
	}
	if scope != nil {
		form = append(append(append(form, `"scope":`...), scope...), ',')
	}
	return append(append(append(form, `"span":`...), span.text...), '}')
}
