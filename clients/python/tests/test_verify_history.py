"""Entries of a log that a gap divides, against the proofs behind it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fluo_kms.verify._history import Entry, Head, History
from fluo_kms.verify._note import Checkpoint, Note
from fluo_kms.verify._proof import LogEvidence
from fluo_kms.verify._tree import GrowingTree, leaf_hash

LEAVES = [leaf_hash(f"entry {i}".encode()) for i in range(10)]
FORGED = [leaf_hash(f"forged entry {i}".encode()) for i in range(4)]


def root(leaves: list[bytes]) -> bytes:
    tree = GrowingTree(0, [])
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def path(index: int, leaves: list[bytes]) -> tuple[bytes, ...]:
    """RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return ()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = leaves[:split], leaves[split:]
    return (*path(index, left), root(right)) if index < split else (*path(index - split, right), root(left))


def batch(leaves: list[bytes], start: int) -> list[Entry]:
    """The entries from one on, proven in the head of all the leaves."""
    head = Checkpoint("kms.example.com/acme", len(leaves), root(leaves))
    evidence = [LogEvidence(i, path(i, leaves), Note("", ()), head) for i in range(start, len(leaves))]
    return [Entry(each, leaves[each.index], None, is_trusted=True, recorded_size=0) for each in evidence]


BEHIND = [*batch(LEAVES[:7], 5), *batch(LEAVES, 7)]


@pytest.mark.parametrize(
    ("entries", "want"),
    [
        pytest.param([*batch(FORGED, 0), *BEHIND], [(range(4), BEHIND[0])], id="written anew"),
        pytest.param([*batch(LEAVES[:4], 0), *BEHIND], [], id="unchanged"),
        pytest.param(
            [*batch(FORGED, 0), *(replace(each, is_trusted=False) for each in BEHIND)],
            [],
            id="told of by a proof that is not trusted",
        ),
        # A tree of 3 entries is made of 2 and 1, one of 5 of 4 and 1: they share no subtree.
        pytest.param([*batch(FORGED[:3], 0), *BEHIND], [], id="written anew where no proof tells"),
    ],
)
def test_compares_entries_before_a_gap_with_the_proof_behind_it(entries, want):
    kept = Head(len(LEAVES), root(LEAVES), is_kept=True, is_trusted=True)
    history = History(entries, [kept], [])
    assert history.rewritten == want
    assert (kept in history.agreed, kept in history.differed) == (True, False)
