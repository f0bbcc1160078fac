"""The signing exporter with the real SDK, a real service, and a backend that keeps what it gets."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import spans
import vectors
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, TraceFlags
from proxy import Proxy

from fluo_kms import KmsClient
from fluo_kms.otel import Loss, Queue, SigningExporter
from fluo_kms.verify import verify_export

HUNG_SECONDS = 60


class Backend:
    """Takes OTLP over HTTP, unless it is down. OpenTelemetry's exporter itself does not repeat what it answers then."""

    def __init__(self) -> None:
        backend = self
        self.bodies: list[bytes] = []
        self.refused: list[bytes] = []
        self.is_down = False
        self.down_status = 503
        self.got_one = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                (backend.refused if backend.is_down else backend.bodies).append(body)
                backend.got_one.set()
                self.send_response(backend.down_status if backend.is_down else 200)
                self.send_header("content-length", "0")
                self.send_header("retry-after", "3600")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def names(self) -> list[str]:
        traces = (TracesData.FromString(body) for body in self.bodies)
        return [
            span.name
            for each in traces
            for resource_spans in each.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def backend():
    started = Backend()
    yield started
    started.close()


def provider_of(exporter: SpanExporter, **options) -> TracerProvider:
    provider = TracerProvider(resource=Resource({"service.name": "tests"}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, **options))
    return provider


def make_spans(provider: TracerProvider, count: int, **attributes) -> None:
    for i in range(count):
        with provider.get_tracer("tests", "1").start_as_current_span(f"s-{i}", attributes={"i": i, **attributes}):
            pass


def reasons(service, tenant: str, backend: Backend) -> Counter[str]:
    keys = spans.keys_of(service.http, tenant)
    return Counter(verdict.reason for verdict in verify_export(keys, b"".join(backend.bodies), tenant))


class Memory(SpanExporter):
    """Keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS


@pytest.mark.parametrize("mode", ["LOG", "INDIVIDUAL"])
@pytest.mark.parametrize("queue", [Queue(), None], ids=["queue", "no queue"])
def test_delivers_spans_that_verify(service, kms, backend, mode, queue):
    tenant = f"otel-{mode.lower()}-{queue is None}".lower()
    exporter = SigningExporter(OTLPSpanExporter(backend.url), kms, tenant=tenant, mode=mode, queue=queue)
    provider = provider_of(exporter, max_export_batch_size=40)
    make_spans(provider, 100)
    provider.shutdown()
    assert backend.names() == [f"s-{i}" for i in range(100)]
    assert reasons(service, tenant, backend) == {"OK": 100}
    stats = exporter.stats()
    assert (stats.delivered, stats.refused, stats.lost, exporter.shutdown()) == (100, 0, {}, 0)


def test_signs_what_the_delegate_sends_of_all_that_a_span_may_have(service, kms, backend):
    exporter = SigningExporter(OTLPSpanExporter(backend.url), kms, tenant="otel-all")
    limits = SpanLimits(max_span_attributes=128, max_events=2, max_links=1, max_event_attributes=1)
    provider = TracerProvider(
        resource=Resource({"a": "b"}, "https://schema"), span_limits=limits, shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    context = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1))
    for scope in ("one", "two", "one"):
        span = provider.get_tracer(scope, "1", attributes={"x": 1}).start_span(
            "full", links=[Link(context, {"l": 1}), Link(context)], attributes={f"k{i}": i for i in range(200)}
        )
        for name in ("first", "second", "third"):
            span.add_event(name, {"e": 1.5, "f": b"\x00"})
        span.record_exception(ValueError("é"))
        span.end()
    provider.shutdown()
    assert reasons(service, "otel-all", backend) == {"OK": 3}
    (body,) = backend.bodies
    (sent, *_) = TracesData.FromString(body).resource_spans[0].scope_spans[0].spans
    assert (sent.dropped_attributes_count, len(sent.attributes)) == (72, 128 + 4)
    assert (sent.dropped_events_count, sent.dropped_links_count) == (2, 1)


def test_repeats_a_failed_delivery_with_the_same_bytes(service, kms, backend):
    backend.is_down = True
    exporter = SigningExporter(OTLPSpanExporter(backend.url), kms, tenant="otel-repeat")
    provider = provider_of(exporter)
    make_spans(provider, 3)
    provider.force_flush()
    assert backend.got_one.wait(HUNG_SECONDS)
    backend.is_down = False
    assert exporter.force_flush(HUNG_SECONDS * 1000)
    provider.shutdown()
    assert set(backend.refused) == set(backend.bodies)
    assert len(backend.bodies) == 1
    assert reasons(service, "otel-repeat", backend) == {"OK": 3}


def test_signs_and_delivers_once_what_was_cut_off_from_the_service(service, backend):
    proxy = Proxy(service.grpc)
    with KmsClient(proxy.address, insecure=True) as kms:
        exporter = SigningExporter(OTLPSpanExporter(backend.url), kms, tenant="otel-cut")
        provider = provider_of(exporter, max_export_batch_size=10)
        make_spans(provider, 20)
        provider.force_flush()
        proxy.cut()
        make_spans(provider, 20)
        provider.force_flush()
        proxy.open()
        assert exporter.force_flush(HUNG_SECONDS * 1000)
        for _ in range(5):
            make_spans(provider, 20)
            proxy.reset()
        provider.shutdown()
    proxy.close()
    assert backend.names() == [f"s-{i}" for _ in range(7) for i in range(20)]
    assert reasons(service, "otel-cut", backend) == {"OK": 140}
    keys = spans.keys_of(service.http, "otel-cut")
    indices = [verdict.leaf_index for verdict in verify_export(keys, b"".join(backend.bodies))]
    assert indices == list(range(140))


def test_counts_tells_and_fails_what_finds_no_room(backend):
    told: Counter[str] = Counter()
    with KmsClient("127.0.0.1:1", insecure=True) as kms:
        exporter = SigningExporter(
            OTLPSpanExporter(backend.url),
            kms,
            tenant="nobody",
            queue=Queue(spans=10),
            timeout=0.05,
            on_lost=lambda cause, lost: told.update({cause: len(lost)}),
        )
        provider = provider_of(exporter, max_export_batch_size=10)
        make_spans(provider, 35)
        provider.force_flush()
        assert exporter.stats().lost == {"queue-full": 25}
        assert exporter.shutdown(10) == 10
        provider.shutdown()
    assert exporter.stats().lost == {"queue-full": 25, "shutdown": 10}
    assert told == exporter.stats().lost
    assert backend.bodies == []


def test_fails_without_a_queue_when_the_time_is_over(backend):
    with KmsClient("127.0.0.1:1", insecure=True) as kms:
        exporter = SigningExporter(OTLPSpanExporter(backend.url), kms, tenant="nobody", queue=None, timeout=0.05)
        provider = provider_of(exporter)
        for _ in range(6):  # more than may be unanswered
            make_spans(provider, 1)
            provider.force_flush()
        provider.shutdown()
    assert exporter.stats().lost == {"timeout": 6}


def test_gives_up_what_is_not_delivered_in_time(kms, backend):
    backend.is_down = True
    lost = threading.Event()
    exporter = SigningExporter(
        OTLPSpanExporter(backend.url), kms, tenant="otel-age", delivery_age=0.3, on_lost=lambda *_: lost.set()
    )
    provider = provider_of(exporter)
    make_spans(provider, 2)
    provider.force_flush()
    assert lost.wait(HUNG_SECONDS)
    provider.shutdown()
    assert exporter.stats().lost == {"undeliverable": 2}


def test_drops_what_the_backend_refuses_for_good_and_goes_on(service, kms, backend):
    losses: list[Loss] = []
    exporter = SigningExporter(OTLPSpanExporter(backend.url), kms, tenant="otel-bad-request", on_loss=losses.append)
    provider = provider_of(exporter)
    backend.is_down, backend.down_status = True, 400
    make_spans(provider, 2)
    provider.force_flush()
    assert exporter.force_flush(HUNG_SECONDS * 1000)
    backend.is_down = False
    make_spans(provider, 1)
    provider.shutdown()
    stats = exporter.stats()
    assert (stats.delivered, stats.lost, stats.waiting_spans) == (1, {"rejected": 2}, 0)
    assert [(loss.cause, [span.name for span in loss.spans]) for loss in losses] == [("rejected", ["s-0", "s-1"])]
    # The line of OpenTelemetry's exporter, in the words of its version.
    assert re.match(r"the backend refuses them: Failed to export .*batch code: 400, reason: ", losses[0].why)
    assert (len(backend.refused), len(backend.bodies)) == (1, 1)


class Code(Enum):
    """As gRPC's own has its members."""

    UNAVAILABLE = 14
    INTERNAL = 13
    RESOURCE_EXHAUSTED = 8


class Logging(SpanExporter):
    """Fails once, and says so as OpenTelemetry's exporters do."""

    def __init__(self, *line: object) -> None:
        self.line: tuple[object, ...] | None = line

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.line is None:
            return SpanExportResult.SUCCESS
        logging.getLogger(type(self).__module__).error(*self.line)
        self.line = None
        return SpanExportResult.FAILURE


Logging.__module__ = "opentelemetry.exporter.tests"

HTTP = "Failed to export span batch code: %s, reason: %s"
GRPC = "Failed to export %s to %s, error code: %s"


@pytest.mark.parametrize(
    ("line", "is_repeated"),
    [
        *(((HTTP, code, "no"), False) for code in (400, 401, 403, 404, 413, 500, 501)),
        *(((HTTP, code, "no"), True) for code in (429, 502, 503, 504)),
        (("Failed to export %s batch code: %s, reason: %s", "spans", None, "reset"), True),
        (("Failed to export span batch due to timeout, max retries or shutdown.",), True),
        ((GRPC, "traces", "localhost:4317", Code.INTERNAL), False),
        ((GRPC, "traces", "localhost:4317", Code.UNAVAILABLE), True),
        ((GRPC, "traces", "localhost:4317", Code.RESOURCE_EXHAUSTED), True),
    ],
)
def test_repeats_what_otlp_says_by_the_line_of_the_delegate(kms, line, is_repeated):
    exporter = SigningExporter(Logging(*line), kms, tenant="otel-line", queue=None)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    make_spans(provider, 1)
    provider.shutdown()
    stats = exporter.stats()
    assert (stats.delivered, stats.lost) == ((1, {}) if is_repeated else (0, {"rejected": 1}))


def test_says_what_waits_also_as_gauges(kms, backend):
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    backend.is_down = True
    exporter = SigningExporter(OTLPSpanExporter(backend.url), kms, tenant="otel-waiting", meter_provider=meters)
    provider = provider_of(exporter)
    make_spans(provider, 2)
    provider.force_flush()

    def gauges() -> list[tuple[str, str, Any, float]]:
        return [
            (metric.name, metric.unit, point.attributes, point.value)
            for resource in reader.get_metrics_data().resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]

    size = exporter.stats().waiting_bytes
    assert size > 0
    assert gauges() == [
        ("fluo.kms.exporter.waiting.spans", "{span}", {"fluo.kms.tenant": "otel-waiting"}, 2),
        ("fluo.kms.exporter.waiting.bytes", "By", {"fluo.kms.tenant": "otel-waiting"}, size),
    ]
    assert exporter.shutdown(0) == 2
    provider.shutdown()
    assert [value for *_, value in gauges()] == [0, 0]
    stats = exporter.stats()
    assert (stats.lost, stats.waiting_spans, stats.waiting_bytes) == ({"shutdown": 2}, 0, 0)
    meters.shutdown()


def test_loses_a_batch_that_the_service_rejects(kms, backend):
    exporter = SigningExporter(OTLPSpanExporter(backend.url), kms, tenant="Not A Tenant")
    provider = provider_of(exporter)
    make_spans(provider, 2)
    provider.shutdown()
    assert exporter.stats().lost == {"rejected": 2}


@pytest.mark.parametrize("on_refused", ["forward", "drop"])
def test_forwards_or_drops_a_span_that_the_service_refuses(service, kms, on_refused):
    memory = Memory()
    exporter = SigningExporter(memory, kms, tenant=f"otel-{on_refused}", queue=None, on_refused=on_refused)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    make_spans(provider, 1)
    make_spans(provider, 1, **{"audit.integrity.fluo.mine": "x"})
    provider.shutdown()
    stats = exporter.stats()
    assert stats.refused == 1
    if on_refused == "drop":
        assert (stats.delivered, stats.lost, len(memory.spans)) == (1, {"rejected": 1}, 1)
        return
    assert (stats.delivered, stats.lost) == (2, {})
    reason = memory.spans[1].attributes["fluo.kms.unsigned.reason"]
    assert reason.startswith("INVALID_ARGUMENT: resource_spans[0]")
    assert "audit.integrity.value" not in memory.spans[1].attributes


def test_counts_a_dropped_span_once_when_its_batch_is_lost_later(kms, backend):
    backend.is_down, backend.down_status = True, 400
    losses: list[Loss] = []
    exporter = SigningExporter(
        OTLPSpanExporter(backend.url), kms, tenant="otel-drop-lost", on_refused="drop", on_loss=losses.append
    )
    provider = provider_of(exporter)
    make_spans(provider, 2)
    make_spans(provider, 1, **{"audit.integrity.fluo.mine": "x"})
    provider.shutdown()
    assert exporter.stats().lost == {"rejected": 3}
    assert [len(loss.spans) for loss in losses] == [1, 2]
    assert (exporter.stats().waiting_spans, exporter.stats().waiting_bytes) == (0, 0)


def test_loses_alone_a_span_that_cannot_be_encoded(kms):
    memory = Memory()
    exporter = SigningExporter(memory, kms, tenant="otel-surrogate")
    provider = provider_of(exporter)
    with provider.get_tracer("tests").start_as_current_span("half \ud800"):
        pass
    make_spans(provider, 2)
    provider.shutdown()
    assert [span.name for span in memory.spans] == ["s-0", "s-1"]
    assert exporter.stats().lost == {"rejected": 1}


def test_takes_nothing_once_shut_down(kms):
    exporter = SigningExporter(Memory(), kms, tenant="otel-closed")
    assert exporter.shutdown() == 0
    provider = provider_of(exporter)
    make_spans(provider, 1)
    provider.shutdown()
    assert exporter.stats().lost == {"shutdown": 1}


def test_delivers_at_the_exit_of_a_program_that_shuts_nothing_down(service, backend):
    program = f"""
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from fluo_kms import KmsClient
from fluo_kms.otel import SigningExporter
kms = KmsClient({service.grpc!r}, insecure=True)
exporter = SigningExporter(OTLPSpanExporter({backend.url!r}), kms, tenant="otel-exit")
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(exporter))
with provider.get_tracer("tests").start_as_current_span("last"):
    pass
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, capture_output=True, text=True, env=vectors.ENVIRONMENT, timeout=HUNG_SECONDS, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert reasons(service, "otel-exit", backend) == {"OK": 1}


def test_says_what_to_do_in_a_process_behind_a_fork(service, backend):
    program = f"""
import os, sys, logging
logging.basicConfig(stream=sys.stdout, format="%(message)s")
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from fluo_kms import KmsClient
from fluo_kms.otel import SigningExporter
kms = KmsClient({service.grpc!r}, insecure=True)
exporter = SigningExporter(OTLPSpanExporter({backend.url!r}), kms, tenant="fork")
child = os.fork()
if child == 0:
    print(exporter.export([ReadableSpan("x")]), exporter.stats().lost, exporter.shutdown(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
exporter.shutdown()
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, capture_output=True, text=True, env=vectors.ENVIRONMENT, timeout=HUNG_SECONDS, check=False
    )
    assert "opened before a fork" in done.stdout
    assert "FAILURE {'rejected': 1} 0" in done.stdout
    assert done.returncode == 0


def flushing_provider_of(exporter: SigningExporter, **options) -> TracerProvider:
    provider = TracerProvider(resource=Resource({"service.name": "tests"}), shutdown_on_exit=False)
    provider.add_span_processor(exporter.batch_processor(**options))
    return provider


def test_flushes_to_the_backend(kms, backend):
    exporter = SigningExporter(OTLPSpanExporter(backend.url), kms, tenant="otel-flush")
    provider = flushing_provider_of(exporter, max_export_batch_size=50)
    for _ in range(2):
        make_spans(provider, 120)
        assert provider.force_flush()
        assert exporter.stats().waiting_spans == 0
    assert len(backend.names()) == exporter.stats().delivered == 240
    provider.shutdown()


def test_says_that_a_flush_was_too_short_and_loses_nothing(kms, backend):
    exporter = SigningExporter(OTLPSpanExporter(backend.url), kms, tenant="otel-flush-late", queue=Queue(spans=10))
    # Nothing starts an export but the flush, and the queue holds one batch of the three.
    provider = flushing_provider_of(exporter, max_export_batch_size=10, schedule_delay_millis=3_600_000)
    backend.is_down = True
    make_spans(provider, 9)
    assert not provider.force_flush(300)
    make_spans(provider, 9)
    assert not provider.force_flush(300)
    assert exporter.stats().lost == {}
    backend.is_down = False
    assert provider.force_flush(HUNG_SECONDS * 1000)
    assert sorted(Counter(backend.names()).values()) == [2] * 9
    provider.shutdown()


def test_says_that_a_flush_lost_spans(kms, backend):
    exporter = SigningExporter(OTLPSpanExporter(backend.url), kms, tenant="otel-flush-lost")
    provider = flushing_provider_of(exporter)
    backend.is_down, backend.down_status = True, 400
    make_spans(provider, 2)
    assert not provider.force_flush()
    assert exporter.stats().lost == {"rejected": 2}
    backend.is_down = False
    make_spans(provider, 1)
    assert provider.force_flush()
    provider.shutdown()


@pytest.mark.parametrize("make", [provider_of, flushing_provider_of], ids=["the SDK's processor", "the exporter's"])
def test_loses_nothing_when_the_provider_is_shut_down(kms, backend, make):
    exporter = SigningExporter(OTLPSpanExporter(backend.url), kms, tenant="otel-shutdown")
    provider = make(exporter, max_queue_size=5_000)
    make_spans(provider, 3_000)
    provider.shutdown()
    assert len(backend.names()) == exporter.stats().delivered == 3_000
    assert exporter.stats().lost == {}


def test_flushes_no_processor_that_is_shut_down(kms, backend):
    exporter = SigningExporter(OTLPSpanExporter(backend.url), kms, tenant="otel-flush-closed")
    provider = flushing_provider_of(exporter)
    make_spans(provider, 1)
    provider.shutdown()
    provider.shutdown()
    assert backend.names() == ["s-0"]
