"""OTLP JSON to protobuf bytes, so that one reader judges both.

It is protobuf's JSON but for trace and span ids: OTLP writes them in hex, protobuf's own printers in base64. The two
have different lengths, so both are read, also in one file. As protobuf's parsers do, it takes names in camelCase and as
in the proto, null for a default, numbers as text too, and either alphabet of base64, padded or not. It refuses unknown
members, one field by both its names, two members of one value, and a number that its field cannot hold exactly.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fluo_kms.encoded import varint
from fluo_kms.verify._encoding import any_base64
from fluo_kms.verify._malformed import Malformed
from fluo_kms.verify._strict_json import Number, is_number, whole_number

# Messages inside one another, as many as protobuf's own JSON readers allow.
_MAX_DEPTH = 100
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUS_CODES = ("UNSET", "OK", "ERROR")

_HEX = re.compile("[0-9a-fA-F]*")


@dataclass(frozen=True)
class _Message:
    """A message type."""

    fields: Mapping[str, _Field]
    is_oneof: bool = False


@dataclass(frozen=True)
class _Field:
    number: int
    wire_type: int
    write: Callable[[Any], bytes]
    """The value on the wire, without its tag; empty for a default."""
    repeated: bool = False
    message: str | None = None
    """Name of its message type in _MESSAGES; `write` is then not used."""


def resource_spans_bytes(value: Any) -> bytes:
    """One ResourceSpans on the wire. Raises Malformed."""
    return _encode("resource_spans", value, 2)


def _encode(name: str, value: Any, depth: int) -> bytes:
    message = _MESSAGES[name]
    if depth > _MAX_DEPTH:
        raise Malformed("is nested too deeply")
    if not isinstance(value, dict):
        raise Malformed("must be an object")
    parts: list[bytes] = []
    seen: set[int] = set()
    has_member = False
    for member, item in value.items():
        field = message.fields.get(member)
        if field is None:
            raise Malformed("has a member that OTLP does not know and that could not be signed; leave it out")
        if field.number in seen:
            raise Malformed("is there twice, by both its names; send it once", _proto_name(member))
        seen.add(field.number)
        # Null for text or a number is no member at all; null for a list or a map is one, though not a value.
        if message.is_oneof and not (item is None and field.message is None):
            if has_member:
                raise Malformed("the value has a second member; it is one of them")
            has_member = True
        if item is None:
            continue
        try:
            parts.append(_encode_field(field, item, depth, keeps_default=message.is_oneof))
        except Malformed as fault:
            raise fault.within(_proto_name(member)) from None
    return b"".join(parts)


def _encode_field(field: _Field, value: Any, depth: int, keeps_default: bool) -> bytes:
    if not field.repeated:
        return _tagged(field, _encode_value(field, value, depth), keeps_default or field.message is not None)
    if not isinstance(value, list):
        raise Malformed("must be a list")
    return b"".join(_tagged(field, _encode_value(field, item, depth), True) for item in value)


def _encode_value(field: _Field, value: Any, depth: int) -> bytes:
    if value is None:
        raise Malformed("an item of a list must not be null")
    if field.message is not None:
        return _encode(field.message, value, depth + 1)
    return field.write(value)


def _tagged(field: _Field, data: bytes, keeps_default: bool) -> bytes:
    is_default = not data if field.wire_type == _LENGTH else not any(data)
    if is_default and not keeps_default:
        return b""
    length = varint(len(data)) if field.wire_type == _LENGTH else b""
    return varint(field.number << 3 | field.wire_type) + length + data


def _text(value: Any) -> bytes:
    if not isinstance(value, str):
        raise Malformed("must be text")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed("has half of a surrogate pair; encode the text as UTF-8") from None


def _boolean(value: Any) -> bytes:
    if not isinstance(value, bool):
        raise Malformed("must be true or false")
    return varint(int(value))


def _integer(value: Any, least: int, most: int) -> int:
    number = whole_number(_token(value), least, most)
    if number is None:
        raise Malformed(f"must be a whole number from {least} to {most}")
    return number


def _token(value: Any) -> str:
    """The spelling of a JSON number, or a text that may be one; empty for anything else."""
    return value.token if isinstance(value, Number) else value if isinstance(value, str) else ""


def _int64(value: Any) -> bytes:
    return varint(_integer(value, -(2**63), 2**63 - 1) % 2**64)


def _uint32(value: Any) -> bytes:
    return varint(_integer(value, 0, 2**32 - 1))


def _fixed32(value: Any) -> bytes:
    return struct.pack("<I", _integer(value, 0, 2**32 - 1))


def _fixed64(value: Any) -> bytes:
    return struct.pack("<Q", _integer(value, 0, 2**64 - 1))


def _double(value: Any) -> bytes:
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        return struct.pack("<d", float(value))
    token = _token(value)
    if not is_number(token) or math.isinf(float(token)):
        raise Malformed("must be a number that a double can hold, or NaN or Infinity as text")
    return struct.pack("<d", float(token))


def _octets(value: Any) -> bytes:
    data = any_base64(value) if isinstance(value, str) else None
    if data is None:
        raise Malformed("must be base64")
    return data


def _id(length: int) -> Callable[[Any], bytes]:
    def write(value: Any) -> bytes:
        data = _id_bytes(value, length) if isinstance(value, str) else None
        if data is None or len(data) not in (0, length):
            raise Malformed(f"must be {length} bytes, in hex or base64")
        return data

    return write


def _id_bytes(text: str, length: int) -> bytes | None:
    if len(text) == 2 * length:
        return bytes.fromhex(text) if _HEX.fullmatch(text) else None
    return any_base64(text)


def _enum(prefix: str, names: tuple[str, ...]) -> Callable[[Any], bytes]:
    """By name, or by any number: what numbers there are is for the reader of the wire."""
    numbers = {prefix + name: number for number, name in enumerate(names)}

    def write(value: Any) -> bytes:
        number = numbers.get(value) if isinstance(value, str) else _integer(value, -(2**31), 2**31 - 1)
        if number is None:
            raise Malformed("is not one of the enum's names")
        return varint(number % 2**64)

    return write


def _proto_name(member: str) -> str:
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), member)


def _message(fields: dict[str, _Field], is_oneof: bool = False) -> _Message:
    """Readers by the fields' names in the proto, under which and in camelCase they are read."""
    camel_case = {re.sub("_([a-z])", lambda each: each[1].upper(), name): field for name, field in fields.items()}
    return _Message({**fields, **camel_case}, is_oneof)


