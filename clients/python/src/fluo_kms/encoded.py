"""Messages as they are given: wire bytes, or a message of any protobuf runtime."""

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
