"""Compares the entries of a log, in its order, with all that is known of its tree.

Known are what the proof of each entry says of the entries before it, and the heads of signed checkpoints. Each entry is
one whose own proof holds. A run of entries without a gap begins with the tree that its first proof says was before it,
and grows from there. If a known head comes out, all of the run before it is proven by that, its beginning too.
Behind a gap, the proof of the next entry still tells of the subtrees that its tree shares with the run's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fluo_kms.verify._proof import LogEvidence
from fluo_kms.verify._tree import Difference, GrowingTree, frontier_before, subtree_hash
from fluo_kms.verify.key_set import UnusedHandover


@dataclass(frozen=True, eq=False, slots=True)
class Entry:
    """A log entry that its own proof proves: a span's, or a handover's."""

    evidence: LogEvidence
    leaf: bytes
    name: str | None
    """`<trace id>/<span id>`; None for a handover."""
    is_trusted: bool
    """Whether a key signed its head that is not compromised. Otherwise the proof counts only with another head's."""
    recorded_size: int
    """How far the log went when the keys that signed were marked as compromised. Others may prove what lies there."""

    @property
    def index(self) -> int:
        return self.evidence.index


@dataclass(frozen=True, eq=False, slots=True)
class Head:
    """A known head of the log."""

    size: int
    root: bytes
    is_kept: bool
    """Whether somebody kept it, so that not even a key's holder could have changed it since."""
    is_trusted: bool
    last_entry: int = -1
    """The last of the entries whose proofs have this head; -1 for one that is known beside them."""


@dataclass(eq=False, slots=True)
class _Run:
    """Entries without a gap between them. The sizes are those at which a head came out, or 0."""

    start: int
    tree: GrowingTree
    is_other: bool
    """Whether it continues behind a difference, from the tree that a later proof tells of."""
    agreed_at: int = 0
    kept_at: int = 0
    proven_to: int = 0
    """The largest size at which a trusted head came out."""
    is_different: bool = False
    """Whether a difference was told. It stays in every head behind it, and is told once."""


class History:
    """What comes out of a log's entries, which are in order and none twice."""

    def __init__(self, entries: Sequence[Entry], heads: Iterable[Head], unproven: Iterable[UnusedHandover]) -> None:
        self.rewritten: list[tuple[range, Head | Entry]] = []
        """Ranges with other entries than a signed head, or a later entry's proof, is of. One may lie before its run."""
        self.agreed: set[Head] = set()
        """Heads that came out."""
        self.differed: set[Head] = set()
        """Heads in whose place another came out."""
        self._runs: list[_Run] = []
        self._known: dict[int, list[Head]] = defaultdict(list)
        for head in (*heads, *_heads_of(entries)):
            self._known[head.size].append(head)
        waiting = {each.index: each for each in unproven}
        taken: list[UnusedHandover] = []
        run: _Run | None = None
        for at, entry in enumerate(entries):
            self._take(run, waiting, taken, entry.index)
            frontier = frontier_before(entry.index, entry.evidence.path, entry.evidence.checkpoint.size)
            difference = None
            if run is not None and entry.is_trusted:
                difference = run.tree.difference_from(entry.index, frontier)
            if run is not None and difference is not None:
                of_run = [each for each in entries[:at] if each.index >= run.start]
                self._tell(_others(difference, of_run), entry)
            if run is None or run.tree.size != entry.index or difference is not None:
                run = self._begin(entry.index, frontier, is_other=difference is not None)
            self._add(run, entry.leaf)
        self._take(run, waiting, taken, None)
        last = max(run.agreed_at if run else 0, entries[-1].index if entries else 0)
        self.fitting = [each for each in taken if each.index < last]
        """Of the unproven entries those that fit in."""

    def proves(self, index: int) -> bool:
        """Whether a trusted head proves this entry, whatever signed its own."""
        return any(run.start <= index < run.proven_to for run in self._runs)

    def _take(
        self, run: _Run | None, waiting: dict[int, UnusedHandover], taken: list[UnusedHandover], before: int | None
    ) -> None:
        """Adds the unproven entries that stand behind the run, up to the next one that is proven."""
        while run is not None and run.tree.size in waiting and (before is None or run.tree.size < before):
            taken.append(waiting[run.tree.size])
            self._add(run, taken[-1].leaf)

    def _begin(self, start: int, frontier: Sequence[bytes], is_other: bool) -> _Run:
        run = _Run(start, GrowingTree(start, frontier), is_other)
        self._runs.append(run)
        self._compare(run)
        return run

    def _add(self, run: _Run, leaf: bytes) -> None:
        run.tree.add(leaf)
        self._compare(run)

    def _compare(self, run: _Run) -> None:
        """Holds the run's tree, as it is now, to the known heads of its size."""
        heads = self._known.get(run.tree.size, [])
        root = run.tree.root() if heads else b""
        for head in heads:
            if head.root == root:
                self.agreed.add(head)
                run.agreed_at = head.size
                run.kept_at = head.size if head.is_kept else run.kept_at
                run.proven_to = head.size if head.is_trusted else run.proven_to
                continue
            self.differed.add(head)
            leaves = _leaves_before(head, run)
            if leaves is not None and not run.is_different:
                self._tell(leaves, head)
            run.is_different = True

    def _tell(self, leaves: range, by: Head | Entry) -> None:
        """A difference shows in the head of its batch, and again in the next proof. It is told once."""
        last = self.rewritten[-1][0] if self.rewritten else None
        if last is None or leaves.start >= last.stop or last.start >= leaves.stop:
            self.rewritten.append((leaves, by))


def _others(difference: Difference, entries: Iterable[Entry]) -> range:
    """In a subtree that differs: the entries whose own proofs do not lead to its hash either; all if none is known."""
    others = [
        entry.index
        for entry in entries
        if entry.index in difference.leaves
        and difference.leaves.stop <= entry.evidence.checkpoint.size
        and subtree_hash(entry.leaf, entry.index, entry.evidence.path, difference.level) != difference.other
    ]
    return range(others[0], others[-1] + 1) if others else difference.leaves


def _leaves_before(head: Head, run: _Run) -> range | None:
    """Where the run has other entries than a head of its present size.

    That is behind the last head that came out, and behind the entries that have this head, which fit in. None if it was
    told already: those entries lie before the run, among others than it has.
    """
    if run.is_other and 0 <= head.last_entry < run.start:
        return None
    start = max(run.start, head.last_entry + 1, run.kept_at if head.is_kept else run.agreed_at)
    # If the run has none between, it is in what was before.
    return range(start if start < run.tree.size else 0, run.tree.size)


def _heads_of(entries: Iterable[Entry]) -> Iterable[Head]:
    """The heads of the entries themselves, each once."""
    heads: dict[tuple[int, bytes], Head] = {}
    for entry in entries:
        checkpoint = entry.evidence.checkpoint
        if entry.is_trusted:
            key = (checkpoint.size, checkpoint.root)
            heads[key] = Head(*key, is_kept=False, is_trusted=True, last_entry=entry.index)
    return heads.values()
