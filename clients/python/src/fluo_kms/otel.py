"""Signs the spans that OpenTelemetry exports, on their way.

    exporter = SigningExporter(OTLPSpanExporter(), KmsClient("kms.example.com:9000"), tenant="acme")
    provider.add_span_processor(exporter.batch_processor())

A program that ends soon, such as a job or a function, calls `provider.force_flush()`, or at its end
`provider.shutdown()`: with this processor both wait until the backend has the spans.

An exporter and no span processor, because a span's data is frozen when it ends, and because a processor's `on_end` must
not block. What is signed are the OTLP bytes that an OTLP exporter sends; its attributes then go on the spans. Needs the
extra `otel`: `pip install "fluo-kms[otel]"`.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field, replace
from typing import Any, Literal

try:
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter_provider
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
except ImportError as missing:  # pragma: no cover
    raise ImportError('the exporter needs its extra: pip install "fluo-kms[otel]"') from missing

try:
    # The package in which OpenTelemetry's instrumentations have their switch. Without it there are none to switch off.
    from opentelemetry.instrumentation.utils import suppress_instrumentation as _untraced
except ImportError:
    from contextlib import nullcontext as _untraced

from fluo_kms._client import KmsClient
from fluo_kms._refusals import listen_to, logged_refusal
from fluo_kms._signing.batches import Batch
from fluo_kms._twins import refuse_async
from fluo_kms.signer import Mode, RefusedSpan, SigningError, SpanResult, SpanSigner

__all__ = ["Cause", "Loss", "Queue", "SigningExporter", "Stats"]

Cause = Literal["queue-full", "timeout", "rejected", "undeliverable", "shutdown"]
"""Why spans were lost.

- queue-full: the queue had no room for as long as an export may take.
- timeout: without a queue, the spans were not signed and delivered in that time.
- rejected: the service or the backend refuses the batch for good, it could not be encoded, or the exporter was opened
  before a fork; or a refused span was to be dropped.
