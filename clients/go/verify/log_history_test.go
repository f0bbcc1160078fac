package verify

import (
	"reflect"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// The forged entries are the first batch, under a head of its own. The true ones behind it go on behind a gap.
func TestEntriesBeforeAGapAreNotOthersThanALaterProofIsOf(t *testing.T) {
	leaves := leavesOf("true", 10)
	forged := leavesOf("forged", 4)
	behind := append(batch(leaves[:7], 5), batch(leaves, 7)...)
	first := []rewriting{{entryRange{0, 4}, "the proof of entry 5"}}
	cases := []struct {
		name    string
		entries []*logEntry
		want    []rewriting
	}{
		{"written anew", append(batch(forged, 0), behind...), first},
		{"unchanged", append(batch(leaves[:4], 0), behind...), nil},
		{"told of by a proof that is not trusted", append(batch(forged, 0), untrusted(behind)...), nil},
		// A tree of 3 entries is made of 2 and 1, one of 5 of 4 and 1: they share no subtree.
		{"written anew where no proof tells", append(batch(forged[:3], 0), behind...), nil},
	}
	for _, each := range cases {
		t.Run(each.name, func(t *testing.T) {
			kept := &knownHead{checkpoint: headOf(leaves), isKept: true, isTrusted: true, lastEntry: -1}
			history := historyOf(each.entries, []*knownHead{kept}, nil)
			if !reflect.DeepEqual(history.rewritten, each.want) {
				t.Errorf("%v, wanted %v", history.rewritten, each.want)
			}
			if !kept.agrees || kept.differs {
				t.Error("the kept checkpoint does not agree")
			}
		})
	}
}

func leavesOf(text string, count int) (leaves []tlog.Hash) {
	for i := range count {
		leaves = append(leaves, tlog.RecordHash([]byte{text[0], byte(i)}))
	}
	return leaves
}

// batch returns the entries from one on, proven in the head of all the leaves.
func batch(leaves []tlog.Hash, from int) (entries []*logEntry) {
	for i := from; i < len(leaves); i++ {
		entries = append(entries, &logEntry{index: int64(i), leaf: leaves[i], path: pathOf(i, leaves), head: headOf(leaves), isTrusted: true})
	}
	return entries
}

func untrusted(entries []*logEntry) (copies []*logEntry) {
	for _, entry := range entries {
		each := *entry
		each.isTrusted = false
		copies = append(copies, &each)
	}
	return copies
}

func headOf(leaves []tlog.Hash) checkpoint {
	return checkpoint{size: int64(len(leaves)), root: rootOf(leaves)}
}

func rootOf(leaves []tlog.Hash) tlog.Hash {
	var tree logTree
	for _, leaf := range leaves {
		tree.add(leaf)
	}
	return tree.root()
}

// pathOf is PATH of RFC 6962, 2.1.1.
func pathOf(index int, leaves []tlog.Hash) []tlog.Hash {
	if len(leaves) == 1 {
		return nil
	}
	split := 1
	for split*2 < len(leaves) {
		split *= 2
	}
	if index < split {
		return append(pathOf(index, leaves[:split]), rootOf(leaves[split:]))
	}
	return append(pathOf(index-split, leaves[split:]), rootOf(leaves[:split]))
}
