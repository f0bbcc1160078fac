r"""Seals files under data keys of the service, and opens them.

A sealed file is `fluo-kms/file/v1\n`, the length of the data key's `ciphertext_blob` in two bytes, big-endian, the
blob, and the plaintext sealed with Cobblestone-256. Its context is all that is before it. The data key itself is never
used: the input key is `HKDF-Expand-SHA-512(data key, "fluo-kms/client/v1/file", 32)`. Needs the extra `files`:
`pip install "fluo-kms[files]"`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import grpc

try:
    from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.hashes import SHA512
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
except ImportError as missing:  # pragma: no cover
    raise ImportError('sealed files need their extra: pip install "fluo-kms[files]"') from missing

from fluo.kms.v1.data_key_pb2 import DecryptDataKeyRequest, GenerateDataKeyRequest
from fluo_kms._client import KmsClient
from fluo_kms._errors import details_of

__all__ = ["NotAuthentic", "open_file", "open_stream", "open_with_key", "seal_file", "seal_with_key"]

DATA_KEY_BYTES = 32

_MAGIC = b"fluo-kms/file/v1\n"
_INFO = b"fluo-kms/client/v1/file"
_MAX_BLOB_BYTES = 1024
_CHUNK_BYTES = 16_384
_SEALED_CHUNK_BYTES = _CHUNK_BYTES + 16


class NotAuthentic(Exception):
    """The file was not sealed for this tenant and context, or was changed, cut or added to; which, nobody can tell."""

    def __init__(self) -> None:
        super().__init__("the file is not authentic: it was changed or cut, or sealed for another tenant or context")


def seal_file(
    client: KmsClient,
    tenant: str,
    source: str | Path,
    target: str | Path,
    context: Mapping[str, str] | None = None,
) -> None:
    """Seals a file under a new data key of the tenant.

    `target` is replaced at once when all is written, by a file of mode 0600; on failure it stays as it was. `context`
    are non-secret pairs that `open_file` must be given again. Memory is bounded, whatever the file's size. Raises
    OSError, and `grpc.RpcError` if the service gives no key.
    """
    with Path(source).open("rb") as plaintext, _replacing(Path(target)) as sealed:
        answer = client.service.GenerateDataKey(
            GenerateDataKeyRequest(tenant_id=tenant, encryption_context=dict(context or {}))
        )
        key = bytearray(answer.plaintext)
        answer.ClearField("plaintext")
        try:
            seal_with_key(key, answer.ciphertext_blob, plaintext, sealed)
        finally:
            _overwrite(key)


def open_file(
    client: KmsClient,
    tenant: str,
    source: str | Path,
    target: str | Path,
    context: Mapping[str, str] | None = None,
) -> None:
    """Opens a file that `seal_file` sealed, in any language.

    `target` is replaced at once when all is authentic, by a file of mode 0600; on failure it stays as it was, and
    nothing of the plaintext is left. Raises NotAuthentic, OSError, and `grpc.RpcError` if the service gives no key.
    """
    with Path(source).open("rb") as sealed, _replacing(Path(target)) as plaintext:
        open_stream(client, tenant, sealed, plaintext, context)


def open_stream(
    client: KmsClient,
    tenant: str,
    source: BinaryIO,
    target: BinaryIO,
    context: Mapping[str, str] | None = None,
) -> None:
    """Opens what `seal_file` sealed, from one stream to another: `target` gets authentic plaintext chunk by chunk.

    What `target` got is only a beginning until this returns, and void if it raises, for example because the end was cut
    off. So keep it apart until then:

        with tempfile.TemporaryFile() as received:
            open_stream(kms, "acme", sealed, received)
            received.seek(0)
            restore(received)  # not before open_stream has returned

    Raises NotAuthentic, at a missing end, too, and `grpc.RpcError` if the service gives no key.
    """
    open_with_key(lambda blob: _data_key(client, tenant, blob, context), source, target)


def seal_with_key(data_key: bytes | bytearray, ciphertext_blob: bytes, source: BinaryIO, target: BinaryIO) -> None:
    """Seals with a data key of 32 bytes and its `ciphertext_blob` of 1 to 1,024 bytes, without a service."""
    if not 1 <= len(ciphertext_blob) <= _MAX_BLOB_BYTES:
        raise ValueError(f"a ciphertext_blob has 1 to {_MAX_BLOB_BYTES} bytes")
    head = _MAGIC + len(ciphertext_blob).to_bytes(2, "big") + ciphertext_blob
    with _input_key(data_key) as key:
        encryptor = Cobblestone256Encryptor(key, head)
    target.write(head)
    while chunk := source.read(_CHUNK_BYTES):
        target.write(encryptor.update(chunk))
    target.write(encryptor.finalize())


def open_with_key(data_key_of: Callable[[bytes], bytes | bytearray], source: BinaryIO, target: BinaryIO) -> None:
    """Opens as `open_stream` does, with the data key that `data_key_of` gives for a `ciphertext_blob`."""
    head, blob = _read_head(source)
    data_key = bytearray(data_key_of(blob))
    try:
        with _input_key(data_key) as key:
            decryptor = Cobblestone256Decryptor(key, head)
    finally:
        _overwrite(data_key)
    try:
        while chunk := source.read(_SEALED_CHUNK_BYTES):
            target.write(decryptor.update(chunk))
        target.write(decryptor.finalize())
    except InvalidTag:
        raise NotAuthentic from None


def _read_head(source: BinaryIO) -> tuple[bytes, bytes]:
    """All that is before the ciphertext, and the blob in it."""
    start = _read_exactly(source, len(_MAGIC) + 2)
    length = int.from_bytes(start[-2:], "big")
    if not start.startswith(_MAGIC) or not 1 <= length <= _MAX_BLOB_BYTES:
        raise NotAuthentic
    blob = _read_exactly(source, length)
    return start + blob, blob


def _read_exactly(source: BinaryIO, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = source.read(length - len(data))
        if not more:
            raise NotAuthentic
        data += more
    return data


def _data_key(client: KmsClient, tenant: str, blob: bytes, context: Mapping[str, str] | None) -> bytes:
    request = DecryptDataKeyRequest(tenant_id=tenant, ciphertext_blob=blob, encryption_context=dict(context or {}))
    try:
        key: bytes = client.service.DecryptDataKey(request).plaintext
    except grpc.RpcError as error:
        if details_of(error).reason == "CIPHERTEXT_REJECTED":
            raise NotAuthentic from None
        raise
    if len(key) != DATA_KEY_BYTES:
        raise NotAuthentic
    return key


@contextmanager
def _input_key(data_key: bytes | bytearray) -> Iterator[bytearray]:
    if len(data_key) != DATA_KEY_BYTES:
        raise ValueError(f"a data key for files has {DATA_KEY_BYTES} bytes")
    key = bytearray(DATA_KEY_BYTES)
    try:
        HKDFExpand(SHA512(), DATA_KEY_BYTES, _INFO).derive_into(data_key, key)
        yield key
    finally:
        _overwrite(key)


def _overwrite(secret: bytearray) -> None:
    secret[:] = bytes(len(secret))


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """A new file beside `target`, of mode 0600, which takes its place at the end; it is removed on failure."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Makes the new name last, if the platform opens folders."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
