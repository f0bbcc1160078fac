"""Signs batches while the way to the service is cut again and again."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from checks import Checks
from scenario import b64, spans_of

from fluo.kms.v1.signing_pb2 import SignSpansRequest
from fluo.kms.v1.span_pb2 import ResourceSpans
from fluo_kms import AsyncKmsClient, KmsClient, aio
from fluo_kms.signer import SignedSpan, SpanResult, SpanSigner


def run(world: dict[str, Any], checks: Checks) -> None:
    wholes = [_resource_spans(batch, world["spansPerBatch"]) for batch in range(world["batches"])]
    results = asyncio.run(_signed_with_asyncio(world, wholes)) if world.get("aio") else _signed(world, wholes)
    indices = []
    for whole, signed in zip(wholes, results, strict=True):
        for (_, span), result in zip(spans_of(whole), signed, strict=True):
            checks.that(isinstance(result, SignedSpan), f"{span.name} is signed", result)
            if isinstance(result, SignedSpan):
                indices.append(result.leaf_index)
                for key, value in result.attributes.items():
                    span.attributes.add(key=key).value.string_value = value
    # An export is the first field of the request.
    export = SignSpansRequest(resource_spans=wholes).SerializeToString()
    Path(world["out"]).write_text(json.dumps({"leafIndices": indices, "spans": b64(export)}), encoding="utf-8")


def _signed(world: dict[str, Any], wholes: list[ResourceSpans]) -> list[list[SpanResult]]:
    with KmsClient(world["service"], insecure=True) as kms, SpanSigner(kms, world["tenant"]) as signer:
        answers = [signer.sign([whole]) for whole in wholes]
        return [answer.result() for answer in answers]


async def _signed_with_asyncio(world: dict[str, Any], wholes: list[ResourceSpans]) -> list[list[SpanResult]]:
    async with (
        AsyncKmsClient(world["service"], insecure=True) as kms,
        aio.SpanSigner(kms, world["tenant"]) as signer,
    ):
        answers = [await signer.sign([whole]) for whole in wholes]
        return [await answer for answer in answers]


def _resource_spans(batch: int, count: int) -> ResourceSpans:
    whole = ResourceSpans()
    scope_spans = whole.scope_spans.add()
    scope_spans.scope.name = "resume"
    for i in range(count):
        scope_spans.spans.add(trace_id=os.urandom(16), span_id=os.urandom(8), name=f"r-{batch}-{i}")
    return whole
