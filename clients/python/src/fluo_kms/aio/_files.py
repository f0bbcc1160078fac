"""Sealing and opening with asyncio. Files are read and written by a thread, streams by the event loop."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar, cast

import grpc.aio

from fluo.kms.v1.data_key_pb2 import DecryptDataKeyRequest, GenerateDataKeyRequest
from fluo_kms._replacing import replacing
from fluo_kms._sealed_streams import open_rest, read_head, seal_with_key
from fluo_kms._sealing import (
    CHUNK_BYTES,
    DATA_KEY_BYTES,
    SEALED_CHUNK_BYTES,
    Head,
    NotAuthentic,
    Opener,
    Sealer,
    is_rejected,
    overwrite,
)
from fluo_kms._twins import refuse_sync
from fluo_kms.aio._client import AsyncKmsClient

T = TypeVar("T")


class AsyncSource(Protocol):
    """Gives bytes, at most so many, and none at its end: `asyncio.StreamReader`, or a file of aiofiles."""

    async def read(self, n: int, /) -> bytes:
        """Returns the next bytes."""
        ...


class AsyncTarget(Protocol):
    """Takes bytes: `asyncio.StreamWriter`, which is drained after each chunk, or an object whose `write` is awaited."""

    def write(self, data: bytes, /) -> Awaitable[object] | None:
        """Takes bytes."""
        ...


async def seal_file(
    client: AsyncKmsClient,
    tenant: str,
    source: str | Path,
    target: str | Path,
    context: Mapping[str, str] | None = None,
) -> None:
    """Seals a file as `fluo_kms.files.seal_file` does. If it is cancelled, `target` stays as it was."""
    refuse_sync(client, "fluo_kms.files.seal_file")
    key, blob = await _new_key(client, tenant, context)

    def work(check: Callable[[], None]) -> None:
        with Path(source).open("rb") as plaintext, replacing(Path(target)) as sealed:
            seal_with_key(key, blob, _checked(plaintext, check), sealed)
            check()

    try:
        await _in_thread(work)
    finally:
        overwrite(key)


async def open_file(
    client: AsyncKmsClient,
    tenant: str,
    source: str | Path,
    target: str | Path,
    context: Mapping[str, str] | None = None,
) -> None:
    """Opens a file as `fluo_kms.files.open_file` does. If it is cancelled, `target` stays as it was."""
    refuse_sync(client, "fluo_kms.files.open_file")
    with await asyncio.to_thread(Path(source).open, "rb") as sealed:
        head = await asyncio.to_thread(read_head, sealed)
        opener = await _opener(client, tenant, head, context)

        def work(check: Callable[[], None]) -> None:
            with replacing(Path(target)) as plaintext:
                open_rest(opener, _checked(sealed, check), plaintext)
                check()

        await _in_thread(work)


async def seal_stream(
    client: AsyncKmsClient,
    tenant: str,
    source: AsyncSource,
    target: AsyncTarget,
    context: Mapping[str, str] | None = None,
) -> None:
    """Seals a stream as `fluo_kms.files.seal_stream` does. If it is cancelled, nobody can open what was written."""
    refuse_sync(client, "fluo_kms.files.seal_stream")
    key, blob = await _new_key(client, tenant, context)
    try:
        sealer = Sealer(key, blob)
    finally:
        overwrite(key)
    await _write(target, sealer.head)
    while chunk := await source.read(CHUNK_BYTES):
        await _write(target, sealer.update(chunk))
    await _write(target, sealer.finalize())


async def open_stream(
    client: AsyncKmsClient,
    tenant: str,
    source: AsyncSource,
    target: AsyncTarget,
    context: Mapping[str, str] | None = None,
) -> None:
    """Opens a stream as `fluo_kms.files.open_stream` does: what `target` got is void until this returns."""
    refuse_sync(client, "fluo_kms.files.open_stream")
    head = Head()
    while (wanted := head.wanted()) > 0:
        head.add(await source.read(wanted))
    opener = await _opener(client, tenant, head, context)
    while chunk := await source.read(SEALED_CHUNK_BYTES):
        await _write(target, opener.update(chunk))
    await _write(target, opener.finalize())


async def seal_bytes(
    client: AsyncKmsClient, tenant: str, data: bytes | bytearray | memoryview, context: Mapping[str, str] | None = None
) -> bytes:
    """Returns the sealed form of bytes, as `fluo_kms.files.seal_bytes` does."""
    refuse_sync(client, "fluo_kms.files.seal_bytes")
    sealed = _Memory()
    await seal_stream(client, tenant, _Memory(data), sealed, context)
    return bytes(sealed.data)


async def open_bytes(
    client: AsyncKmsClient,
    tenant: str,
    sealed: bytes | bytearray | memoryview,
    context: Mapping[str, str] | None = None,
) -> bytes:
    """Returns all that was sealed, or raises, as `fluo_kms.files.open_bytes` does."""
    refuse_sync(client, "fluo_kms.files.open_bytes")
    opened = _Memory()
    await open_stream(client, tenant, _Memory(sealed), opened, context)
    return bytes(opened.data)


class _Memory:
    """A source and a target in memory. It gives way to the event loop with each chunk."""

    def __init__(self, data: bytes | bytearray | memoryview = b"") -> None:
        self.data = bytearray()
        self._left = memoryview(data).cast("B")

    async def read(self, length: int, /) -> bytes:
        await asyncio.sleep(0)
        chunk, self._left = bytes(self._left[:length]), self._left[length:]
        return chunk

    def write(self, data: bytes, /) -> None:
        self.data += data


async def _write(target: AsyncTarget, data: bytes) -> None:
    if not data:
        return
    writing = target.write(data)
    if inspect.isawaitable(writing):
        await writing
    drain: Any = getattr(target, "drain", None)
    if drain is not None:
        await drain()


async def _new_key(client: AsyncKmsClient, tenant: str, context: Mapping[str, str] | None) -> tuple[bytearray, bytes]:
    """A new data key and its blob."""
    request = GenerateDataKeyRequest(tenant_id=tenant, encryption_context=dict(context or {}))
    answer = await client.service.GenerateDataKey(request)
    key = bytearray(answer.plaintext)
    answer.ClearField("plaintext")
    return key, answer.ciphertext_blob


async def _opener(client: AsyncKmsClient, tenant: str, head: Head, context: Mapping[str, str] | None) -> Opener:
    request = DecryptDataKeyRequest(tenant_id=tenant, ciphertext_blob=head.blob, encryption_context=dict(context or {}))
    try:
        answer = await client.service.DecryptDataKey(request)
    except grpc.aio.AioRpcError as error:
        if is_rejected(error):
            raise NotAuthentic from None
        raise
    key = bytearray(answer.plaintext)
    answer.ClearField("plaintext")
    if len(key) != DATA_KEY_BYTES:
        raise NotAuthentic
    try:
        return Opener(key, head.octets)
    finally:
        overwrite(key)


class _Abandoned(Exception):
    """Nobody waits for the work any more."""


async def _in_thread(work: Callable[[Callable[[], None]], T]) -> T:
    """Runs work on a thread. If it is cancelled, `check` raises there, and this waits until the thread is done."""
    is_cancelled = threading.Event()

    def check() -> None:
        if is_cancelled.is_set():
            raise _Abandoned

    running = asyncio.ensure_future(asyncio.to_thread(work, check))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        is_cancelled.set()
        await asyncio.wait([running])
        running.exception()  # of the work that was given up
        raise


class _Checked:
    """A file whose reading ends once `check` raises."""

    def __init__(self, file: BinaryIO, check: Callable[[], None]) -> None:
        self._file = file
        self._check = check

    def read(self, length: int = -1, /) -> bytes:
        self._check()
        return self._file.read(length)


def _checked(file: BinaryIO, check: Callable[[], None]) -> BinaryIO:
    return cast("BinaryIO", _Checked(file, check))
