package verify

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode"
)

const algorithmEd25519 = 0x01

// verifierKey is a public key under the name by which it signs notes: the origin of a log.
type verifierKey struct {
	name      string
	publicKey []byte
}

// parseVerifierKey reads `<name>+<key id>+<base64 of 0x01 ‖ key>` as C2SP signed-note writes an Ed25519 key
// for verifiers, in the one spelling that it has.
func parseVerifierKey(text string) (verifierKey, bool) {
	name, rest, _ := strings.Cut(text, "+")
	id, encoded, _ := strings.Cut(rest, "+") // base64 may hold a + too
	decoded, ok := canonicalBase64(encoded)
	if !ok || !isNoteKeyName(name) || len(decoded) != 1+ed25519.PublicKeySize || decoded[0] != algorithmEd25519 {
		return verifierKey{}, false
	}
	key := verifierKey{name: name, publicKey: decoded[1:]}
	keyID := key.id()
	return key, id == hex.EncodeToString(keyID[:])
}

// id tells a name's keys apart in a note. It is an identifier, not a commitment: collisions are easy to make.
func (k verifierKey) id() (id [4]byte) {
	digest := sha256.Sum256(append([]byte(k.name+"\n\x01"), k.publicKey...))
	copy(id[:], digest[:])
	return id
}

// text writes the key as parseVerifierKey reads it.
func (k verifierKey) text() string {
	id := k.id()
	encoded := append([]byte{algorithmEd25519}, k.publicKey...)
	return k.name + "+" + hex.EncodeToString(id[:]) + "+" + base64.StdEncoding.EncodeToString(encoded)
}

func (k verifierKey) isSameKey(other []byte) bool { return bytes.Equal(k.publicKey, other) }

// isNoteKeyName says whether the text may name a key: it is not empty, and without spaces and +.
func isNoteKeyName(name string) bool {
	return name != "" && !strings.ContainsRune(name, '+') && strings.IndexFunc(name, unicode.IsSpace) < 0
}
