"""Spans to sign, and signed ones with their evidence on them."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterable

import vectors

from fluo.kms.v1.span_pb2 import ResourceSpans, Span
from fluo_kms.signer import SignedSpan, SpanResult
from fluo_kms.verify import KeySet


def resource_spans(*names: str, size: int = 0) -> ResourceSpans:
    """Spans of these names, each with ids of its own and `size` bytes more."""
    whole = ResourceSpans()
    whole.resource.attributes.add(key="service.name").value.string_value = "tests"
    scope_spans = whole.scope_spans.add()
    scope_spans.scope.name = "tests"
    for name in names:
        span = scope_spans.spans.add(trace_id=os.urandom(16), span_id=os.urandom(8), name=name)
        if size:
            span.attributes.add(key="padding").value.string_value = "x" * size
    return whole


def put(whole: ResourceSpans, results: Iterable[SpanResult]) -> ResourceSpans:
    """The spans with the attributes of their results."""
    spans = [span for scope_spans in whole.scope_spans for span in scope_spans.spans]
    for span, result in zip(spans, results, strict=True):
        assert isinstance(result, SignedSpan), result
        put_attributes(span, result)
    return whole


def put_attributes(span: Span, signed: SignedSpan) -> None:
    for key, value in signed.attributes.items():
        span.attributes.add(key=key).value.string_value = value


def export(*wholes: ResourceSpans) -> bytes:
    """An OTLP export in protobuf."""
    return b"".join(vectors.field(1, whole.SerializeToString()) for whole in wholes)


def keys_of(http: str, tenant: str) -> KeySet:
    with urllib.request.urlopen(f"{http}/api/kms/tenants/{tenant}/jwks.json") as answer:
        return KeySet.parse(answer.read().decode())