- undeliverable: a queued batch was not signed and delivered within `delivery_age`.
- shutdown: what was left when the exporter was shut down, and what came after.
"""

_UNSIGNED_REASON = "fluo.kms.unsigned.reason"
_MAX_AHEAD = 4
_FIRST_WAIT, _MAX_WAIT, _MAX_REFUSED_WAIT = 0.1, 5.0, 30.0
_LAST_WAIT = 1.0
_FLUSH_SECONDS = 30.0
"""What the SDK gives a flush by default."""
_LOG_INTERVAL = 10.0
_REJECTIONS = frozenset({"INVALID_ARGUMENT", "ALREADY_EXISTS"})

_logger = logging.getLogger(__name__)

OnLost = Callable[[Cause, Sequence[ReadableSpan]], None]


@dataclass(frozen=True)
class Loss:
    """Spans that do not arrive."""

    cause: Cause
    spans: Sequence[ReadableSpan]
    why: str
    """In words: what the service or the backend said, if one of them refused the spans."""


OnLoss = Callable[[Loss], None]


@dataclass(frozen=True)
class Queue:
    """Most of what waits in memory to be signed and delivered. A larger export is taken when nothing else waits."""

    spans: int = 20_000
    bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True)
class Stats:
    """Spans so far. Those that were exported are delivered, lost, or still waiting."""

    delivered: int
    """Handed to the delegate with success, those among them that were refused and forwarded."""
    refused: int
    """Not signed, because the service refuses the span itself."""
    lost: Mapping[Cause, int]
    """Not delivered."""
    waiting_spans: int = 0
    """In the queue or, without one, in exports under way."""
    waiting_bytes: int = 0
    """What these take as OTLP messages."""


@dataclass(eq=False)
class _Unit:
    """A batch of the signer, and the spans in it."""

    spans: list[ReadableSpan]
    """Without those that were dropped: they are counted as lost already."""
    batch: Batch
    deadline: float
    """A reading of the clock `time.monotonic`."""
    answer: Future[list[SpanResult]] | None = None
    is_given_up: bool = False
    is_lost: bool = False
    """Whether some of its spans were not delivered, and will not be."""
    why: str = ""
    """How the last try failed."""

    @property
    def bytes(self) -> int:
        return len(self.batch.request)


class SigningExporter(SpanExporter):
    """Wraps an exporter: spans arrive at its backend with the evidence of their signature on them.

    With a queue, an export succeeds once its spans are queued, and waits while the queue is full. A worker signs and
    delivers in order. A batch that is signed stays signed: a delivery that fails is repeated with the same spans, and
    with the same bytes if the delegate encodes them as OTLP. So the backend gets each span at least once, and twice
    only when its answer was lost. A log has one entry a span while the process lives and batches are answered within
    23 hours. What is in memory at a crash is lost.

    A batch that the backend refuses for good, such as by 400, is lost as rejected. Delegates say success or failure
    and no more, so the code is read from the line that OpenTelemetry's exporters log. A failure of another delegate, or
    with that line switched off, is repeated until `delivery_age`, and holds up what is behind it. Each span is encoded
    twice, to sign it and by the delegate.

    Every loss is counted by its cause, told to `on_loss` and `on_lost`, and logged, at most one line in ten seconds for
    each cause. A span that the service refuses goes on unsigned with the attribute `fluo.kms.unsigned.reason`, or is
    dropped.

    Open it in each process behind a fork, as for gunicorn in `post_fork`.
    """

    def __init__(
        self,
        delegate: SpanExporter,
        client: KmsClient,
        *,
        tenant: str,
        mode: Mode = "LOG",
        queue: Queue | None = Queue(),
        timeout: float = 30.0,
        on_refused: Literal["forward", "drop"] = "forward",
        on_lost: OnLost | None = None,
        delivery_age: float = 3600.0,
        on_loss: OnLoss | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Opens a signer for `tenant`, and starts a worker if there is a queue.

        Without a queue an export signs and delivers, and fails after `timeout` seconds; with one it waits so long for
        room. `delivery_age` is the seconds after which a queued batch is given up. `on_loss` gets each loss, and
        `on_lost` its cause and spans alone, on whichever thread finds it. `meter_provider`, or the global one, reads
        the gauges `fluo.kms.exporter.waiting.spans` and `fluo.kms.exporter.waiting.bytes`, with the attribute
        `fluo.kms.tenant`. The client is not closed with the exporter.
        """
        refuse_async(client, "fluo_kms.otel.SigningExporter")
        if on_refused not in ("forward", "drop"):
            raise ValueError('on_refused must be "forward" or "drop"')
        self._delegate = delegate
        self._queue = queue
        self._timeout = timeout
        self._drops_refused = on_refused == "drop"
        self._delivery_age = delivery_age
        self._ledger = _Ledger(on_lost, on_loss)
        self._process = os.getpid()
        self._units: deque[_Unit] = deque()
        self._held: set[_Unit] = set()
        """What waits, in the queue or in exports that are under way."""
        self._held_spans = self._held_bytes = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._stopped = threading.Event()
        self._undelivered: int | None = None
        listen_to(delegate)
        with _untraced():
            self._signer = SpanSigner(client, tenant, mode=mode, max_unanswered=_MAX_AHEAD)
        self._worker = threading.Thread(target=self._work, name="fluo-kms-signing-exporter", daemon=True)
        if queue is not None:
            self._worker.start()
        _observe_waiting(meter_provider or get_meter_provider(), tenant, weakref.WeakMethod(self._waiting))

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Queues the spans, or signs and delivers them; FAILURE if any of them is lost."""
        if os.getpid() != self._process:
            _logger.error("The exporter was opened before a fork and signs nothing: open one in each process.")
            return self._lose("rejected", list(spans), "the exporter was opened before a fork")
        if self._is_closed:
            return self._lose("shutdown", list(spans), "the exporter is shut down")
        with _untraced():
            age = self._timeout if self._queue is None else self._delivery_age
            units, unencodable = self._units_of(spans, time.monotonic() + age)
            result = SpanExportResult.SUCCESS
            if unencodable:
                result = self._lose("rejected", unencodable, "the spans cannot be encoded")
            give = self._deliver_now if self._queue is None else self._enqueue
            for index, unit in enumerate(units):
                if (cause := give(unit)) is None:
                    continue
                # What comes behind would only find the time used up, too.
                lost = units[index:] if cause in ("queue-full", "timeout", "shutdown") else [unit]
                result = self._lose(cause, [span for each in lost for span in each.spans], unit.why)
                if len(lost) > 1:
                    break
        return result

    def batch_processor(
        self,
        *,
        max_queue_size: int | None = None,
        schedule_delay_millis: float | None = None,
        max_export_batch_size: int | None = None,
        export_timeout_millis: float | None = None,
    ) -> BatchSpanProcessor:
        """Returns a new BatchSpanProcessor of the SDK for this exporter, whose `force_flush` also waits for delivery.

        The SDK's own only hands the spans over, and then says that they are flushed. The options are the SDK's, with
        its defaults.
        """
        return _DeliveringProcessor(
            self,
            self._settled,
            max_queue_size=max_queue_size,
            schedule_delay_millis=schedule_delay_millis,
            max_export_batch_size=max_export_batch_size,
            export_timeout_millis=export_timeout_millis,
        )

    def force_flush(self, timeout_millis: float = 30_000) -> bool:
        """Waits until what was exported is delivered or lost; returns whether it is after so many milliseconds."""
        return self._settled(timeout_millis / 1000) is not None

    def _settled(self, seconds: float) -> bool | None:
        """Whether all that was exported so far was delivered; None if some of it still waits after so many seconds."""
        with self._changed:
            waiting = frozenset(self._held)
            if not self._changed.wait_for(lambda: self._held.isdisjoint(waiting), seconds):
                return None
            return not any(unit.is_lost for unit in waiting)

    # The SDK passes the time that is left when it finds this parameter.
    def shutdown(self, timeout_millis: float = 30_000) -> int:  # type: ignore[override]
        """Flushes for so many milliseconds and shuts down. Returns how many queued spans were not delivered."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._undelivered is not None:
            return self._undelivered
        self._undelivered = 0
        if os.getpid() != self._process:
            return 0
        self.force_flush(timeout_millis)
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        self._signer.close(0)
        self._delegate.shutdown()
        if self._queue is not None:
            self._worker.join(_LAST_WAIT)
        with self._changed:
            left = list(self._units)
            self._units.clear()
            for unit in left:
                unit.is_given_up = unit.is_lost = True
                self._release(unit)
        lost = [span for unit in left for span in unit.spans]
        if lost:
            self._lose("shutdown", lost, "the exporter was shut down before")
        self._undelivered = len(lost)
        return self._undelivered

    def stats(self) -> Stats:
        """Returns the counts so far, and what waits now."""
        spans, size = self._waiting()
        return replace(self._ledger.stats(), waiting_spans=spans, waiting_bytes=size)

    def _waiting(self) -> tuple[int, int]:
        """Spans that are neither delivered nor lost yet, and their bytes."""
        with self._changed:
            return self._held_spans, self._held_bytes

    def _hold(self, unit: _Unit) -> None:
        """Counts a unit as waiting, under the lock."""
        self._held.add(unit)
        self._held_spans += unit.batch.spans
        self._held_bytes += unit.bytes

    def _release(self, unit: _Unit) -> None:
        """Counts a unit as waiting no more, under the lock."""
        self._held.remove(unit)
        self._held_spans -= unit.batch.spans
        self._held_bytes -= unit.bytes
        self._changed.notify_all()

    def _units_of(self, spans: Sequence[ReadableSpan], deadline: float) -> tuple[list[_Unit], list[ReadableSpan]]:
        """Batches of the spans, in the order of their encoding; and those that have none."""
        encoded, encodable, unencodable = _encoded(spans)
        by_id: dict[tuple[bytes, bytes], deque[ReadableSpan]] = {}
        for span in encodable:
            by_id.setdefault(_ids(span), deque()).append(span)
        ordered = deque(
            by_id[each.trace_id, each.span_id].popleft()
            for resource_spans in encoded
            for scope_spans in resource_spans.scope_spans
            for each in scope_spans.spans
        )
        units = [
            _Unit([ordered.popleft() for _ in range(batch.spans)], batch, deadline)
            for batch in self._signer.split(encoded)
        ]
        return units, unencodable

    def _enqueue(self, unit: _Unit) -> Cause | None:
        """Waits for room. Returns why the unit is lost."""
        with self._changed:
            has_room = self._changed.wait_for(lambda: self._is_closed or self._has_room(unit), self._timeout)
            if self._is_closed:
                unit.why = "the exporter is shut down"
                return "shutdown"
            if not has_room:
                unit.why = f"the queue had no room for {self._timeout} s"
                return "queue-full"
            self._units.append(unit)
            self._hold(unit)
            self._changed.notify_all()
        return None

    def _has_room(self, unit: _Unit) -> bool:
        if self._queue is None or not self._units:
            return True
        spans, size = self._held_spans + unit.batch.spans, self._held_bytes + unit.bytes
        return spans <= self._queue.spans and size <= self._queue.bytes

    def _deliver_now(self, unit: _Unit) -> Cause | None:
        with self._changed:
            self._hold(unit)
        cause: Cause | None = "rejected"
        try:
            cause = self._sign_and_deliver(unit, "timeout")
            return cause
        finally:
            with self._changed:
                unit.is_lost |= cause is not None
                self._release(unit)

    def _work(self) -> None:
        """Signs and delivers what is queued, until the exporter is stopped."""
        with _untraced():
            self._work_untraced()

    def _work_untraced(self) -> None:
        while (unit := self._first_unit()) is not None:
            try:
                cause = self._sign_and_deliver(unit, "undeliverable")
            except Exception as error:
                _logger.exception("The exporter failed on a batch.")
                cause, unit.why = "rejected", f"the exporter failed on it: {type(error).__name__}"
            if cause == "shutdown":
                return  # what is left is counted there
            with self._changed:
                is_mine = not unit.is_given_up
                if is_mine:
                    self._units.popleft()
                    unit.is_lost |= cause is not None
                    self._release(unit)
            if is_mine and cause is not None:
                self._lose(cause, unit.spans, unit.why)

    def _first_unit(self) -> _Unit | None:
        """Waits for one. None once stopped. Those behind it are on their way to be signed already."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._units) or self._stopped.is_set())
            ahead = [self._units[i] for i in range(min(_MAX_AHEAD, len(self._units)))]
        if self._stopped.is_set():
            return None
        for unit in ahead:
            self._start_signing(unit)
        return ahead[0]

    def _start_signing(self, unit: _Unit) -> None:
        if unit.answer is not None:
            return
        try:
            unit.answer = self._signer.sign_batch(unit.batch, timeout=max(0.0, unit.deadline - time.monotonic()))
        except (SigningError, TimeoutError):
            return  # found out when its turn comes

    def _sign_and_deliver(self, unit: _Unit, late: Cause) -> Cause | None:
        """Returns why the unit is lost; None if it was delivered."""
        results = self._sign(unit, late)
        if isinstance(results, str):
            return results
        spans = self._with_evidence(unit, results)
        if not spans:
            return None
        for wait in _waits(_MAX_WAIT):
            with logged_refusal() as refusal:
                is_taken = self._hand_over(spans)
            if is_taken:
                with self._changed:
                    if not unit.is_given_up:
                        self._ledger.delivered(len(spans))
                return None
            if refusal.line is not None:
                unit.why = f"the backend refuses them: {refusal.line}"
                return "rejected"
            unit.why = "the backend did not take them in time"
            if self._stopped.is_set():
                return "shutdown"
            if time.monotonic() + wait > unit.deadline:
                return late
            self._stopped.wait(wait)
        return late

    def _sign(self, unit: _Unit, late: Cause) -> list[SpanResult] | Cause:
        """One result a span, or why the unit is lost."""
        for wait in _waits(_MAX_REFUSED_WAIT):
            self._start_signing(unit)
            if self._stopped.is_set():
                return "shutdown"
            if unit.answer is None:
                unit.why = unit.why or "the service did not answer those before them"
                return late
            try:
                return unit.answer.result(max(0.0, unit.deadline - time.monotonic()))
            except (TimeoutError, FutureTimeoutError):
                self._withdraw(unit.answer)
                unit.why = "the service did not sign them in time"
                return late
            except SigningError as error:
                if self._stopped.is_set():
                    return "shutdown"
                unit.why = f"the service refuses them: {error}"
                if error.code in _REJECTIONS:
                    return "rejected"
                self._ledger.log("refused-batch", f"The service refuses a batch, which is tried again ({error})")
                unit.answer = None
            if time.monotonic() + wait > unit.deadline:
                return late
            self._stopped.wait(wait)
        return late

    def _withdraw(self, answer: Future[list[SpanResult]]) -> None:
        try:
            self._signer.withdraw(answer)
        except (SigningError, InvalidStateError):
            return  # closed or answered meanwhile

    def _with_evidence(self, unit: _Unit, results: list[SpanResult]) -> list[ReadableSpan]:
        """Returns the spans as they are delivered, and takes those that are dropped out of the unit."""
        pairs = list(zip(unit.spans, results, strict=True))
        refused = [(span, result) for span, result in pairs if isinstance(result, RefusedSpan)]
        if refused:
            self._ledger.refused(len(refused), refused[0][1])
        if refused and self._drops_refused:
            pairs = [(span, result) for span, result in pairs if not isinstance(result, RefusedSpan)]
            with self._changed:
                is_mine = not unit.is_given_up
                if is_mine:
                    unit.spans = [span for span, _ in pairs]
                    unit.is_lost = True
            if is_mine:
                self._lose("rejected", [span for span, _ in refused], _unsigned(refused[0][1])[_UNSIGNED_REASON])
        return [
            _ExtendedSpan(span, _unsigned(result) if isinstance(result, RefusedSpan) else result.attributes)
            for span, result in pairs
        ]

    def _hand_over(self, spans: list[ReadableSpan]) -> bool:
        try:
            return self._delegate.export(spans) is SpanExportResult.SUCCESS
        except Exception as error:
            self._ledger.log("delegate", f"The delegate raised {type(error).__name__}")
            return False

    def _lose(self, cause: Cause, spans: list[ReadableSpan], why: str) -> SpanExportResult:
        self._ledger.lost(Loss(cause, spans, why))
        return SpanExportResult.FAILURE


class _DeliveringProcessor(BatchSpanProcessor):
    """The SDK's processor, which flushes its exporter, too."""

    def __init__(
        self, exporter: SigningExporter, settled: Callable[[float], bool | None], **options: int | float | None
    ) -> None:
        super().__init__(exporter, **options)  # type: ignore[arg-type]
        self.__exporter = exporter
        self.__settled = settled

    def force_flush(self, timeout_millis: float | None = None) -> bool:
        """Hands over what the processor has, and waits for delivery: 30 s unless another time is given.

        Returns whether all that ended before was delivered in that time.
        """
        seconds = _FLUSH_SECONDS if timeout_millis is None else timeout_millis / 1000
        deadline = time.monotonic() + seconds
        lost_before = self.__exporter.stats().lost
        # The SDK hands over for however long the exporter waits for room.
        if not _within(seconds, super().force_flush):
            return False
        if not self.__settled(max(0.0, deadline - time.monotonic())):
            return False
        return self.__exporter.stats().lost == lost_before


