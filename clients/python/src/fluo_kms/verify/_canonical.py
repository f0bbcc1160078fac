"""A span as it is signed: RFC 8785 JSON of its resource, its scope and itself.

The frame of a ResourceSpans message is read first, since a resource may come after its spans. A fault in the frame
refuses the whole, because nobody can tell how many spans there were. A fault in a resource, a scope or a span stands in
the place of each span that it touches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import rfc8785

from fluo_kms.verify._integrity import Integrity
from fluo_kms.verify._malformed import Malformed
from fluo_kms.verify._otlp import SpanPart, read_resource, read_scope, read_span
from fluo_kms.verify._wire import Cursor, Field, read_fields

T = TypeVar("T")


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


def canonical_span(span: SpanPart, resource: bytes, scope: bytes) -> ReadSpan:
    """Puts a span together with the texts of its resource and scope, which are empty if nothing is covered."""
    members = [("resource", resource), ("scope", scope), ("span", rfc8785.dumps(span.tree))]
    text = b",".join(b'"%s":%s' % (name.encode(), member) for name, member in members if member)
    lacks = " or ".join(name for name, member in members[:2] if not member)
    return ReadSpan(span.trace_id, span.span_id, b"{" + text + b"}", span.integrity, lacks)


def resource_text(cursor: Cursor) -> bytes:
    """The canonical object of a Resource; empty if nothing of it is covered."""
    tree = read_resource(cursor)
    return rfc8785.dumps(tree) if tree else b""


def scope_text(cursor: Cursor) -> bytes:
    """Returns the canonical form of an InstrumentationScope, likewise."""
    tree = read_scope(cursor)
    return rfc8785.dumps(tree) if tree else b""


def read_named(name: str, read: Callable[[Cursor], T], cursor: Cursor) -> T:
    """Reads a message whose name then begins the path of a fault."""
    try:
        return read(cursor)
    except Malformed as fault:
        raise fault.within(name) from None


def read_resource_spans(data: bytes) -> Iterator[ReadSpan | Malformed]:
    """Yields each span of a ResourceSpans message, or why it is refused. Throws Malformed for a malformed frame."""
    frame = read_named("resource_spans", lambda cursor: read_fields(cursor, _RESOURCE_SPANS), Cursor(data))
    resource = _text_or_fault("resource", resource_text, frame)
    for scope_spans in frame.get("scope_spans", []):
        scope = _text_or_fault("scope", scope_text, scope_spans)
        for span in scope_spans.get("spans", []):
            if isinstance(resource, Malformed):
                yield resource
            elif isinstance(scope, Malformed):
                yield scope
            else:
                yield _span_or_fault(span, resource, scope)


def _text_or_fault(name: str, read: Callable[[Cursor], bytes], frame: dict[str, Cursor]) -> bytes | Malformed:
    if name not in frame:
        return b""
    try:
        return read_named(name, read, frame[name])
    except Malformed as fault:
        return fault


def _span_or_fault(cursor: Cursor, resource: bytes, scope: bytes) -> ReadSpan | Malformed:
    try:
        return canonical_span(read_named("span", read_span, cursor), resource, scope)
    except Malformed as fault:
        return fault


_SCOPE_SPANS = {
    10: Field("scope", Cursor.message),
    18: Field("spans", Cursor.message, repeated=True),
    26: Field("schema_url", Cursor.text),
}
_RESOURCE_SPANS = {
    10: Field("resource", Cursor.message),
    18: Field("scope_spans", lambda cursor: read_fields(cursor.message(), _SCOPE_SPANS), repeated=True),
    26: Field("schema_url", Cursor.text),
}
