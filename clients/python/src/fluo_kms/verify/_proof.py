"""C2SP tlog-proof: that an entry is in a log, as text that verifies offline.

The first line names the format; extra data may follow, which nothing authenticates; then the entry's index, its
inclusion path, an empty line, and the checkpoint's note.
"""

from __future__ import annotations

from dataclasses import dataclass

from fluo_kms.verify._encoding import HASH_BYTES, canonical_base64, parse_index
from fluo_kms.verify._note import Checkpoint, Note, parse_checkpoint, parse_note
from fluo_kms.verify._tree import is_included

FORMAT = "c2sp.org/tlog-proof@v1"
"""Names the format, as a proof's first line and as `audit.integrity.algorithm`."""

# No tree has more levels: sizes are below 2^53.
_MAX_PATH_HASHES = 53


@dataclass(frozen=True, slots=True)
class LogEvidence:
    """A log proof in its parts. Nothing of it was verified yet."""

    index: int
    path: tuple[bytes, ...]
    """Hashes of 32 bytes, from the leaf up."""
    note: Note
    checkpoint: Checkpoint

    def includes(self, leaf: bytes) -> bool:
        """Whether the path leads from a leaf's hash to the checkpoint's root."""
        return is_included(leaf, self.index, self.path, self.checkpoint.size, self.checkpoint.root)


def parse_log_evidence(text: str) -> LogEvidence | None:
    """None for a text that is not a log proof with a checkpoint in it."""
    head, divider, signed = text.partition("\n\n")
    form, *lines = head.split("\n")
    if not divider or form != FORMAT:
        return None
    if lines and lines[0].startswith("extra ") and canonical_base64(lines.pop(0)[len("extra ") :]) is None:
        return None
    if not lines or not lines[0].startswith("index "):
        return None
    index = parse_index(lines[0][len("index ") :])
    path = [hashed for hashed in map(canonical_base64, lines[1:]) if hashed is not None and len(hashed) == HASH_BYTES]
    note = parse_note(signed)
    checkpoint = parse_checkpoint(note.text) if note else None
    if index is None or len(path) != len(lines) - 1 or len(path) > _MAX_PATH_HASHES:
        return None
    return None if note is None or checkpoint is None else LogEvidence(index, tuple(path), note, checkpoint)
