"""C2SP signed-note, with tlog-checkpoint in it, and the verifier keys that sign them.

A note is a text that ends in a line feed, an empty line, and its signatures. Each signature over the text is a line
`— <name> <base64 of key id ‖ signature>`. Ed25519 alone: signatures of other kinds and of other keys may stand beside
ours and are passed over.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from fluo_kms.verify._encoding import HASH_BYTES, PUBLIC_KEY_BYTES, canonical_base64, parse_index, verify_signature

_ED25519 = b"\x01"
_KEY_ID_BYTES = 4
# Sixteen of the longest signatures that there are fit in. Counted in UTF-16 code units.
_MAX_NOTE_LENGTH = 128 * 1024
_MAX_SIGNATURES = 64

_WHITE_SPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_NAME = re.compile(f"[^{_WHITE_SPACE}+\ud800-\udfff]+")
_VERIFIER_KEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+(.+)")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """An Ed25519 public key under the name by which it signs notes."""

    name: str
    """The origin of a log, such as `kms.example.com/acme`."""
    public_key: bytes
    """32 bytes."""

    @property
    def note_key_id(self) -> bytes:
        """The four bytes that tell a name's keys apart. An identifier, no commitment: collisions are easy to make."""
        return hashlib.sha256(self.name.encode("utf-8") + b"\n" + _ED25519 + self.public_key).digest()[:_KEY_ID_BYTES]


Key = TypeVar("Key", bound=VerifierKey)


def parse_verifier_key(text: str) -> VerifierKey | None:
    """The key of `<name>+<key id>+<base64 of 0x01 ‖ key>`; None for any other text, other algorithms too."""
    match = _VERIFIER_KEY.fullmatch(text)
    octets = canonical_base64(match[3]) if match else None
    if match is None or octets is None or len(octets) != 1 + PUBLIC_KEY_BYTES or octets[:1] != _ED25519:
        return None
    key = VerifierKey(match[1], octets[1:])
    return key if _NAME.fullmatch(key.name) and key.note_key_id.hex() == match[2] else None


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """A signature line. Nothing of it was verified yet."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note by its form alone."""

    text: str
    """What is signed; ends in a line feed."""
    signatures: tuple[NoteSignature, ...]
    """Signatures, at least one."""


def parse_note(note: str) -> Note | None:
    """None for what is not a note."""
    try:
        code_units = len(note.encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        return None
    if code_units > _MAX_NOTE_LENGTH or _CONTROL.search(note):
        return None
    # The last empty line divides: the text may have some, too.
    end = note.rfind("\n\n")
    if end < 0 or not note.endswith("\n"):
        return None
    lines = note[end + 2 : -1].split("\n")
    if len(lines) > _MAX_SIGNATURES:
        return None
    signatures = [signature for signature in map(_parse_signature, lines) if signature is not None]
    return Note(note[: end + 1], tuple(signatures)) if len(signatures) == len(lines) else None


def signers_of(note: Note, keys: Iterable[Key]) -> list[Key] | None:
    """Those of `keys` that signed the note: none if it is by others alone.

    None if a signature of one of them does not hold, which spoils the whole note. Of several signatures by one key
    the first counts.
    """
    message = note.text.encode("utf-8")
    unseen: dict[tuple[str, bytes], list[Key]] = {}
    for key in keys:
        unseen.setdefault((key.name, key.note_key_id), []).append(key)
    signers = []
    for each in note.signatures:
        named = unseen.pop((each.name, each.key_id), None)
        if named is None:
            continue
        signer = next((key for key in named if verify_signature(key.public_key, message, each.signature)), None)
        if signer is None:
            return None
        signers.append(signer)
    return signers


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's origin, size and root."""

    origin: str
    """`<issuer>/<tenant_id>`, or `<issuer>/<tenant_id>/<n>` if the log is not number 1."""
    size: int
    root: bytes
    """32 bytes."""


def parse_checkpoint(text: str) -> Checkpoint | None:
    """None for a text that is no checkpoint. Further lines, which mean nothing here, may follow unless empty."""
    if not text.endswith("\n"):
        return None
    lines = text[:-1].split("\n")
    if len(lines) < 3 or "" in lines:
        return None
    size, root = parse_index(lines[1]), canonical_base64(lines[2])
    return None if size is None or root is None or len(root) != HASH_BYTES else Checkpoint(lines[0], size, root)


def _parse_signature(line: str) -> NoteSignature | None:
    if not line.startswith("— "):
        return None
    name, _, encoded = line[2:].rpartition(" ")
    octets = canonical_base64(encoded)
    if not _NAME.fullmatch(name) or octets is None or len(octets) <= _KEY_ID_BYTES:
        return None
    return NoteSignature(name, octets[:_KEY_ID_BYTES], octets[_KEY_ID_BYTES:])
