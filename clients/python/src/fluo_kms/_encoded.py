"""Messages as they are given, wire bytes or a message of any protobuf runtime; and the integers of the wire."""

from __future__ import annotations

from typing import Protocol


class ProtobufMessage(Protocol):
    """A message of any protobuf runtime."""

    def SerializeToString(self) -> bytes:  # noqa: N802
        """Returns the message's wire bytes, unknown fields among them."""
        ...


Encoded = bytes | bytearray | memoryview | ProtobufMessage
"""A message: its wire bytes, or a protobuf message, which is serialised first."""


def wire_bytes(message: Encoded) -> bytes:
    """Returns the wire bytes of a message."""
    return bytes(message) if isinstance(message, (bytes, bytearray, memoryview)) else message.SerializeToString()


def varint(value: int) -> bytes:
    """Returns an integer that is not negative as protobuf writes it, seven bits a byte."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
