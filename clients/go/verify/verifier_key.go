package verify

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// verifierKey is a public key under the name by which it signs notes: the origin of a log.
type verifierKey struct {
	name      string
	publicKey []byte
	// hash tells a name's keys apart in a note.
	hash uint32
}

// parseVerifierKey reads `<name>+<key hash>+<base64 of 0x01 ‖ key>` as C2SP signed-note writes an Ed25519 key
// for verifiers, in the one spelling that it has. The library takes others: hashes in capitals, loose bits, line feeds.
func parseVerifierKey(text string) (verifierKey, bool) {
	verifier, err := note.NewVerifier(text)
	if err != nil || !utf8.ValidString(text) {
		return verifierKey{}, false
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.SplitN(text, "+", 3)[2])
	if err != nil {
		return verifierKey{}, false
	}
	key := verifierKey{verifier.Name(), decoded[1:], verifier.KeyHash()}
	written, err := note.NewEd25519VerifierKey(key.name, key.publicKey)
	return key, err == nil && written == text
}

func (k verifierKey) isSameKey(other []byte) bool { return bytes.Equal(k.publicKey, other) }
