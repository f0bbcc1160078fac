"""OTLP's messages, read from the wire into the object trees of the canonical form.

Fields at their default are left out, and so is what the signature does not cover. An attribute counts even if its value
is empty, 0 or false: elements of lists and values are never left out, and a value without a member is null.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from fluo_kms.verify._integrity import Integrity
from fluo_kms.verify._malformed import Malformed
from fluo_kms.verify._wire import Cursor, Field, read_fields

MAX_ATTRIBUTES = 128
"""Most attributes of a list, the five of the signature not counted."""
MAX_LEVELS = 32
"""An attribute's own value is at level 1, what it holds at level 2."""

_TRACE_ID_BYTES = 16
_SPAN_ID_BYTES = 8
_LAST_KIND = 5
_LAST_STATUS_CODE = 2

Tree = dict[str, Any]
Attribute = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class SpanPart:
    """A span as it is signed, without its resource and scope."""

    tree: Tree
    trace_id: str
    """32 lower-case hex digits."""
    span_id: str
    """16 lower-case hex digits."""
    integrity: Integrity


def read_span(cursor: Cursor) -> SpanPart:
    """Reads a Span. Throws Malformed for what could be read in two ways, and for what is not covered and unknown."""
    found = read_fields(cursor, _SPAN)
    integrity = Integrity()
    attributes = _take_integrity(found.pop("attributes", []), integrity)
    for name, length in (("trace_id", _TRACE_ID_BYTES), ("span_id", _SPAN_ID_BYTES)):
        if found.get(name) is None:
            raise Malformed(f"is missing or all zero; give the {length} bytes of the id", name)
    found.pop("flags", None)
    return SpanPart(_tree(found, attributes), found["trace_id"], found["span_id"], integrity)


def read_resource(cursor: Cursor) -> Tree:
    """Reads a Resource; an empty tree if nothing of it is covered."""
    found = read_fields(cursor, _RESOURCE)
    return _tree({}, found.get("attributes", []))


def read_scope(cursor: Cursor) -> Tree:
    """Reads an InstrumentationScope likewise."""
    found = read_fields(cursor, _SCOPE)
    found.pop("dropped_attributes_count", None)
    return _tree(found, found.pop("attributes", []))


def _tree(found: Mapping[str, Any], attributes: list[Attribute]) -> Tree:
    """The object of a message: JSON names, without the fields at their default."""
    tree = {_json_name(name): value for name, value in found.items() if value is not None}
    if attributes:
        tree["attributes"] = _members(attributes, "attributes")
    return tree


def _members(attributes: list[Attribute], of_list: str) -> Tree:
    members: Tree = {}
    for index, (key, value) in enumerate(attributes):
        if key in members:
            raise Malformed("another entry of this list has the same key; keep one", f"{of_list}[{index}].key")
        members[key] = value
    if of_list == "attributes" and len(attributes) > MAX_ATTRIBUTES:
        raise Malformed(
            f"a list has at most {MAX_ATTRIBUTES} attributes; leave some out", f"attributes[{MAX_ATTRIBUTES}]"
        )
    return members


def _take_integrity(attributes: list[Attribute], integrity: Integrity) -> list[Attribute]:
    """The other attributes, in their order."""
    others = []
    for index, (key, value) in enumerate(attributes):
        try:
            if not integrity.take(key, value):
                others.append((key, value))
        except Malformed as fault:
            raise fault.within(f"attributes[{index}]") from None
    return others


def _json_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _read_key_value(cursor: Cursor, level: int = 1) -> Attribute:
    found = read_fields(cursor.message(), _KEY_VALUE[level])
    return found.get("key", ""), found.get("value")


def _read_any_value(cursor: Cursor, level: int) -> Tree | None:
    if level > MAX_LEVELS:
        raise Malformed(f"is nested deeper than {MAX_LEVELS} levels; flatten it")
    found = read_fields(cursor.message(), _ANY_VALUE[level])
    if len(found) > 1:
        raise Malformed("the value has a second member; it is one of them")
    return {_json_name(name): value for name, value in found.items()} or None


def _read_array(cursor: Cursor, level: int) -> list[Any]:
    field = Field("values", partial(_read_any_value, level=level + 1), repeated=True)
    values: list[Any] = read_fields(cursor.message(), {10: field}).get("values", [])
    return values


def _read_map(cursor: Cursor, level: int) -> Tree:
    field = Field("values", partial(_read_key_value, level=level + 1), repeated=True)
    return _members(read_fields(cursor.message(), {10: field}).get("values", []), "values")


