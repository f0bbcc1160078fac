"""ResourceSpans cut into batches that the service takes: at most 1,000 spans and 1 MiB each, in their order."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from google.protobuf.message import DecodeError

from fluo.kms.v1.signing_pb2 import SignMode, SignSpansRequest
from fluo.kms.v1.span_pb2 import ResourceSpans, ScopeSpans
from fluo_kms._connection import MAX_MESSAGE_BYTES
from fluo_kms._encoded import Encoded, varint, wire_bytes

Mode = Literal["LOG", "INDIVIDUAL"]
"""LOG: each span becomes an entry of the tenant's log, with a proof. INDIVIDUAL: each gets a signature of its own."""

MODES = {"LOG": SignMode.SIGN_MODE_LOG, "INDIVIDUAL": SignMode.SIGN_MODE_INDIVIDUAL}

_MAX_SPANS = 1_000
_MAX_BYTES = 1024 * 1024
_RESOURCE_SPANS_TAG = b"\x0a"


@dataclass
class Batch:
    """A message of the stream. It is sent with the same bytes however often."""

    request_id: str
    request: bytes
    """A serialised SignSpansRequest."""
    spans: int
    first_sent: float | None = field(default=None, compare=False)
    """By the clock of its stream."""

    @property
    def is_too_large(self) -> bool:
        """Whether no message can hold it, which only a single span can bring about."""
        return len(self.request) > MAX_MESSAGE_BYTES


@dataclass(frozen=True)
class _Piece:
    """A ResourceSpans that fits into a batch, unless it is a single large span."""

    data: bytes
    spans: int


def split(resource_spans: Iterable[Encoded], tenant: str, mode: SignMode) -> list[Batch]:
    """Returns batches of the spans in their order. Raises ValueError for bytes that are no ResourceSpans."""
    batches: list[Batch] = []
    waiting: list[_Piece] = []
    spans = size = 0
    for piece in (piece for each in resource_spans for piece in _pieces(_parsed(each))):
        if waiting and (spans + piece.spans > _MAX_SPANS or size + len(piece.data) > _MAX_BYTES):
            batches.append(_batch(waiting, tenant, mode))
            waiting, spans, size = [], 0, 0
        waiting.append(piece)
        spans, size = spans + piece.spans, size + len(piece.data)
    if waiting:
        batches.append(_batch(waiting, tenant, mode))
    return batches


def _parsed(message: Encoded) -> ResourceSpans:
    try:
        parsed: ResourceSpans = ResourceSpans.FromString(wire_bytes(message))
    except DecodeError:
        raise ValueError("the bytes are no OTLP ResourceSpans in protobuf") from None
    return parsed


def _pieces(whole: ResourceSpans) -> Iterator[_Piece]:
    spans = sum(len(scope_spans.spans) for scope_spans in whole.scope_spans)
    if spans <= _MAX_SPANS and whole.ByteSize() <= _MAX_BYTES:
        if spans > 0:
            yield _Piece(whole.SerializeToString(), spans)
        return
    frame = ResourceSpans()
    frame.CopyFrom(whole)
    frame.ClearField("scope_spans")
    for scope_spans in whole.scope_spans:
        for start, end in _runs(scope_spans):
            piece = ResourceSpans()
            piece.CopyFrom(frame)
            part = piece.scope_spans.add()
            if scope_spans.HasField("scope"):
                part.scope.CopyFrom(scope_spans.scope)
            part.schema_url = scope_spans.schema_url
            part.spans.extend(scope_spans.spans[start:end])
            yield _Piece(piece.SerializeToString(), end - start)


def _runs(scope_spans: ScopeSpans) -> Iterator[tuple[int, int]]:
    """Spans of a scope that fit together, by their indices: half a batch each, which leaves room for the resource."""
    start = size = 0
    for index, span in enumerate(scope_spans.spans):
        bytes_of_span = span.ByteSize()
        if index > start and (index - start >= _MAX_SPANS or size + bytes_of_span > _MAX_BYTES // 2):
            yield start, index
            start, size = index, 0
        size += bytes_of_span
    if start < len(scope_spans.spans):
        yield start, len(scope_spans.spans)


def _batch(pieces: list[_Piece], tenant: str, mode: SignMode) -> Batch:
    request_id = uuid.uuid4().hex
    terms = SignSpansRequest(tenant_id=tenant, mode=mode, request_id=request_id, with_attributes=True)
    data = b"".join(_RESOURCE_SPANS_TAG + varint(len(piece.data)) + piece.data for piece in pieces)
    return Batch(request_id, data + terms.SerializeToString(), sum(piece.spans for piece in pieces))
