"""Protobuf's wire format, strict where parsers differ.

A tag or a length has at most five bytes, a varint at most 64 bits. Non-minimal varints are read: they change no value.
Each function returns what it read and where the next field begins.
"""

from __future__ import annotations

from fluo_kms.verify._malformed import Malformed

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_GROUPS = (3, 4)
_FIXED_BYTES = {FIXED64: 8, FIXED32: 4}

_MAX_SHORT_VARINT_BYTES = 5
_MAX_VARINT_BYTES = 10
_MAX_UINT32 = 2**32 - 1
_MAX_UINT64 = 2**64 - 1


def read_tag(data: bytes, at: int) -> tuple[int, int]:
    """Reads field number << 3 | wire type."""
    tag, at = _short_varint(data, at, "a field's tag is longer than 32 bits; encode the message again")
    if tag < 8:
        raise Malformed("field number 0 does not exist; encode the message again")
    if tag & 7 in _GROUPS:
        raise Malformed("groups are not part of OTLP; leave them out")
    return tag, at


def read_bytes(data: bytes, at: int, wire_type: int) -> tuple[bytes, int]:
    """Reads a field of a fixed length, or one that begins with its length."""
    length = _FIXED_BYTES.get(wire_type)
    if length is None:
        length, at = _short_varint(data, at, "a length is longer than 32 bits; encode the message again")
    if length > len(data) - at:
        raise _truncated()
    return data[at : at + length], at + length


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 7 * _MAX_VARINT_BYTES, 7):
        if at >= len(data):
            raise _truncated()
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 and value <= _MAX_UINT64:
            return value, at
    raise Malformed("a varint is longer than 64 bits")


def _short_varint(data: bytes, at: int, too_long: str) -> tuple[int, int]:
    value, end = read_varint(data, at)
    if value > _MAX_UINT32 or end - at > _MAX_SHORT_VARINT_BYTES:
        raise Malformed(too_long)
    return value, end


def _truncated() -> Malformed:
    return Malformed("ends before its length says; send the whole message")