def _read_double(cursor: Cursor) -> float | str:
    """JSON has no number for some doubles, which are strings as in protobuf's JSON."""
    value = cursor.double()
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _read_id(length: int) -> Callable[[Cursor], str | None]:
    def read(cursor: Cursor) -> str | None:
        octets = cursor.octets()
        if octets and len(octets) != length:
            raise Malformed(f"is not {length} bytes long; give the id as its {length} bytes")
        return octets.hex() if any(octets) else None

    return read


def _read_text(cursor: Cursor) -> str | None:
    return cursor.text() or None


def _read_fixed64(cursor: Cursor) -> str | None:
    """Returns text, because a double does not hold every value."""
    value = cursor.fixed64()
    return str(value) if value else None


def _read_uint32(cursor: Cursor) -> int | None:
    return cursor.uint32() or None


def _read_enum(last: int) -> Callable[[Cursor], int | None]:
    return lambda cursor: cursor.enum(last) or None


def _read_event(cursor: Cursor) -> Tree:
    found = read_fields(cursor.message(), _EVENT)
    return _tree(found, found.pop("attributes", []))


def _read_link(cursor: Cursor) -> Tree:
    found = read_fields(cursor.message(), _LINK)
    found.pop("flags", None)
    return _tree(found, found.pop("attributes", []))


def _read_status(cursor: Cursor) -> Tree | None:
    return _tree(read_fields(cursor.message(), _STATUS), []) or None


def _read_entity_ref(cursor: Cursor) -> None:
    """Reads it, so that nothing malformed or unknown hides in it. It is not covered."""
    read_fields(cursor.message(), _ENTITY_REF)


# One table a level, so that a value knows how deep it lies. The last is for entries of a map at the deepest level.
_KEY_VALUE = [
    {10: Field("key", Cursor.text), 18: Field("value", partial(_read_any_value, level=level))}
    for level in range(MAX_LEVELS + 2)
]
_ANY_VALUE = [
    {
        10: Field("string_value", Cursor.text),
        16: Field("bool_value", Cursor.boolean),
        24: Field("int_value", lambda cursor: str(cursor.int64())),
        33: Field("double_value", _read_double),
        42: Field("array_value", partial(_read_array, level=level)),
        50: Field("kvlist_value", partial(_read_map, level=level)),
        58: Field("bytes_value", lambda cursor: base64.b64encode(cursor.octets()).decode("ascii")),
    }
    for level in range(MAX_LEVELS + 1)
]
_EVENT = {
    9: Field("time_unix_nano", _read_fixed64),
    18: Field("name", _read_text),
    26: Field("attributes", _read_key_value, repeated=True),
    32: Field("dropped_attributes_count", _read_uint32),
}
_LINK = {
    10: Field("trace_id", _read_id(_TRACE_ID_BYTES)),
    18: Field("span_id", _read_id(_SPAN_ID_BYTES)),
    26: Field("trace_state", _read_text),
    34: Field("attributes", _read_key_value, repeated=True),
    40: Field("dropped_attributes_count", _read_uint32),
    53: Field("flags", Cursor.fixed32),
}
_STATUS = {18: Field("message", _read_text), 24: Field("code", _read_enum(_LAST_STATUS_CODE))}
_SPAN = {
    10: Field("trace_id", _read_id(_TRACE_ID_BYTES)),
    18: Field("span_id", _read_id(_SPAN_ID_BYTES)),
    26: Field("trace_state", _read_text),
    34: Field("parent_span_id", _read_id(_SPAN_ID_BYTES)),
    42: Field("name", _read_text),
    48: Field("kind", _read_enum(_LAST_KIND)),
    57: Field("start_time_unix_nano", _read_fixed64),
    65: Field("end_time_unix_nano", _read_fixed64),
    74: Field("attributes", _read_key_value, repeated=True),
    80: Field("dropped_attributes_count", _read_uint32),
    90: Field("events", _read_event, repeated=True),
    96: Field("dropped_events_count", _read_uint32),
    106: Field("links", _read_link, repeated=True),
    112: Field("dropped_links_count", _read_uint32),
    122: Field("status", _read_status),
    133: Field("flags", Cursor.fixed32),
}
_RESOURCE = {
    10: Field("attributes", _read_key_value, repeated=True),
    16: Field("dropped_attributes_count", Cursor.uint32),
    26: Field("entity_refs", _read_entity_ref, repeated=True),
}
_ENTITY_REF = {
    10: Field("schema_url", Cursor.text),
    18: Field("type", Cursor.text),
    26: Field("id_keys", Cursor.text, repeated=True),
    34: Field("description_keys", Cursor.text, repeated=True),
}
_SCOPE = {
    10: Field("name", _read_text),
    18: Field("version", _read_text),
    26: Field("attributes", _read_key_value, repeated=True),
    32: Field("dropped_attributes_count", Cursor.uint32),
}
