"""Ends spans through the SDK, and says what is delivered right after its flush or its shutdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from checks import Checks
from export import end_span
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from fluo_kms import KmsClient
from fluo_kms.otel import Queue, SigningExporter


def run(world: dict[str, Any], checks: Checks) -> None:
    provider = TracerProvider(resource=Resource({"service.name": "python"}))
    with KmsClient(world["service"], insecure=True) as kms:
        exporter = SigningExporter(
            OTLPSpanExporter(endpoint=world["backend"]),
            kms,
            tenant=world["tenant"],
            mode=world["mode"],
            queue=Queue(**world["queue"]) if world["queue"] else None,
            timeout=world["exportTimeoutMs"] / 1000,
        )
        processor = exporter.batch_processor(
            max_queue_size=max(world["processorQueue"], world["batch"]),
            max_export_batch_size=world["batch"],
            export_timeout_millis=world["exportTimeoutMs"],
        )
        provider.add_span_processor(processor)
        tracer = provider.get_tracer("conformance")
        for i in range(world["spans"]):
            end_span(tracer, f"s-{i}", i)
        print(f"ENDED {world['spans']}", flush=True)
        if world["how"] == "flush":
            ok = provider.force_flush(world["shutdownMs"])
        else:
            # The SDK's shutdown gives nothing back, and raises nothing.
            provider.shutdown()
            ok = True
        result = {"ended": world["spans"], "delivered": exporter.stats().delivered, "ok": ok}
        Path(world["out"]).write_text(json.dumps(result), encoding="utf-8")
        provider.shutdown()
    checks.passed += 1