def _of(number: int, message: str, repeated: bool = False) -> _Field:
    return _Field(number, _LENGTH, _text, repeated, message)


_MESSAGES: dict[str, _Message] = {
    "resource_spans": _message(
        {
            "resource": _of(1, "resource"),
            "scope_spans": _of(2, "scope_spans", repeated=True),
            "schema_url": _Field(3, _LENGTH, _text),
        }
    ),
    "scope_spans": _message(
        {
            "scope": _of(1, "scope"),
            "spans": _of(2, "span", repeated=True),
            "schema_url": _Field(3, _LENGTH, _text),
        }
    ),
    "resource": _message(
        {
            "attributes": _of(1, "key_value", repeated=True),
            "dropped_attributes_count": _Field(2, _VARINT, _uint32),
            "entity_refs": _of(3, "entity_ref", repeated=True),
        }
    ),
    "entity_ref": _message(
        {
            "schema_url": _Field(1, _LENGTH, _text),
            "type": _Field(2, _LENGTH, _text),
            "id_keys": _Field(3, _LENGTH, _text, repeated=True),
            "description_keys": _Field(4, _LENGTH, _text, repeated=True),
        }
    ),
    "scope": _message(
        {
            "name": _Field(1, _LENGTH, _text),
            "version": _Field(2, _LENGTH, _text),
            "attributes": _of(3, "key_value", repeated=True),
            "dropped_attributes_count": _Field(4, _VARINT, _uint32),
        }
    ),
    "span": _message(
        {
            "trace_id": _Field(1, _LENGTH, _id(16)),
            "span_id": _Field(2, _LENGTH, _id(8)),
            "trace_state": _Field(3, _LENGTH, _text),
            "parent_span_id": _Field(4, _LENGTH, _id(8)),
            "name": _Field(5, _LENGTH, _text),
            "kind": _Field(6, _VARINT, _enum("SPAN_KIND_", _KINDS)),
            "start_time_unix_nano": _Field(7, _FIXED64, _fixed64),
            "end_time_unix_nano": _Field(8, _FIXED64, _fixed64),
            "attributes": _of(9, "key_value", repeated=True),
            "dropped_attributes_count": _Field(10, _VARINT, _uint32),
            "events": _of(11, "event", repeated=True),
            "dropped_events_count": _Field(12, _VARINT, _uint32),
            "links": _of(13, "link", repeated=True),
            "dropped_links_count": _Field(14, _VARINT, _uint32),
            "status": _of(15, "status"),
            "flags": _Field(16, _FIXED32, _fixed32),
        }
    ),
    "event": _message(
        {
            "time_unix_nano": _Field(1, _FIXED64, _fixed64),
            "name": _Field(2, _LENGTH, _text),
            "attributes": _of(3, "key_value", repeated=True),
            "dropped_attributes_count": _Field(4, _VARINT, _uint32),
        }
    ),
    "link": _message(
        {
            "trace_id": _Field(1, _LENGTH, _id(16)),
            "span_id": _Field(2, _LENGTH, _id(8)),
            "trace_state": _Field(3, _LENGTH, _text),
            "attributes": _of(4, "key_value", repeated=True),
            "dropped_attributes_count": _Field(5, _VARINT, _uint32),
            "flags": _Field(6, _FIXED32, _fixed32),
        }
    ),
    "status": _message(
        {"message": _Field(2, _LENGTH, _text), "code": _Field(3, _VARINT, _enum("STATUS_CODE_", _STATUS_CODES))}
    ),
    "key_value": _message({"key": _Field(1, _LENGTH, _text), "value": _of(2, "any_value")}),
    "any_value": _message(
        {
            "string_value": _Field(1, _LENGTH, _text),
            "bool_value": _Field(2, _VARINT, _boolean),
            "int_value": _Field(3, _VARINT, _int64),
            "double_value": _Field(4, _FIXED64, _double),
            "array_value": _of(5, "array_value"),
            "kvlist_value": _of(6, "key_value_list"),
            "bytes_value": _Field(7, _LENGTH, _octets),
        },
        is_oneof=True,
    ),
    "array_value": _message({"values": _of(1, "any_value", repeated=True)}),
    "key_value_list": _message({"values": _of(1, "key_value", repeated=True)}),
}
