package verify

import (
	"crypto/sha256"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	logProofAlgorithm = "c2sp.org/tlog-proof@v1"
	// No tree has more levels: sizes are below 2^53.
	maxPathHashes = 53
	maxIndex      = 1<<53 - 1
)

// checkpoint is C2SP tlog-checkpoint: a log's origin, size and root.
type checkpoint struct {
	origin string
	size   int64
	root   [sha256.Size]byte
}

// logProof is a C2SP tlog-proof in its parts, nothing of which was verified yet.
type logProof struct {
	index int64
	// path leads from the leaf up.
	path []tlog.Hash
	signedCheckpoint
}

// signedCheckpoint is a checkpoint, and the note that it is the text of.
type signedCheckpoint struct {
	checkpoint checkpoint
	note       signedNote
}

// parseLogProof reads the first line, which names the format; extra data that nothing authenticates; the
// entry's index; its path; an empty line; and the checkpoint's note.
func parseLogProof(text string) (proof logProof, ok bool) {
	head, noteText, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if lines[0] != logProofAlgorithm {
		return proof, false
	}
	lines = lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		if _, ok := canonicalBase64(strings.TrimPrefix(lines[0], "extra ")); !ok {
			return proof, false
		}
		lines = lines[1:]
	}
	if len(lines) == 0 || len(lines) > 1+maxPathHashes || !strings.HasPrefix(lines[0], "index ") {
		return proof, false
	}
	if proof.index, ok = parseIndex(strings.TrimPrefix(lines[0], "index ")); !ok {
		return proof, false
	}
	for _, line := range lines[1:] {
		hash, ok := canonicalBase64(line)
		if !ok || len(hash) != sha256.Size {
			return proof, false
		}
		proof.path = append(proof.path, tlog.Hash(hash))
	}
	proof.signedCheckpoint, ok = parseSignedCheckpoint(noteText)
	return proof, ok
}

func parseSignedCheckpoint(text string) (signed signedCheckpoint, ok bool) {
	if signed.note, ok = parseNote(text); !ok {
		return signed, false
	}
	signed.checkpoint, ok = parseCheckpoint(signed.note.text)
	return signed, ok
}

// parseCheckpoint allows lines behind the root, which mean nothing here, unless they are empty.
func parseCheckpoint(text string) (parsed checkpoint, ok bool) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if !strings.HasSuffix(text, "\n") || len(lines) < 3 || slices.Contains(lines, "") {
		return parsed, false
	}
	size, ok := parseIndex(lines[1])
	if !ok {
		return parsed, false
	}
	root, ok := canonicalBase64(lines[2])
	if !ok || len(root) != sha256.Size {
		return parsed, false
	}
	return checkpoint{origin: lines[0], size: size, root: [sha256.Size]byte(root)}, true
}

var indexForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,15})$`)

// parseIndex reads a size or an index of a log: ASCII decimal without leading zeros, below 2^53.
func parseIndex(text string) (int64, bool) {
	if !indexForm.MatchString(text) {
		return 0, false
	}
	index, err := strconv.ParseInt(text, 10, 64)
	return index, err == nil && index <= maxIndex
}

// includes says whether the leaf is in the tree of the checkpoint, at the proof's index.
func (p *logProof) includes(leaf tlog.Hash) bool {
	return tlog.CheckRecord(p.path, p.checkpoint.size, p.checkpoint.root, p.index, leaf) == nil
}

// signersOf returns the keys that signed the checkpoint by the name of its log; false where a signature of one of
// them does not hold.
func (s *signedCheckpoint) signersOf(keys []*logKey) ([]*logKey, bool) {
	var named []*logKey
	for _, key := range keys {
		if key.name == s.checkpoint.origin {
			named = append(named, key)
		}
	}
	return s.note.signersOf(named)
}
