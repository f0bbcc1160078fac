"""The Merkle tree of a log (RFC 6962, SHA-256): proofs that an entry is in it, and a tree that grows leaf by leaf.

A tree is kept as its frontier: the hashes of the complete subtrees that it is made of, one for each bit of its size,
widest first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962, 2.1: the hash of 0x00 and the entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def is_included(leaf: bytes, index: int, path: Sequence[bytes], size: int, root: bytes) -> bool:
    """Whether the path leads from the leaf's hash to the root, by just the hashes that it needs (RFC 9162, 2.1.3.2)."""
    if index >= size:
        return False
    sides = list(_sides(index, size))
    if len(sides) != len(path):
        return False
    reached = leaf
    for sibling, is_left in zip(path, sides, strict=True):
        reached = _node_hash(sibling, reached) if is_left else _node_hash(reached, sibling)
    return reached == root


def frontier_before(index: int, path: Sequence[bytes], size: int) -> list[bytes]:
    """The frontier of the leaves before one, by that one's proof, which has to hold: its siblings on the left."""
    return [sibling for sibling, is_left in zip(path, _sides(index, size), strict=True) if is_left][::-1]


def subtree_hash(leaf: bytes, index: int, path: Sequence[bytes], level: int) -> bytes:
    """The hash of the complete subtree of 2^level leaves around a leaf, by its proof, which has to hold."""
    reached = leaf
    for at, sibling in enumerate(path[:level]):
        reached = _node_hash(sibling, reached) if index >> at & 1 else _node_hash(reached, sibling)
    return reached


@dataclass(frozen=True, slots=True)
class Difference:
    """A complete subtree that two trees have with different hashes."""

    leaves: range
    level: int
    other: bytes
    """The other tree's hash."""


class GrowingTree:
    """A tree that somebody who has all its entries goes through."""

    def __init__(self, size: int, frontier: Sequence[bytes]) -> None:
        self.size = size
        self._frontier = list(frontier)

    def add(self, leaf: bytes) -> None:
        node, rest = leaf, self.size
        while rest % 2 == 1:
            node, rest = _node_hash(self._frontier.pop(), node), rest // 2
        self._frontier.append(node)
        self.size += 1

    def root(self) -> bytes:
        if not self._frontier:
            return _EMPTY_ROOT
        *wider, root = self._frontier
        for left in reversed(wider):
            root = _node_hash(left, root)
        return root

    def difference_from(self, size: int, frontier: Sequence[bytes]) -> Difference | None:
        """The first of the subtrees that this tree and another are made of in which they differ; None if in none.

        If one tree is larger, they share just the widest, up to the first that is not as wide in both.
        """
        start = 0
        trees = zip(_levels(self.size), self._frontier, strict=True), zip(_levels(size), frontier, strict=True)
        for (level, own), (other_level, other) in zip(*trees, strict=False):
            if level != other_level:
                return None
            if own != other:
                return Difference(range(start, start + (1 << level)), level, other)
            start += 1 << level
        return None


def _levels(size: int) -> Iterator[int]:
    """The levels of the complete subtrees that a tree is made of, widest first."""
    return (level for level in reversed(range(size.bit_length())) if size >> level & 1)


def _sides(index: int, size: int) -> Iterator[bool]:
    """For each hash of a leaf's path, from the leaf up, whether it is the left one of its pair.

    `node` counts at its level, `last` is the last node there, which may have no sibling and is then that of the next.
    """
    node, last = index, size - 1
    while last > 0:
        is_left = node % 2 == 1 or node == last
        while is_left and node % 2 == 0 and node != 0:
            node, last = node // 2, last // 2
        yield is_left
        node, last = node // 2, last // 2


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
