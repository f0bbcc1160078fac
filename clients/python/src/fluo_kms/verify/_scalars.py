"""The types of OTLP's fields that are no messages: how each is read from the wire, and how JSON is put on it.

From the wire come values as the canonical form has them; what it leaves out, a field at its default, is falsy. JSON is
protobuf's except for trace and span ids: OTLP writes them in hex, protobuf's own printers in base64. The two have
different lengths, so both are read. Numbers may be text too; what a field cannot hold exactly is refused.
"""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fluo_kms._encoded import varint
from fluo_kms.verify._encoding import any_base64
from fluo_kms.verify._malformed import Malformed
from fluo_kms.verify._strict_json import Number, is_number, whole_number
from fluo_kms.verify._wire import FIXED32, FIXED64, LENGTH, VARINT

_HEX = re.compile("[0-9a-fA-F]*")


@dataclass(frozen=True)
class Scalar:
    """A type of field."""

    wire_type: int
    read: Callable[[Any], Any]
    """The canonical value of a varint, or of the bytes of a field of another wire type."""
    write: Callable[[Any], bytes]
    """The wire bytes of a JSON value that is not null, without tag and length. Raises Malformed."""


def _read_text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        # A replacement character would let two different spans share a canonical form.
        raise Malformed("is not valid UTF-8; encode the text as UTF-8, or send it as bytes") from None


def _write_text(value: Any) -> bytes:
    if not isinstance(value, str):
        raise Malformed("must be text")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("has half of a surrogate pair; encode the text as UTF-8") from None


def _write_octets(value: Any) -> bytes:
    octets = any_base64(value) if isinstance(value, str) else None
    if octets is None:
        raise Malformed("must be base64")
    return octets


def _id(length: int) -> Scalar:
    def read(octets: bytes) -> str:
        if octets and len(octets) != length:
            raise Malformed(f"is not {length} bytes long; give the id as its {length} bytes")
        return octets.hex() if any(octets) else ""

    def write(value: Any) -> bytes:
        if isinstance(value, str) and len(value) == 2 * length and _HEX.fullmatch(value):
            return bytes.fromhex(value)
        octets = any_base64(value) if isinstance(value, str) and len(value) != 2 * length else None
        if octets is None or len(octets) not in (0, length):
            raise Malformed(f"must be {length} bytes, in hex or base64")
        return octets

    return Scalar(LENGTH, read, write)


def _at_most(most: int, fault: str) -> Callable[[int], int]:
    def read(value: int) -> int:
        if value > most:
            raise Malformed(fault)
        return value

    return read


def _write_boolean(value: Any) -> bytes:
    if not isinstance(value, bool):
        raise Malformed("must be true or false")
    return varint(int(value))


def _read_time(octets: bytes) -> str:
    """Returns text, because a double does not hold every value."""
    value = int.from_bytes(octets, "little")
    return str(value) if value else ""


def _whole(least: int, most: int, encode: Callable[[int], bytes]) -> Callable[[Any], bytes]:
    def write(value: Any) -> bytes:
        number = whole_number(_token(value), least, most)
        if number is None:
            raise Malformed(f"must be a whole number from {least} to {most}")
        return encode(number)

    return write


def _signed_varint(value: int) -> bytes:
    return varint(value % 2**64)


def _token(value: Any) -> str:
    """The spelling of a JSON number, or a text that may be one; empty for anything else."""
    return value.token if isinstance(value, Number) else value if isinstance(value, str) else ""


def _read_double(octets: bytes) -> float | str:
    """JSON has no number for some doubles, which are text as in protobuf's JSON."""
    value: float = struct.unpack("<d", octets)[0]
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _write_double(value: Any) -> bytes:
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        return struct.pack("<d", float(value))
    token = _token(value)
    if not is_number(token) or math.isinf(float(token)):
        raise Malformed("must be a number that a double can hold, or NaN or Infinity as text")
    return struct.pack("<d", float(token))


def _enum(prefix: str, *names: str) -> Scalar:
    """In JSON by name, or by any number: what numbers there are is for the wire, where a fault is of one span."""
    numbers = {prefix + name: number for number, name in enumerate(names)}
    write_number = _whole(-(2**31), 2**31 - 1, _signed_varint)

    def write(value: Any) -> bytes:
        if not isinstance(value, str):
            return write_number(value)
        if value not in numbers:
            raise Malformed("is not one of the enum's names")
        return varint(numbers[value])

    return Scalar(VARINT, _at_most(len(names) - 1, f"is not one of the enum's numbers, 0 to {len(names) - 1}"), write)


_read_bit = _at_most(1, "a bool is 0 or 1 on the wire")

TEXT = Scalar(LENGTH, _read_text, _write_text)
BYTES = Scalar(LENGTH, lambda octets: base64.b64encode(octets).decode("ascii"), _write_octets)
RAW = Scalar(LENGTH, bytes, _write_octets)
TRACE_ID = _id(16)
SPAN_ID = _id(8)
BOOL = Scalar(VARINT, lambda value: bool(_read_bit(value)), _write_boolean)
INT64 = Scalar(
    VARINT,
    lambda value: str(value - 2**64 if value >= 2**63 else value),
    _whole(-(2**63), 2**63 - 1, _signed_varint),
)
UINT32 = Scalar(VARINT, _at_most(2**32 - 1, "does not fit into 32 bits"), _whole(0, 2**32 - 1, varint))
FLAGS = Scalar(FIXED32, bytes, _whole(0, 2**32 - 1, lambda value: value.to_bytes(4, "little")))
TIME = Scalar(FIXED64, _read_time, _whole(0, 2**64 - 1, lambda value: value.to_bytes(8, "little")))
DOUBLE = Scalar(FIXED64, _read_double, _write_double)
SPAN_KIND = _enum("SPAN_KIND_", "UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUS_CODE = _enum("STATUS_CODE_", "UNSET", "OK", "ERROR")
