"""A span as it is signed: RFC 8785 JSON of its resource, its scope and itself.

Fields at their default are left out, and so is what the signature does not cover. An attribute counts even if its value
is empty, 0 or false: elements of lists and values are never left out, and a value without a member is null.

The frame of a ResourceSpans message is read first, since a resource may come after its spans. A fault in the frame
refuses the whole, because nobody can tell how many spans there were. A fault in a resource, a scope or a span stands in
the place of each span that it touches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import rfc8785

from fluo_kms.verify._integrity import Integrity
from fluo_kms.verify._malformed import Malformed
from fluo_kms.verify._messages import MESSAGES, json_name, read_fields

MAX_ATTRIBUTES = 128
"""Most attributes of a list, the five of the signature not counted."""
MAX_LEVELS = 32
"""An attribute's own value is at level 1, what it holds at level 2."""

T = TypeVar("T")
Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReadSpan:
    """A span with all that a verdict needs of it."""

    trace_id: str
    """32 lower-case hex digits."""
    span_id: str
    """16 lower-case hex digits."""
    canonical: bytes
    """RFC 8785 text in UTF-8."""
    integrity: Integrity
    lacks: str
    """What is not in the canonical form because it was not given or is empty: "resource", say, or nothing."""

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form, in lower-case hex."""
        return hashlib.sha256(self.canonical).hexdigest()


def read_span(data: bytes, resource: bytes = b"", scope: bytes = b"") -> ReadSpan:
    """Reads a Span and puts it together with the canonical texts of its resource and scope, if something is covered.

    Raises Malformed for what could be read in two ways, and for what is not covered and unknown.
    """
    integrity = Integrity()
    try:
        found = _read("Span", data)
        found["attributes"] = _take_integrity(found.get("attributes", []), integrity)
        for name, length in (("trace_id", 16), ("span_id", 8)):
            if not found.get(name):
                raise Malformed(f"is missing or all zero; give the {length} bytes of the id", name)
        span = rfc8785.dumps(_tree("Span", found))
    except Malformed as fault:
        raise fault.within("span") from None
    members = [("resource", resource), ("scope", scope), ("span", span)]
    text = b",".join(b'"%s":%s' % (name.encode(), member) for name, member in members if member)
    lacks = " or ".join(name for name, member in members if not member)
    return ReadSpan(found["trace_id"], found["span_id"], b"{" + text + b"}", integrity, lacks)


def resource_text(data: bytes | None) -> bytes:
    """The canonical object of a Resource; empty if nothing of it is covered, or there is none."""
    return _text("resource", "Resource", data)


def scope_text(data: bytes | None) -> bytes:
    """Returns the canonical form of an InstrumentationScope, likewise."""
    return _text("scope", "InstrumentationScope", data)


def read_resource_spans(data: bytes) -> Iterator[ReadSpan | Malformed]:
    """Yields each span of a ResourceSpans message, or why it is refused. Raises Malformed for a malformed frame."""
    try:
        frame = read_fields("ResourceSpans", data, _frame)
    except Malformed as fault:
        raise fault.within("resource_spans") from None
    resource = _or_fault(resource_text, frame.get("resource"))
    for scope_spans in frame.get("scope_spans", []):
        scope = _or_fault(scope_text, scope_spans.get("scope"))
        for span in scope_spans.get("spans", []):
            if isinstance(resource, Malformed):
                yield resource
            elif isinstance(scope, Malformed):
                yield scope
            else:
                yield _or_fault(read_span, span, resource, scope)


def _or_fault(read: Callable[..., T], *given: bytes | None) -> T | Malformed:
    try:
        return read(*given)
    except Malformed as fault:
        return fault


def _frame(message: str, data: bytes) -> Any:
    return read_fields(message, data, _frame) if message == "ScopeSpans" else data


def _text(name: str, message: str, data: bytes | None) -> bytes:
    if data is None:
        return b""
    try:
        tree = _tree(message, _read(message, data))
    except Malformed as fault:
        raise fault.within(name) from None
    return rfc8785.dumps(tree) if tree else b""


def _read(message: str, data: bytes, level: int = 1) -> Any:
    """A message as the canonical form has it; only a span is left in its fields. `level` is that of its values."""
    if level > MAX_LEVELS and message == "AnyValue":
        raise Malformed(f"is nested deeper than {MAX_LEVELS} levels; flatten it")
    if message in ("ArrayValue", "KeyValueList"):
        level += 1
    found = read_fields(message, data, partial(_read, level=level))
    match message:
        case "KeyValue":
            return found.get("key", ""), found.get("value")
        case "AnyValue":
            if len(found) > 1:
                raise Malformed("the value has a second member; it is one of them")
            return {json_name(name): value for name, value in found.items()} or None
        case "ArrayValue":
            return found.get("values", [])
        case "KeyValueList":
            return _members(found.get("values", []), "values")
        case "Event" | "Link" | "Status":
            return _tree(message, found)
    return found


def _tree(message: str, found: dict[str, Any]) -> Tree:
    """The object of a message: JSON names, without what is at its default or not covered."""
    fields = MESSAGES[message]
    tree = {json_name(name): value for name, value in found.items() if value and fields[name].is_signed}
    if "attributes" in tree:
        tree["attributes"] = _members(tree["attributes"], "attributes")
        if len(tree["attributes"]) > MAX_ATTRIBUTES:
            fault = f"a list has at most {MAX_ATTRIBUTES} attributes; leave some out"
            raise Malformed(fault, f"attributes[{MAX_ATTRIBUTES}]")
    return tree


def _members(entries: list[tuple[str, Any]], of_list: str) -> Tree:
    members: Tree = {}
    for index, (key, value) in enumerate(entries):
        if key in members:
            raise Malformed("another entry of this list has the same key; keep one", f"{of_list}[{index}].key")
        members[key] = value
    return members


def _take_integrity(attributes: list[tuple[str, Any]], integrity: Integrity) -> list[tuple[str, Any]]:
    """The other attributes, in their order."""
    others = []
    for index, (key, value) in enumerate(attributes):
        try:
            if not integrity.take(key, value):
                others.append((key, value))
        except Malformed as fault:
            raise fault.within(f"attributes[{index}]") from None
    return others
