package verify

import (
	"encoding/base64"
	"strings"
)

// canonicalBase64 decodes base64 in the one spelling that encodes back; Go's decoder takes line breaks too.
func canonicalBase64(text string) ([]byte, bool) { return canonical(base64.StdEncoding, text) }

// canonicalBase64URL does the same for base64url without padding.
func canonicalBase64URL(text string) ([]byte, bool) { return canonical(base64.RawURLEncoding, text) }

// jsonBase64 decodes what protobuf's JSON may hold: either alphabet, padded or not, and otherwise in its one spelling.
func jsonBase64(text string) ([]byte, bool) {
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(text)
	if strings.HasSuffix(standard, "=") {
		return canonical(base64.StdEncoding, standard)
	}
	return canonical(base64.RawStdEncoding, standard)
}

func canonical(encoding *base64.Encoding, text string) ([]byte, bool) {
	decoded, err := encoding.DecodeString(text)
	return decoded, err == nil && encoding.EncodeToString(decoded) == text
}
