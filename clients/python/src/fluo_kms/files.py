r"""Seals files, streams and bytes under data keys of the service, and opens them.

A sealed file is `fluo-kms/file/v1\n`, the length of the data key's `ciphertext_blob` in two bytes, big-endian, the
blob, and the plaintext sealed with Cobblestone-256. Its context is all that is before it. The data key itself is never
used: the input key is `HKDF-Expand-SHA-512(data key, "fluo-kms/client/v1/file", 32)`. Streams and bytes have the same
form, so that each opens what another sealed. Needs the extra `files`: `pip install "fluo-kms[files]"`.

`fluo_kms.aio` has the twins for asyncio.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import grpc

from fluo.kms.v1.data_key_pb2 import DecryptDataKeyRequest, GenerateDataKeyRequest
from fluo_kms._client import KmsClient
from fluo_kms._replacing import replacing
from fluo_kms._sealed_streams import open_with_key, seal_with_key
from fluo_kms._sealing import DATA_KEY_BYTES, NotAuthentic, is_rejected, overwrite
from fluo_kms._twins import refuse_async

__all__ = [
    "NotAuthentic",
    "open_bytes",
    "open_file",
    "open_stream",
    "open_with_key",
    "seal_bytes",
    "seal_file",
    "seal_stream",
    "seal_with_key",
]


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
    refuse_async(client, "fluo_kms.files.seal_file")
    with Path(source).open("rb") as plaintext, replacing(Path(target)) as sealed:
        seal_stream(client, tenant, plaintext, sealed, context)


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
    refuse_async(client, "fluo_kms.files.open_file")
    with Path(source).open("rb") as sealed, replacing(Path(target)) as plaintext:
        open_stream(client, tenant, sealed, plaintext, context)


def seal_stream(
    client: KmsClient,
    tenant: str,
    source: BinaryIO,
    target: BinaryIO,
    context: Mapping[str, str] | None = None,
) -> None:
    """Seals what `source` gives until its end, under a new data key of the tenant, and writes it to `target`.

    Both are left open, and `target` is not flushed. Memory is bounded, whatever the length. What reading or writing
    raises comes through; what was written then has no end, and nobody can open it. Raises `grpc.RpcError` if the
    service gives no key, and BlockingIOError for a stream that does not block.
    """
    refuse_async(client, "fluo_kms.files.seal_stream")
    answer = client.service.GenerateDataKey(
        GenerateDataKeyRequest(tenant_id=tenant, encryption_context=dict(context or {}))
    )
    key = bytearray(answer.plaintext)
    answer.ClearField("plaintext")
    try:
        seal_with_key(key, answer.ciphertext_blob, source, target)
    finally:
        overwrite(key)


def open_stream(
    client: KmsClient,
    tenant: str,
    source: BinaryIO,
    target: BinaryIO,
    context: Mapping[str, str] | None = None,
) -> None:
    """Opens what was sealed, from one stream to another: `target` gets authentic plaintext chunk by chunk.

    What `target` got is only a beginning until this returns, and void if it raises, for example because the end was cut
    off. So keep it apart until then:

        with tempfile.TemporaryFile() as received:
            open_stream(kms, "acme", sealed, received)
            received.seek(0)
            restore(received)  # not before open_stream has returned

    Both are left open. Raises NotAuthentic, at a missing end, too, `grpc.RpcError` if the service gives no key, and
    what reading and writing raise.
    """
    refuse_async(client, "fluo_kms.files.open_stream")
    open_with_key(lambda blob: _data_key(client, tenant, blob, context), source, target)


def seal_bytes(
    client: KmsClient, tenant: str, data: bytes | bytearray | memoryview, context: Mapping[str, str] | None = None
) -> bytes:
    """Returns the sealed form of bytes, which is that of a file. Raises `grpc.RpcError` if the service gives no key."""
    refuse_async(client, "fluo_kms.files.seal_bytes")
    sealed = io.BytesIO()
    seal_stream(client, tenant, io.BytesIO(memoryview(data)), sealed, context)
    return sealed.getvalue()


def open_bytes(
    client: KmsClient, tenant: str, sealed: bytes | bytearray | memoryview, context: Mapping[str, str] | None = None
) -> bytes:
    """Returns all that was sealed, or raises.

    Raises NotAuthentic, and `grpc.RpcError` if the service gives no key.
    """
    refuse_async(client, "fluo_kms.files.open_bytes")
    opened = io.BytesIO()
    open_stream(client, tenant, io.BytesIO(sealed), opened, context)
    return opened.getvalue()


def _data_key(client: KmsClient, tenant: str, blob: bytes, context: Mapping[str, str] | None) -> bytes:
    request = DecryptDataKeyRequest(tenant_id=tenant, ciphertext_blob=blob, encryption_context=dict(context or {}))
    try:
        key = client.service.DecryptDataKey(request).plaintext
    except grpc.RpcError as error:
        if is_rejected(error):
            raise NotAuthentic from None
        raise
    if len(key) != DATA_KEY_BYTES:
        raise NotAuthentic
    return key
