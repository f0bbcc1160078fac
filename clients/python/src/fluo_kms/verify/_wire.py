"""A cursor over protobuf wire bytes, strict where parsers differ.

A tag or a length has at most five bytes, a varint fits its type, a bool is 0 or 1. Non-minimal varints are read: they
change no value. Every read stays below `end`, the end of the cursor's message.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fluo_kms.verify._malformed import Malformed

_MAX_SHORT_VARINT_BYTES = 5
_MAX_VARINT_BYTES = 10
_MAX_UINT32 = 0xFFFF_FFFF
_MAX_UINT64 = 0xFFFF_FFFF_FFFF_FFFF


class Cursor:
    """Stands in a message that lies from `at` to `end` in `data`."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    def tag(self) -> int:
        """Reads field number << 3 | wire type."""
        tag = self._short_varint("a field's tag is longer than 32 bits; encode the message again")
        if tag < 8:
            raise Malformed("field number 0 does not exist; encode the message again")
        return tag

    def message(self) -> Cursor:
        """Reads the length of a field and returns a cursor at its first byte; this one goes behind the field."""
        length = self._short_varint("a length is longer than 32 bits; encode the message again")
        start = self._skip(length)
        return Cursor(self.data, start, self.at)

    def uint32(self) -> int:
        value = self._varint()
        if value > _MAX_UINT32:
            raise Malformed("does not fit into 32 bits")
        return value

    def enum(self, last: int) -> int:
        """Reads an enum of the values 0 to `last`."""
        value = self._varint()
        if value > last:
            raise Malformed(f"is not one of the enum's numbers, 0 to {last}")
        return value

    def boolean(self) -> bool:
        value = self._varint()
        if value > 1:
            raise Malformed("a bool is 0 or 1 on the wire")
        return value == 1

    def int64(self) -> int:
        value = self._varint()
        return value - (1 << 64) if value >= 1 << 63 else value

    def fixed64(self) -> int:
        return int.from_bytes(self._fixed(8), "little")

    def fixed32(self) -> int:
        return int.from_bytes(self._fixed(4), "little")

    def double(self) -> float:
        value: float = struct.unpack("<d", self._fixed(8))[0]
        return value

    def octets(self) -> bytes:
        """Reads the bytes of a length-delimited field."""
        field = self.message()
        return self.data[field.at : field.end]

    def text(self) -> str:
        """Reads a string. A replacement character would let two different spans share a canonical form."""
        try:
            return self.octets().decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("is not valid UTF-8; encode the text as UTF-8, or send it as bytes") from None

    def _fixed(self, length: int) -> bytes:
        start = self._skip(length)
        return self.data[start : self.at]

    def _skip(self, length: int) -> int:
        start = self.at
        if length > self.end - start:
            raise _truncated()
        self.at = start + length
        return start

    def _short_varint(self, too_long: str) -> int:
        start = self.at
        value = self._varint()
        if value > _MAX_UINT32 or self.at - start > _MAX_SHORT_VARINT_BYTES:
            raise Malformed(too_long)
        return value

    def _varint(self) -> int:
        data, at, end = self.data, self.at, self.end
        value = 0
        for shift in range(0, 7 * _MAX_VARINT_BYTES, 7):
            if at >= end:
                raise _truncated()
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value > _MAX_UINT64:
                    break
                self.at = at
                return value
        raise Malformed("a varint is longer than 64 bits")


@dataclass(frozen=True)
class Field:
    """A field of a message, by its tag."""

    name: str
    """The name in the proto."""
    read: Callable[[Cursor], Any]
    """Reads the value. The cursor stands behind the tag."""
    repeated: bool = False


def read_fields(cursor: Cursor, fields: Mapping[int, Field]) -> dict[str, Any]:
    """Reads a whole message into its fields by their names, repeated ones as lists. Refuses all that `fields` lacks."""
    found: dict[str, Any] = {}
    while cursor.at < cursor.end:
        field = None
        try:
            tag = cursor.tag()
            field = fields.get(tag)
            if field is None:
                raise _unexpected(tag, fields)
            if field.repeated:
                found.setdefault(field.name, []).append(field.read(cursor))
            elif field.name in found:
                raise Malformed("is there twice, and parsers differ on which counts; send it once")
            else:
                found[field.name] = field.read(cursor)
        except Malformed as fault:
            if field is None:
                raise
            index = f"[{len(found.get(field.name, []))}]" if field.repeated else ""
            raise fault.within(field.name + index) from None
    return found


def _unexpected(tag: int, fields: Mapping[int, Field]) -> Malformed:
    number, wire_type = tag >> 3, tag & 7
    if wire_type in (3, 4):
        return Malformed("groups are not part of OTLP; leave them out")
    name = next((field.name for known, field in fields.items() if known >> 3 == number), None)
    if name is not None:
        return Malformed(f"wire type {wire_type} is not the field's own; encode it as the proto says", name)
    return Malformed(f"field number {number} is unknown and could not be signed; leave it out")


def _truncated() -> Malformed:
    return Malformed("ends before its length says; send the whole message")
