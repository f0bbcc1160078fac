package verify

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// keptNote is a note without an empty line in its text, so that several may stand one behind the other. No line holds
// another line end of Unicode.
var keptNote = regexp.MustCompile(strings.NewReplacer(
	`.`, `[^\n\r\x{2028}\x{2029}]`, `~`, `\n\r\x{2028}\x{2029}`,
).Replace(`^(?:(?:[^—~].*|—(?:[^ ~].*)?)\n)+\n(?:— .+\n)+[\s\v\p{Z}\x{feff}]*`))

// keptHeads reads the checkpoints that a caller kept, each of which a key of the set must have signed.
func (k *KeySet) keptHeads(given []KeptCheckpoints) (heads []*knownHead, err error) {
	for _, each := range given {
		checkpoints, ok := readKept(each.Text)
		if !ok {
			return nil, fmt.Errorf("%s holds no checkpoint: it must be one signed note, or several, as GetCheckpoint gives them", each.File)
		}
		for _, kept := range checkpoints {
			signers, holds := kept.signersOf(k.logKeys)
			if !holds || len(signers) == 0 {
				return nil, fmt.Errorf("%s: no key of the keys file signed the checkpoint of %d, which is of %s",
					each.File, kept.checkpoint.size, kept.checkpoint.origin)
			}
			isTrusted := slices.ContainsFunc(signers, func(key *logKey) bool { return key.reason() == OK })
			heads = append(heads, &knownHead{checkpoint: kept.checkpoint, isKept: true, isTrusted: isTrusted, lastEntry: -1, file: each.File})
		}
	}
	return heads, nil
}

// readKept takes the line ends and the byte order mark of Windows, which were not signed.
func readKept(text string) (checkpoints []signedCheckpoint, ok bool) {
	rest := strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
	for rest != "" {
		whole := keptNote.FindString(rest)
		kept, ok := parseSignedCheckpoint(strings.TrimRightFunc(whole, isSpace) + "\n")
		if !ok {
			return nil, false
		}
		checkpoints = append(checkpoints, kept)
		rest = rest[len(whole):]
	}
	return checkpoints, len(checkpoints) > 0
}

func isSpace(r rune) bool { return unicode.IsSpace(r) && r != '\u0085' || r == '\ufeff' }
