"""Sealing and opening from one stream to another with a key that is known."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO

from fluo_kms._sealing import CHUNK_BYTES, SEALED_CHUNK_BYTES, Head, Opener, Sealer, overwrite


def seal_with_key(data_key: bytes | bytearray, ciphertext_blob: bytes, source: BinaryIO, target: BinaryIO) -> None:
    """Seals with a data key of 32 bytes and its `ciphertext_blob` of 1 to 1,024 bytes, without a service."""
    sealer = Sealer(data_key, ciphertext_blob)
    _write(target, sealer.head)
    for chunk in _chunks(source, CHUNK_BYTES):
        _write(target, sealer.update(chunk))
    _write(target, sealer.finalize())


def open_with_key(data_key_of: Callable[[bytes], bytes | bytearray], source: BinaryIO, target: BinaryIO) -> None:
    """Opens as `open_stream` does, with the data key that `data_key_of` gives for a `ciphertext_blob`."""
    head = read_head(source)
    data_key = bytearray(data_key_of(head.blob))
    try:
        open_rest(Opener(data_key, head.octets), source, target)
    finally:
        overwrite(data_key)


def read_head(source: BinaryIO) -> Head:
    """Reads all that is before the ciphertext. Raises NotAuthentic."""
    head = Head()
    while (wanted := head.wanted()) > 0:
        head.add(_read(source, wanted))
    return head


def open_rest(opener: Opener, source: BinaryIO, target: BinaryIO) -> None:
    """Opens what is behind the head."""
    for chunk in _chunks(source, SEALED_CHUNK_BYTES):
        _write(target, opener.update(chunk))
    _write(target, opener.finalize())


def _chunks(source: BinaryIO, length: int) -> Iterator[bytes]:
    while chunk := _read(source, length):
        yield chunk


def _read(source: BinaryIO, length: int) -> bytes:
    data: bytes | None = source.read(length)
    if data is None:
        # It would else count as the end.
        raise BlockingIOError("the source does not block, and has no data now")
    return data


def _write(target: BinaryIO, data: bytes) -> None:
    if not isinstance(target, io.RawIOBase):
        target.write(data)
        return
    left = memoryview(data)
    while left:
        written: int | None = target.write(left)
        if written is None:
            raise BlockingIOError("the target does not block, and takes no data now")
        left = left[written:]
