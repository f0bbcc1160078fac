package verify

import (
	"crypto/sha256"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// logTree is a log's Merkle tree (RFC 6962) that grows leaf by leaf.
type logTree struct {
	size int64
	// frontier has the hash of each complete subtree that the tree is made of, one for each bit of its size, widest first.
	frontier []tlog.Hash
}

// treeBefore returns the tree of the leaves before one, by that one's path in a tree of a size, which has to hold: its
// siblings on the left. Up to where the path meets that of the last leaf, a sibling is on the side that the index
// says; all above lie on the left.
func treeBefore(index int64, path []tlog.Hash, size int64) logTree {
	meeting := bits.Len64(uint64(index ^ (size - 1)))
	tree := logTree{size: index}
	for level, hash := range slices.Backward(path) {
		if level >= meeting || index>>level&1 == 1 {
			tree.frontier = append(tree.frontier, hash)
		}
	}
	return tree
}

func (t *logTree) add(leaf tlog.Hash) {
	hash := leaf
	for rest := t.size; rest&1 == 1; rest >>= 1 {
		last := len(t.frontier) - 1
		hash = tlog.NodeHash(t.frontier[last], hash)
		t.frontier = t.frontier[:last]
	}
	t.frontier = append(t.frontier, hash)
	t.size++
}

func (t *logTree) root() tlog.Hash {
	last := len(t.frontier) - 1
	if last < 0 {
		return sha256.Sum256(nil)
	}
	root := t.frontier[last]
	for _, hash := range slices.Backward(t.frontier[:last]) {
		root = tlog.NodeHash(hash, root)
	}
	return root
}

// entryRange is entries from start until before end.
type entryRange struct{ start, end int64 }

func (r entryRange) has(index int64) bool { return index >= r.start && index < r.end }

// difference is a complete subtree that two trees have with different hashes.
type difference struct {
	entryRange
	level int
	// hash is the other tree's.
	hash tlog.Hash
}

// differenceFrom returns the first of the subtrees that both trees are made of which the other one has with another
// hash. Where one tree is larger, they share just the widest, up to the first that is not as wide in both.
func (t *logTree) differenceFrom(other logTree) (difference, bool) {
	start := int64(0)
	for i, hash := range t.frontier {
		level := bits.Len64(uint64(t.size-start)) - 1
		if level != bits.Len64(uint64(other.size-start))-1 {
			break
		}
		end := start + 1<<level
		if hash != other.frontier[i] {
			return difference{entryRange{start, end}, level, other.frontier[i]}, true
		}
		start = end
	}
	return difference{}, false
}

// subtreeHash returns the hash of the complete subtree of a level that a leaf is in. The path is the leaf's in a tree
// that has that subtree, and must have been verified.
func subtreeHash(leaf tlog.Hash, index int64, path []tlog.Hash, level int) tlog.Hash {
	hash := leaf
	for i, sibling := range path[:level] {
		if index>>i&1 == 1 {
			hash = tlog.NodeHash(sibling, hash)
		} else {
			hash = tlog.NodeHash(hash, sibling)
		}
	}
	return hash
}
