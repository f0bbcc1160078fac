"""Exports the spans of OpenTelemetry's SDK, signed or plain."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from checks import Checks
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Status, StatusCode, Tracer

from fluo_kms import KmsClient
from fluo_kms.otel import Loss, Queue, SigningExporter


def run(world: dict[str, Any], checks: Checks) -> None:
    delegate = OTLPSpanExporter(endpoint=world["backend"])
    if world.get("plain"):
        _report(world, _export(world, delegate))
        checks.passed += 1
        return
    told: Counter[str] = Counter()
    why: dict[str, str] = {}

    def on_loss(loss: Loss) -> None:
        told[loss.cause] += len(loss.spans)
        why[loss.cause] = loss.why
        print(f"LOST {loss.cause} {len(loss.spans)}", flush=True)

    with KmsClient(world["service"], insecure=True) as kms:
        exporter = SigningExporter(
            delegate,
            kms,
            tenant=world["tenant"],
            mode=world["mode"],
            queue=Queue(**world["queue"]) if world["queue"] else None,
            timeout=world["exportTimeoutMs"] / 1000,
            on_loss=on_loss,
        )
        result = _export(world, exporter)
        stats = exporter.stats()
    _report(
        world,
        {
            **result,
            "delivered": stats.delivered,
            "refused": stats.refused,
            "lost": dict(stats.lost),
            "told": dict(told),
            "why": why,
            "waitingSpans": stats.waiting_spans,
            "waitingBytes": stats.waiting_bytes,
        },
    )
    checks.passed += 1


def _export(world: dict[str, Any], exporter: SpanExporter) -> dict[str, Any]:
    processor = BatchSpanProcessor(
        exporter,
        max_queue_size=max(world["processorQueue"], world["batch"]),
        max_export_batch_size=world["batch"],
        export_timeout_millis=world["exportTimeoutMs"],
    )
    provider = TracerProvider(resource=Resource({"service.name": "python"}), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("conformance")
    warm_up = world.get("warmUp") or 0
    for i in range(warm_up):
        end_span(tracer, f"w-{i}", i)
    if warm_up:
        processor.force_flush()
        exporter.force_flush()
    before = time.process_time()
    start = time.monotonic()
    for i in range(world["spans"]):
        if world.get("ratePerSecond"):
            time.sleep(max(0.0, start + i / world["ratePerSecond"] - time.monotonic()))
        end_span(tracer, f"s-{i}", i)
    print(f"ENDED {world['spans']}", flush=True)
    deadline = time.monotonic() + world["shutdownMs"] / 1000
    processor.force_flush()
    exporter.force_flush(int(_left(deadline)))
    cpu = time.process_time() - before
    undelivered = 0
    if isinstance(exporter, SigningExporter):
        undelivered = exporter.shutdown(_left(deadline))
    provider.shutdown()
    return {
        "ended": world["spans"] + warm_up,
        "cpuMicrosPerSpan": 1e6 * cpu / world["spans"],
        "undelivered": undelivered,
    }


def _left(deadline: float) -> float:
    """Milliseconds."""
    return max(0.0, deadline - time.monotonic()) * 1000


def end_span(tracer: Tracer, name: str, i: int) -> None:
    span = tracer.start_span(name)
    span.set_attributes(
        {
            "text": f"value {i}",
            "is_even": i % 2 == 0,
            "number": i,
            "ratio": i / 7,
            "texts": ["a", "é"],
            "booleans": [True, False],
            "numbers": [1, -2],
            "ratios": [0.5, 1e300],
        }
    )
    span.add_event("decided", {"score": 0.5})
    span.set_status(Status(StatusCode.OK))
    span.end()


def _report(world: dict[str, Any], result: dict[str, Any]) -> None:
    if world.get("plain"):
        result = {"ended": result["ended"], "cpuMicrosPerSpan": result["cpuMicrosPerSpan"]}
    Path(world["out"]).write_text(json.dumps(result), encoding="utf-8")
