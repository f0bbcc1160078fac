package verify

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/mod/sumdb/note"
)

const (
	// Sixteen of the longest signatures that there are fit in. In UTF-16 code units, as the service counts.
	maxNoteLength     = 128 * 1024
	maxNoteSignatures = 64
	// Bytes of a key's hash, in front of each signature.
	keyHashBytes = 4
)

// signedNote is a C2SP signed-note: a text that ends in a line feed, an empty line, and a line for each signature over
// the text, `— <name> <base64 of key hash ‖ signature>`.
type signedNote struct {
	// whole is the note as it was given.
	whole string
	text  string
	// signatures has at least one. None of them was verified yet.
	signatures []note.Signature
}

// parseNote looks at the form alone. The library takes base64 that ends in loose bits, and as many as 100 signatures.
func parseNote(whole string) (signedNote, bool) {
	_, err := note.Open([]byte(whole), note.VerifierList())
	var opened *note.UnverifiedNoteError // by no key, since none is given
	if !errors.As(err, &opened) || len(whole) > maxNoteLength && len(utf16.Encode([]rune(whole))) > maxNoteLength {
		return signedNote{}, false
	}
	text, signatures := opened.Note.Text, opened.Note.UnverifiedSigs
	hasLooseBits := slices.ContainsFunc(signatures, func(each note.Signature) bool {
		_, ok := canonicalBase64(each.Base64)
		return !ok
	})
	if hasLooseBits || strings.Count(whole[len(text)+1:], "\n") > maxNoteSignatures {
		return signedNote{}, false
	}
	return signedNote{whole, text, signatures}, true
}

// signersOf returns those of keys that signed the note, none if it is by others alone; false where a
// signature of one of them does not hold, which spoils the whole note. Of several signatures by one key the
// first counts. A hash is an identifier, not a commitment: collisions are easy to make.
func (n *signedNote) signersOf(keys []*logKey) (signers []*logKey, holds bool) {
	unseen := slices.Clone(keys)
	for _, each := range n.signatures {
		isNamed := func(key *logKey) bool { return key.name == each.Name && key.hash == each.Hash }
		if !slices.ContainsFunc(unseen, isNamed) {
			continue
		}
		unseen = slices.DeleteFunc(unseen, isNamed)
		decoded, _ := canonicalBase64(each.Base64)
		signer := slices.IndexFunc(keys, func(key *logKey) bool {
			return isNamed(key) && verifySignature(key.raw, []byte(n.text), decoded[keyHashBytes:])
		})
		if signer < 0 {
			return nil, false
		}
		signers = append(signers, keys[signer])
	}
	return signers, true
}
