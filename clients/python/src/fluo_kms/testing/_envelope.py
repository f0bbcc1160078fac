"""The service's envelope of what a data key encrypts, under the fixed key of the public vectors.

`version 0x01 ‖ kind (0x01 PII, 0x02 data key) ‖ key_id (16) ‖ Cobblestone-256`. Its context is the header and the
canonical context; its input key is `HKDF-Expand-SHA-512(key, "fluo-kms/v1/" ‖ "pii" or "data-key", 32)`.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping
from typing import Literal

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from fluo_kms.testing._refusals import Refused, invalid, rejected

KEY_ID = "00112233445566778899aabbccddeeff"
"""Id of the data key and of the signing key."""
DATA_KEY = bytes.fromhex("9374efee4579412084cc45c00ffbd3c5ed22a2b98ca98c1c760e46ab4cbfdf1d")
MAX_VALUE_BYTES = 65_536

_MAX_PAIRS, _MAX_CONTEXT_BYTES = 16, 4096
_LABEL = b"fluo-kms/context/v1"
_HEADER_BYTES = 18
_PREFIX = "fk1."
_SUBJECT_KIND = 3
_RESERVED = {
    "fl1.": "what a client library seals and opens by itself",
    "fh1.": "public-key sealing",
    "fp1.": "public-key sealing",
    "fb1.": "blind indexes",
}

Kind = Literal["pii", "data-key"]
_KINDS: dict[Kind, int] = {"pii": 1, "data-key": 2}
_INPUT_KEYS = {kind: HKDFExpand(SHA512(), 32, f"fluo-kms/v1/{kind}".encode()).derive(DATA_KEY) for kind in _KINDS}


def canonical_context(tenant: str, name: str, pairs: Mapping[str, str]) -> bytes:
    """Returns what binds a ciphertext to its tenant, its name (empty for a data key) and the caller's pairs.

    Raises Refused for too many pairs, or too many bytes in them.
    """
    if len(pairs) > _MAX_PAIRS:
        raise invalid(("encryption_context", f"at most {_MAX_PAIRS} pairs, not {len(pairs)}"))
    encoded = sorted((key.encode(), value.encode()) for key, value in pairs.items())
    if sum(len(key) + len(value) for key, value in encoded) > _MAX_CONTEXT_BYTES:
        raise invalid(("encryption_context", f"keys and values are at most {_MAX_CONTEXT_BYTES} bytes together"))
    texts = [tenant.encode(), name.encode()]
    start = _LABEL + b"".join(map(_prefixed, texts)) + struct.pack(">I", len(encoded))
    return start + b"".join(_prefixed(key) + _prefixed(value) for key, value in encoded)


def seal(kind: Kind, context: bytes, plaintext: bytes) -> bytes:
    """Returns the envelope of at most 64 KiB."""
    header = bytes([1, _KINDS[kind]]) + bytes.fromhex(KEY_ID)
    encryptor = Cobblestone256Encryptor(_INPUT_KEYS[kind], header + context)
    return header + encryptor.update(plaintext) + encryptor.finalize()


def unseal(kind: Kind, context: bytes, envelope: bytes) -> bytes:
    """Returns the plaintext. Raises Refused, with the same words for whatever is wrong."""
    header, ciphertext = envelope[:_HEADER_BYTES], envelope[_HEADER_BYTES:]
    if header != bytes([1, _KINDS[kind]]) + bytes.fromhex(KEY_ID):
        raise rejected()
    try:
        decryptor = Cobblestone256Decryptor(_INPUT_KEYS[kind], header + context)
        plaintext = decryptor.update(ciphertext) + decryptor.finalize()
    except (InvalidTag, ValueError):
        raise rejected() from None
    if len(plaintext) > MAX_VALUE_BYTES:
        raise rejected()
    return plaintext


def token_of(envelope: bytes) -> str:
    """Returns the text form of an envelope."""
    return _PREFIX + base64.urlsafe_b64encode(envelope).decode("ascii").rstrip("=")


def envelope_of(token: str) -> bytes:
    """Returns the envelope of a token in its one spelling. Raises Refused."""
    start = token[: len(_PREFIX)]
    if start in _RESERVED:
        raise _reserved(f"{start} is for {_RESERVED[start]}")
    if start != _PREFIX or not token.isascii():
        raise rejected()
    text = token[len(_PREFIX) :]
    try:
        envelope = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise rejected() from None
    if token_of(envelope) != token:
        raise rejected()
    if envelope[:2] == bytes([1, _SUBJECT_KIND]):
        raise _reserved(f"kind {_SUBJECT_KIND} of {_PREFIX} is for tokens of subjects")
    return envelope


def _reserved(what: str) -> Refused:
    return Refused("INVALID_ARGUMENT", f"{what}; the service opens what EncryptPii gives")


def _prefixed(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
