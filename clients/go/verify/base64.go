package verify

import "encoding/base64"

// canonicalBase64 decodes base64 in the one spelling that encodes back; Go's decoder takes line breaks too.
func canonicalBase64(text string) ([]byte, bool) { return canonical(base64.StdEncoding, text) }

// canonicalBase64URL does the same for base64url without padding.
func canonicalBase64URL(text string) ([]byte, bool) { return canonical(base64.RawURLEncoding, text) }

func canonical(encoding *base64.Encoding, text string) ([]byte, bool) {
	decoded, err := encoding.DecodeString(text)
	return decoded, err == nil && encoding.EncodeToString(decoded) == text
}