def _within(seconds: float, flush: Callable[[int], bool]) -> bool:
    """Whether a flush succeeds in time. If not it goes on, on a thread of its own."""
    outcome: Future[bool] = Future()

    def work() -> None:
        try:
            outcome.set_result(flush(int(seconds * 1000)))
        except Exception as error:
            outcome.set_exception(error)

    try:
        threading.Thread(target=work, name="fluo-kms-flush", daemon=True).start()
    except RuntimeError:
        work()  # no thread starts while the interpreter ends
    try:
        return outcome.result(seconds)
    except (TimeoutError, FutureTimeoutError):
        return False


class _ExtendedSpan(ReadableSpan):
    """A span with more attributes, and with the dropped counts that it had."""

    def __init__(self, span: ReadableSpan, attributes: Mapping[str, str]) -> None:
        super().__init__(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes={**(span.attributes or {}), **attributes},
            events=span.events,
            links=span.links,
            kind=span.kind,
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )
        self._dropped = span.dropped_attributes, span.dropped_events, span.dropped_links

    @property
    def dropped_attributes(self) -> int:
        """The count that the span had."""
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        """The count that the span had."""
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        """The count that the span had."""
        return self._dropped[2]


@dataclass
class _Ledger:
    """Counts, and tells of losses."""

    on_lost: OnLost | None
    on_loss: OnLoss | None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _delivered: int = 0
    _refused: int = 0
    _lost: dict[Cause, int] = field(default_factory=dict)
    _logged: dict[str, tuple[float, int]] = field(default_factory=dict)
    """When each kind of line was last logged, and how many were left out since."""

    def stats(self) -> Stats:
        with self._lock:
            return Stats(self._delivered, self._refused, dict(self._lost))

    def delivered(self, spans: int) -> None:
        with self._lock:
            self._delivered += spans

    def refused(self, spans: int, first: RefusedSpan) -> None:
        with self._lock:
            self._refused += spans
        self.log(
            "refused", f"The service refuses {spans} spans, the first because: {_unsigned(first)[_UNSIGNED_REASON]}"
        )

    def lost(self, loss: Loss) -> None:
        cause, count = loss.cause, len(loss.spans)
        with self._lock:
            total = self._lost[cause] = self._lost.get(cause, 0) + count
        self.log(cause, f"{count} spans are lost ({cause}), {total} so far: {loss.why}")
        try:
            if self.on_loss is not None:
                self.on_loss(loss)
            if self.on_lost is not None:
                self.on_lost(cause, loss.spans)
        except Exception:
            _logger.exception("The callback of losses failed.")

    def log(self, kind: str, line: str) -> None:
        """Logs at most one line of a kind in ten seconds."""
        now = time.monotonic()
        with self._lock:
            last, left_out = self._logged.get(kind, (None, 0))
            if last is not None and now - last < _LOG_INTERVAL:
                self._logged[kind] = last, left_out + 1
                return
            self._logged[kind] = now, 0
        more = f"; {left_out} such lines were left out" if left_out else ""
        _logger.warning("%s%s.", line, more)


