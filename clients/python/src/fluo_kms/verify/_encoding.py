"""Base64, indices of logs, and the Ed25519 that all evidence rests on."""

from __future__ import annotations

import base64
import binascii
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
HASH_BYTES = 32

_INDEX = re.compile("0|[1-9][0-9]{0,15}")
_MAX_INDEX = 2**53 - 1


def canonical_base64(text: str) -> bytes | None:
    """The bytes of a text that encodes back to itself (RFC 4648 §4); None for any other text."""
    return _decode(text, None)


def canonical_base64url(text: str) -> bytes | None:
    """Decodes base64url without padding (RFC 4648 §5), as strictly."""
    return None if "=" in text else _decode(text + "=" * (-len(text) % 4), b"-_")


def any_base64(text: str) -> bytes | None:
    """Decodes either alphabet, padded or not, as strictly otherwise: protobuf's JSON has all four."""
    standard = text.replace("-", "+").replace("_", "/")
    return canonical_base64(standard if standard.endswith("=") else standard + "=" * (-len(standard) % 4))


def _decode(text: str, alternatives: bytes | None) -> bytes | None:
    try:
        octets = text.encode("ascii")
        data = base64.b64decode(octets, alternatives, validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data, alternatives) == octets else None


def parse_index(text: str) -> int | None:
    """A size or an index of a log: ASCII decimal without leading zeros, at most 2^53 - 1; None for any other text."""
    if not _INDEX.fullmatch(text):
        return None
    value = int(text)
    return value if value <= _MAX_INDEX else None


def index_of(value: object) -> int | None:
    """A size or an index as a key set has it: a whole number from 0 to 2^53 - 1; None for any other."""
    return int(value) if isinstance(value, float) and 0 <= value <= _MAX_INDEX and value.is_integer() else None


def verify_signature(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is the Ed25519 key's over `message`. Anything of another length is not."""
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
