"""The form of sealed files, which `fluo_kms.files` describes, without reading and writing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

try:
    from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.hashes import SHA512
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
except ImportError as missing:  # pragma: no cover
    raise ImportError('sealed files need their extra: pip install "fluo-kms[files]"') from missing

from fluo_kms._errors import details_of

DATA_KEY_BYTES = 32
CHUNK_BYTES = 16_384
SEALED_CHUNK_BYTES = CHUNK_BYTES + 16

_MAGIC = b"fluo-kms/file/v1\n"
_INFO = b"fluo-kms/client/v1/file"
_MAX_BLOB_BYTES = 1024


class NotAuthentic(Exception):
    """The file was not sealed for this tenant and context, or was changed, cut or added to; which, nobody can tell."""

    def __init__(self) -> None:
        super().__init__("the file is not authentic: it was changed or cut, or sealed for another tenant or context")


class Sealer:
    """Seals plaintext in pieces of any size: first `head`, then what `update` gives, then what `finalize` gives."""

    def __init__(self, data_key: bytes | bytearray, ciphertext_blob: bytes) -> None:
        if not 1 <= len(ciphertext_blob) <= _MAX_BLOB_BYTES:
            raise ValueError(f"a ciphertext_blob has 1 to {_MAX_BLOB_BYTES} bytes")
        self.head = _MAGIC + len(ciphertext_blob).to_bytes(2, "big") + ciphertext_blob
        with _input_key(data_key) as key:
            encryptor = Cobblestone256Encryptor(key, self.head)
        self.update = encryptor.update
        self.finalize = encryptor.finalize


class Head:
    """All that is before the ciphertext, as it is read. Raises NotAuthentic for what is no head."""

    def __init__(self) -> None:
        self.octets = b""

    @property
    def blob(self) -> bytes:
        """The `ciphertext_blob`, once nothing more is wanted."""
        return self.octets[len(_MAGIC) + 2 :]

    def wanted(self) -> int:
        """Returns how many bytes are missing, as far as the length is known; 0 if none are."""
        start = len(_MAGIC) + 2
        if len(self.octets) < start:
            return start - len(self.octets)
        length = int.from_bytes(self.octets[start - 2 : start], "big")
        if not self.octets.startswith(_MAGIC) or not 1 <= length <= _MAX_BLOB_BYTES:
            raise NotAuthentic
        return start + length - len(self.octets)

    def add(self, data: bytes) -> None:
        """Takes at most as many bytes as are wanted; none mean the end of the source."""
        if not data:
            raise NotAuthentic
        self.octets += data


class Opener:
    """Opens ciphertext in pieces of any size: authentic plaintext comes of `update` and, last, of `finalize`."""

    def __init__(self, data_key: bytes | bytearray, head: bytes) -> None:
        with _input_key(data_key) as key:
            self._decryptor = Cobblestone256Decryptor(key, head)

    def update(self, chunk: bytes) -> bytes:
        """Returns what of the plaintext is known to be authentic. Raises NotAuthentic."""
        try:
            return self._decryptor.update(chunk)
        except InvalidTag:
            raise NotAuthentic from None

    def finalize(self) -> bytes:
        """Returns the last of the plaintext. Raises NotAuthentic if the end is missing."""
        try:
            return self._decryptor.finalize()
        except InvalidTag:
            raise NotAuthentic from None


def is_rejected(error: BaseException) -> bool:
    """Whether the service refuses a data key's blob as not its own for this tenant and context."""
    return details_of(error).reason == "CIPHERTEXT_REJECTED"


@contextmanager
def _input_key(data_key: bytes | bytearray) -> Iterator[bytearray]:
    if len(data_key) != DATA_KEY_BYTES:
        raise ValueError(f"a data key for files has {DATA_KEY_BYTES} bytes")
    key = bytearray(DATA_KEY_BYTES)
    try:
        HKDFExpand(SHA512(), DATA_KEY_BYTES, _INFO).derive_into(data_key, key)
        yield key
    finally:
        overwrite(key)


def overwrite(secret: bytearray) -> None:
    """Clears a secret from memory."""
    secret[:] = bytes(len(secret))