def _observe_waiting(
    provider: MeterProvider, tenant: str, waiting: weakref.WeakMethod[Callable[[], tuple[int, int]]]
) -> None:
    """Registers gauges of what waits, read as long as there is an exporter: the API cannot remove them."""
    meter = provider.get_meter("fluo_kms")

    def read(index: int) -> Callable[[CallbackOptions], Iterator[Observation]]:
        def observe(_: CallbackOptions) -> Iterator[Observation]:
            if (now := waiting()) is not None:
                yield Observation(now()[index], {"fluo.kms.tenant": tenant})

        return observe

    meter.create_observable_gauge(
        "fluo.kms.exporter.waiting.spans",
        [read(0)],
        unit="{span}",
        description="Spans that a signing exporter has neither delivered nor lost yet",
    )
    meter.create_observable_gauge(
        "fluo.kms.exporter.waiting.bytes",
        [read(1)],
        unit="By",
        description="What the spans that wait in a signing exporter take as OTLP messages",
    )


def _encoded(spans: Sequence[ReadableSpan]) -> tuple[list[ResourceSpans], list[ReadableSpan], list[ReadableSpan]]:
    """OTLP messages; the spans in them; and those that OTLP cannot hold, such as one with half of a surrogate pair."""
    encoded = _encode(spans)
    if encoded is not None:
        return encoded, list(spans), []
    each_encoded = [(span, _encode([span])) for span in spans]
    return (
        [each for _, encoded in each_encoded if encoded is not None for each in encoded],
        [span for span, encoded in each_encoded if encoded is not None],
        [span for span, encoded in each_encoded if encoded is None],
    )


def _encode(spans: Sequence[ReadableSpan]) -> list[ResourceSpans] | None:
    try:
        return list(encode_spans(spans).resource_spans)
    except Exception:
        return None


def _ids(span: ReadableSpan) -> tuple[bytes, bytes]:
    context: Any = span.get_span_context()
    return context.trace_id.to_bytes(16, "big"), context.span_id.to_bytes(8, "big")


def _unsigned(refused: RefusedSpan) -> dict[str, str]:
    place = f" {refused.field}:" if refused.field else ""
    return {_UNSIGNED_REASON: f"{refused.code}:{place} {refused.message}"}


def _waits(most: float) -> Iterator[float]:
    """Seconds between tries, twice as many each time, less some, so that processes spread."""
    wait = _FIRST_WAIT
    while True:
        yield wait * random.uniform(0.5, 1.0)  # noqa: S311
        wait = min(most, 2 * wait)
