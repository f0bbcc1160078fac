"""OTLP's messages by one table: read from the wire, and put on it from JSON, so that one reader judges both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from fluo_kms._encoded import varint
from fluo_kms.verify import _scalars as of
from fluo_kms.verify._malformed import Malformed
from fluo_kms.verify._scalars import Scalar
from fluo_kms.verify._wire import LENGTH, VARINT, read_bytes, read_tag, read_varint

# Messages inside one another, as many as protobuf's own JSON readers allow.
_MAX_DEPTH = 100


@dataclass(frozen=True)
class Field:
    """A field of a message."""

    number: int
    of: Scalar | str
    """Its type, or the name of its message."""
    repeated: bool = False
    is_signed: bool = True
    """Whether the signature covers it. What it does not cover must be well-formed, too."""

    @cached_property
    def tag(self) -> int:
        """Field number << 3 | wire type."""
        return self.number << 3 | (LENGTH if isinstance(self.of, str) else self.of.wire_type)

    @cached_property
    def head(self) -> bytes:
        """The tag as it is on the wire."""
        return varint(self.tag)


MESSAGES: dict[str, dict[str, Field]] = {
    "TracesData": {"resource_spans": Field(1, "ResourceSpans", repeated=True)},
    "ResourceSpans": {
        "resource": Field(1, "Resource"),
        "scope_spans": Field(2, "ScopeSpans", repeated=True),
        "schema_url": Field(3, of.TEXT),
    },
    "ScopeSpans": {
        "scope": Field(1, "InstrumentationScope"),
        "spans": Field(2, "Span", repeated=True),
        "schema_url": Field(3, of.TEXT),
    },
    "Resource": {
        "attributes": Field(1, "KeyValue", repeated=True),
        "dropped_attributes_count": Field(2, of.UINT32, is_signed=False),
        "entity_refs": Field(3, "EntityRef", repeated=True, is_signed=False),
    },
    "EntityRef": {
        "schema_url": Field(1, of.TEXT),
        "type": Field(2, of.TEXT),
        "id_keys": Field(3, of.TEXT, repeated=True),
        "description_keys": Field(4, of.TEXT, repeated=True),
    },
    "InstrumentationScope": {
        "name": Field(1, of.TEXT),
        "version": Field(2, of.TEXT),
        "attributes": Field(3, "KeyValue", repeated=True),
        "dropped_attributes_count": Field(4, of.UINT32, is_signed=False),
    },
    "Span": {
        "trace_id": Field(1, of.TRACE_ID),
        "span_id": Field(2, of.SPAN_ID),
        "trace_state": Field(3, of.TEXT),
        "parent_span_id": Field(4, of.SPAN_ID),
        "name": Field(5, of.TEXT),
        "kind": Field(6, of.SPAN_KIND),
        "start_time_unix_nano": Field(7, of.TIME),
        "end_time_unix_nano": Field(8, of.TIME),
        "attributes": Field(9, "KeyValue", repeated=True),
        "dropped_attributes_count": Field(10, of.UINT32),
        "events": Field(11, "Event", repeated=True),
        "dropped_events_count": Field(12, of.UINT32),
        "links": Field(13, "Link", repeated=True),
        "dropped_links_count": Field(14, of.UINT32),
        "status": Field(15, "Status"),
        "flags": Field(16, of.FLAGS, is_signed=False),
    },
    "Event": {
        "time_unix_nano": Field(1, of.TIME),
        "name": Field(2, of.TEXT),
        "attributes": Field(3, "KeyValue", repeated=True),
        "dropped_attributes_count": Field(4, of.UINT32),
    },
    "Link": {
        "trace_id": Field(1, of.TRACE_ID),
        "span_id": Field(2, of.SPAN_ID),
        "trace_state": Field(3, of.TEXT),
        "attributes": Field(4, "KeyValue", repeated=True),
        "dropped_attributes_count": Field(5, of.UINT32),
        "flags": Field(6, of.FLAGS, is_signed=False),
    },
    "Status": {"message": Field(2, of.TEXT), "code": Field(3, of.STATUS_CODE)},
    "KeyValue": {"key": Field(1, of.TEXT), "value": Field(2, "AnyValue")},
    "AnyValue": {
        "string_value": Field(1, of.TEXT),
        "bool_value": Field(2, of.BOOL),
        "int_value": Field(3, of.INT64),
        "double_value": Field(4, of.DOUBLE),
        "array_value": Field(5, "ArrayValue"),
        "kvlist_value": Field(6, "KeyValueList"),
        "bytes_value": Field(7, of.BYTES),
    },
    "ArrayValue": {"values": Field(1, "AnyValue", repeated=True)},
    "KeyValueList": {"values": Field(1, "KeyValue", repeated=True)},
    "VerifySpanRequest": {
        "tenant_id": Field(1, of.TEXT),
        "span": Field(2, "Span"),
        "resource": Field(3, "Resource"),
        "scope": Field(4, "InstrumentationScope"),
        "signed_statement": Field(5, "SignedStatement"),
        "log_proof": Field(6, "LogProof"),
    },
    "SignedStatement": {"statement": Field(1, of.RAW), "signature": Field(2, of.RAW)},
    "LogProof": {"statement": Field(1, of.RAW), "proof": Field(2, of.TEXT)},
}
"""The messages of OTLP, and those of a request, with the names that they and their fields have in the protos."""


@cache
def json_name(name: str) -> str:
    """Returns a field's name in camelCase."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


