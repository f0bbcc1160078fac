package verify

import (
	"strings"
	"unicode/utf8"
)

const (
	// Sixteen of the longest signatures that there are fit in. In UTF-16 code units, as the service counts.
	maxNoteLength     = 128 * 1024
	maxNoteSignatures = 64
)

// note is a C2SP signed-note: a text that ends in a line feed, an empty line, and a line `— <name> <base64
// of key id ‖ signature>` for each signature, which is over the text.
type note struct {
	// whole is the note as it was given.
	whole string
	// text is what is signed; it ends in a line feed.
	text string
	// signatures has at least one. None of them was verified yet.
	signatures []noteSignature
}

type noteSignature struct {
	name      string
	keyID     [4]byte
	signature []byte
}

// parseNote looks at the form alone.
func parseNote(whole string) (note, bool) {
	end := strings.LastIndex(whole, "\n\n") // the last empty line divides: the text may have some, too
	if end < 0 || end+2 >= len(whole) || !strings.HasSuffix(whole, "\n") || !utf8.ValidString(whole) || !isNoteText(whole) {
		return note{}, false
	}
	lines := strings.Split(whole[end+2:len(whole)-1], "\n")
	if len(lines) > maxNoteSignatures {
		return note{}, false
	}
	parsed := note{whole: whole, text: whole[:end+1]}
	for _, line := range lines {
		signature, ok := parseNoteSignature(line)
		if !ok {
			return note{}, false
		}
		parsed.signatures = append(parsed.signatures, signature)
	}
	return parsed, true
}

// isNoteText says whether the text has no control character but line feeds and is not too long.
func isNoteText(text string) bool {
	length := 0
	for _, r := range text {
		length++
		if r > 0xffff {
			length++
		}
		if r < 0x20 && r != '\n' {
			return false
		}
	}
	return length <= maxNoteLength
}

func parseNoteSignature(line string) (noteSignature, bool) {
	rest, ok := strings.CutPrefix(line, "— ")
	space := strings.LastIndexByte(rest, ' ')
	if !ok || space < 0 || !isNoteKeyName(rest[:space]) {
		return noteSignature{}, false
	}
	decoded, ok := canonicalBase64(rest[space+1:])
	if !ok || len(decoded) <= 4 {
		return noteSignature{}, false
	}
	return noteSignature{name: rest[:space], keyID: [4]byte(decoded), signature: decoded[4:]}, true
}

// signersOf returns those of keys that signed the note, none if it is by others alone; false where a
// signature of one of them does not hold, which spoils the whole note. Of several signatures by one key the
// first counts.
func (n note) signersOf(keys []*logKey) (signers []*logKey, holds bool) {
	type identifier struct {
		name  string
		keyID [4]byte
	}
	unseen := map[identifier][]*logKey{}
	for _, key := range keys {
		id := identifier{key.name, key.id()}
		unseen[id] = append(unseen[id], key)
	}
	for _, each := range n.signatures {
		id := identifier{each.name, each.keyID}
		named, ok := unseen[id]
		if !ok {
			continue
		}
		delete(unseen, id)
		signer := signerAmong(named, n.text, each.signature)
		if signer == nil {
			return nil, false
		}
		signers = append(signers, signer)
	}
	return signers, true
}

func signerAmong(keys []*logKey, text string, signature []byte) *logKey {
	for _, key := range keys {
		if verifySignature(key.raw, []byte(text), signature) {
			return key
		}
	}
	return nil
}
