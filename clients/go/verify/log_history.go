package verify

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// logEntry is a span or a handover in a log, whose own proof holds.
type logEntry struct {
	index int64
	leaf  tlog.Hash
	// path leads from the leaf up to the head's root.
	path []tlog.Hash
	head checkpoint
	// isTrusted says whether a key signed the head that is not compromised. Otherwise the proof is worth nothing but
	// with another head's.
	isTrusted bool
	// recordedSize is, where only compromised keys signed the head, how far the log went when they were marked. What
	// lies there may be proven by others.
	recordedSize int64
	// name is "<trace id>/<span id>", empty for a handover.
	name string
}

// unprovenEntry has no proof of its own: only what comes after it in a run tells that it is there.
type unprovenEntry struct {
	index int64
	leaf  tlog.Hash
}

// knownHead is a signed head of the log.
type knownHead struct {
	checkpoint
	// isKept says that the caller kept it, so that not even a key's holder could have changed it since.
	isKept, isTrusted bool
	// lastEntry is the last entry that is proven in it; -1 unless it is an entry's own head.
	lastEntry int64
	// file is the name of the text that a kept one was in.
	file string
	// agrees says that it came out, differs that another did in its place.
	agrees, differs bool
}

// logHistory is what the entries of a log, one behind the other, make of its tree, against all that is known of that:
// what the proof of each says of the entries before it, and the heads of signed checkpoints.
//
// A run of entries without a gap begins with the tree that its first proof says was before it, and grows from there.
// Where a head that is known comes out, all of the run before it is proven by that, its beginning too. Behind a gap, the
// proof of the next entry still tells of the subtrees that its tree shares with the run's.
type logHistory struct {
	known     map[int64][]*knownHead
	runs      []*entryRun
	rewritten []rewriting
	// fitting has those of the unproven entries that fit in.
	fitting []int64
}

// rewriting is entries among which are others than a signed head, or a later entry's proof, is of. Those of a range
// that is not of the run lie before it.
type rewriting struct {
	entryRange
	by string
}

// entryRun is entries one behind the other.
type entryRun struct {
	start int64
	tree  logTree
	// The sizes at which a head, and one that was kept, came out last; 0 where none did yet.
	agreedAt, keptAt int64
	// provenTo is the largest size at which a trusted head came out.
	provenTo int64
	// isOther says that it goes on behind a difference, from the tree that a later proof tells of.
	isOther bool
	// isDifferent says that there was a difference, which stays in every head behind it and is told once.
	isDifferent bool
}

// historyOf takes entries in their order, none twice. It marks the heads.
func historyOf(entries []*logEntry, heads []*knownHead, unproven []unprovenEntry) *logHistory {
	h := &logHistory{known: map[int64][]*knownHead{}}
	for _, head := range append(heads, ownHeads(entries)...) {
		h.known[head.size] = append(h.known[head.size], head)
	}
	waiting := map[int64]unprovenEntry{}
	for _, entry := range unproven {
		waiting[entry.index] = entry
	}
	var run *entryRun
	var taken []int64
	// takeUnproven takes what stands behind the run, up to the next entry that is proven.
	takeUnproven := func(before int64) {
		for run != nil {
			next, ok := waiting[run.tree.size]
			if !ok || next.index >= before {
				return
			}
			taken = append(taken, next.index)
			run.tree.add(next.leaf)
			h.compare(run)
		}
	}
	for i, entry := range entries {
		takeUnproven(entry.index)
		before := treeBefore(entry.index, entry.path, entry.head.size)
		isOther := false
		if run != nil && entry.isTrusted {
			var found difference
			if found, isOther = run.tree.differenceFrom(before); isOther {
				h.tell(found.rangeOfOthers(entries[:i], run.start), fmt.Sprintf("the proof of entry %d", entry.index))
			}
		}
		if run == nil || run.tree.size != entry.index || isOther {
			run = &entryRun{start: before.size, tree: before, isOther: isOther}
			h.runs = append(h.runs, run)
			h.compare(run)
		}
		run.tree.add(entry.leaf)
		h.compare(run)
	}
	takeUnproven(maxIndex + 1)
	if run != nil {
		last := max(run.agreedAt, entries[len(entries)-1].index)
		for _, index := range taken {
			if index < last {
				h.fitting = append(h.fitting, index)
			}
		}
	}
	return h
}

// ownHeads returns the trusted heads of the entries themselves, each once.
func ownHeads(entries []*logEntry) (heads []*knownHead) {
	byHead := map[checkpoint]*knownHead{}
	for _, entry := range entries {
		if !entry.isTrusted {
			continue
		}
		head := byHead[entry.head]
		if head == nil {
			head = &knownHead{checkpoint: entry.head, isTrusted: true}
			byHead[entry.head] = head
			heads = append(heads, head)
		}
		head.lastEntry = entry.index
	}
	return heads
}

// compare compares the run's tree as it is now with the heads of its size.
func (h *logHistory) compare(run *entryRun) {
	heads := h.known[run.tree.size]
	if len(heads) == 0 {
		return
	}
	root := run.tree.root()
	for _, head := range heads {
		if root == head.root {
			head.agrees = true
			run.agreedAt = head.size
			if head.isKept {
				run.keptAt = head.size
			}
			if head.isTrusted {
				run.provenTo = head.size
			}
			continue
		}
		head.differs = true
		if where, isNew := run.rangeBefore(head); isNew && !run.isDifferent {
			h.tell(where, fmt.Sprintf("the checkpoint of size %d", head.size))
		}
		run.isDifferent = true
	}
}

// rangeBefore returns where the run has other entries than a head of its present size: behind the last head that came
// out, and behind the entries that the head itself is of, for they fit in. False where that was told of already:
// those entries lie before the run, among others than it has.
func (r *entryRun) rangeBefore(head *knownHead) (where entryRange, isNew bool) {
	if r.isOther && head.lastEntry >= 0 && head.lastEntry < r.start {
		return where, false
	}
	agreed := r.agreedAt
	if head.isKept {
		agreed = r.keptAt
	}
	where = entryRange{max(r.start, head.lastEntry+1, agreed), r.tree.size}
	if where.start >= where.end { // There is none of the run between: it is in what was before.
		where.start = 0
	}
	return where, true
}

// rangeOfOthers returns the entries of a differing subtree, from start on, whose own proofs do not lead to its hash. It
// returns all of the subtree where every known proof does.
func (d difference) rangeOfOthers(entries []*logEntry, start int64) entryRange {
	others := entryRange{start: -1}
	for _, entry := range entries {
		if entry.index < start || !d.has(entry.index) || d.end > entry.head.size ||
			subtreeHash(entry.leaf, entry.index, entry.path, d.level) == d.hash {
			continue
		}
		if others.start < 0 {
			others.start = entry.index
		}
		others.end = entry.index + 1
	}
	if others.start < 0 {
		return d.entryRange
	}
	return others
}

// tell notes a rewriting, unless the last one is of some of the same entries: a difference shows in the head of its
// group, and again in the next proof.
func (h *logHistory) tell(where entryRange, by string) {
	if len(h.rewritten) > 0 {
		if last := h.rewritten[len(h.rewritten)-1]; where.start < last.end && last.start < where.end {
			return
		}
	}
	h.rewritten = append(h.rewritten, rewriting{where, by})
}

// proves says whether a trusted head proves the entry, whatever signed its own.
func (h *logHistory) proves(index int64) bool {
	for _, run := range h.runs {
		if index >= run.start && index < run.provenTo {
			return true
		}
	}
	return false
}