_BY_TAG = {
    message: {field.tag: (name, field) for name, field in fields.items()} for message, fields in MESSAGES.items()
}
_BY_NAME = {
    message: {spelled: (name, field) for name, field in fields.items() for spelled in (name, json_name(name))}
    for message, fields in MESSAGES.items()
}


def read_fields(message: str, data: bytes, read_message: Callable[[str, bytes], Any]) -> dict[str, Any]:
    """Reads a message of the wire into its fields by their names, repeated ones as lists. Refuses all others.

    `read_message` makes what stands for a message inside of it from the message's name and bytes.
    """
    known = _BY_TAG[message]
    found: dict[str, Any] = {}
    at = 0
    while at < len(data):
        tag, at = read_tag(data, at)
        if tag not in known:
            raise _unexpected(message, tag)
        name, field = known[tag]
        try:
            value: Any
            value, at = read_varint(data, at) if tag & 7 == VARINT else read_bytes(data, at, tag & 7)
            value = read_message(field.of, value) if isinstance(field.of, str) else field.of.read(value)
            if field.repeated:
                found.setdefault(name, []).append(value)
            elif name in found:
                raise Malformed("is there twice, and parsers differ on which counts; send it once")
            else:
                found[name] = value
        except Malformed as fault:
            raise fault.within(f"{name}[{len(found.get(name, []))}]" if field.repeated else name) from None
    return found


def _unexpected(message: str, tag: int) -> Malformed:
    name = next((name for name, field in MESSAGES[message].items() if field.number == tag >> 3), None)
    if name is not None:
        return Malformed(f"wire type {tag & 7} is not the field's own; encode it as the proto says", name)
    return Malformed(f"field number {tag >> 3} is unknown and could not be signed; leave it out")


def wire_of_json(message: str, value: Any, depth: int = 2) -> bytes:
    """The wire bytes of a message in JSON, by names in camelCase or as in the proto, null for a default.

    A ResourceSpans is at depth 2, inside of its export.
    """
    if depth > _MAX_DEPTH:
        raise Malformed("is nested too deeply")
    if not isinstance(value, dict):
        raise Malformed("must be an object")
    written: dict[str, bytes] = {}
    for member, item in value.items():
        if member not in _BY_NAME[message]:
            raise Malformed("has a member that OTLP does not know and that could not be signed; leave it out")
        name, field = _BY_NAME[message][member]
        if name in written:
            raise Malformed("is there twice, by both its names; send it once", name)
        try:
            written[name] = _field_of_json(field, item, depth)
        except Malformed as fault:
            raise fault.within(name) from None
    if message == "AnyValue":
        # Null for text or a number is no member at all; null for a list or a map is one, though not a value.
        members = [name for name in written if written[name] or isinstance(MESSAGES[message][name].of, str)]
        if len(members) > 1:
            raise Malformed("the value has a second member; it is one of them")
    return b"".join(written.values())


def _field_of_json(field: Field, value: Any, depth: int) -> bytes:
    """With the field's tag; empty for null."""
    if value is None:
        return b""
    if field.repeated and not isinstance(value, list):
        raise Malformed("must be a list")
    parts = []
    for item in value if field.repeated else [value]:
        if item is None:
            raise Malformed("an item of a list must not be null")
        data = wire_of_json(field.of, item, depth + 1) if isinstance(field.of, str) else field.of.write(item)
        length = varint(len(data)) if field.tag & 7 == LENGTH else b""
        parts += [field.head, length, data]
    return b"".join(parts)
