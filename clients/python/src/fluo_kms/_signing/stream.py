"""Batches over one SignSpans stream at a time, answered in their order.

What a broken stream did not answer goes over a new one with unchanged bytes. So a log gives it the places that it may
already have. This runs on an event loop, of which a thread may be the owner: gRPC's streams without one start threads,
which Python 3.12 refuses while the interpreter ends, when the last spans are exported.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
import grpc.aio

from fluo.kms.v1.signing_pb2 import SignSpansResponse
from fluo_kms._connection import with_authorization
from fluo_kms._errors import ErrorDetails, details_of
from fluo_kms._signing.batches import Batch
from fluo_kms._signing.results import RefusedSpan, SigningError, SpanResult, result_of

_METHOD = "/fluo.kms.v1.KmsService/SignSpans"
_FIRST_WAIT, _MAX_WAIT = 0.1, 5.0
# The service remembers the names of batches for 24 hours.
_MAX_UNANSWERED_SECONDS = 23 * 3600.0

# The words of gRPC's own status for a message that could not be written.
_WRITE_FAILED = "Internal error from Core"

_PASSING = frozenset({"OK", "UNAVAILABLE", "ABORTED", "RESOURCE_EXHAUSTED"})
# What gRPC calls a connection that was cut, depending on where it was; the service's own have a reason beside them.
_CUT = frozenset({"INTERNAL", "UNKNOWN", "CANCELLED", "DEADLINE_EXCEEDED"})


def elapsed_clock() -> float:
    """Seconds that pass while the machine sleeps, too, if the platform can count them."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Answer(Protocol):
    """The future of a batch's results: of `concurrent.futures`, or of `asyncio`."""

    def done(self) -> bool: ...
    def set_result(self, result: list[SpanResult], /) -> None: ...
    def set_exception(self, exception: SigningError, /) -> None: ...


@dataclass(eq=False)
class Pending:
    """A batch that waits for its answer."""

    batch: Batch
    answer: Answer
    results: list[SpanResult] = field(default_factory=list)
    """Results of the answer's messages so far."""
    is_withdrawn: bool = False
    """Whether nobody waits for the answer. It stays until its stream ends if that has sent it."""

    def resolve(self) -> None:
        """Gives the results to those who wait, unless their future was withdrawn or cancelled."""
        if not self.answer.done():
            self.answer.set_result(self.results)

    def fail(self, error: SigningError) -> None:
        """Gives an error to those who wait, unless their future was withdrawn or cancelled."""
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(frozen=True)
class _End:
    """How a stream ended."""

    code: str
    message: str
    details: ErrorDetails = field(default_factory=ErrorDetails)

    @property
    def is_passing(self) -> bool:
        return self.code in _PASSING or (self.code in _CUT and self.details.reason == "")

    def error(self) -> SigningError:
        return SigningError(self.code, self.message, self.details)


class _Statuses:
    """The statuses that gRPC gives a call, of which only one is the service's.

    When a message cannot be written, gRPC sets a status of its own in the place of the service's. That one came before,
    comes soon, or never comes if answers are unread. Then the stream counts as cut, and a refusal comes with the next.
    """

    def __init__(self, call: Any) -> None:
        self._call = call
        self._known: list[grpc.aio.AioRpcError] = []
        self._is_known = asyncio.Event()
        call.add_done_callback(self._note)

    async def end(self) -> _End:
        """Returns how the call ended, by the service's status if that comes soon."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._is_known.wait(), _FIRST_WAIT)
        error = next((each for each in self._known if not _is_of_grpc(each)), None)
        if error is None:
            return _End("UNAVAILABLE", "the stream was cut")
        if error.code() is grpc.StatusCode.OK:
            return _End("OK", "the stream ended without an answer to every batch")
        return _End(error.code().name, error.details() or "", details_of(error))

    def _note(self, call: Any) -> None:
        # All of these are known already, so that no coroutine waits.
        code, details, trailing = (_now(each()) for each in (call.code, call.details, call.trailing_metadata))
        error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing or grpc.aio.Metadata(), details)
        self._known.append(error)
        if not _is_of_grpc(error):
            self._is_known.set()


def _is_of_grpc(error: grpc.aio.AioRpcError) -> bool:
    is_internal = error.code() is grpc.StatusCode.INTERNAL
    return is_internal and error.details() == _WRITE_FAILED and len(error.trailing_metadata()) == 0


def _now(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that does not wait."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise RuntimeError("a status that is set must be known")


class SigningStream:
    """Belongs to the event loop that runs when it is made."""

    def __init__(
        self,
        channel: Any,
        *,
        token: Callable[[], Any] | None,
        max_unanswered: int,
        clock: Callable[[], float] = elapsed_clock,
    ) -> None:
        self._method = channel.stream_stream(_METHOD, response_deserializer=SignSpansResponse.FromString)
        self._token = token
        self._clock = clock
        self._room = asyncio.Semaphore(max_unanswered)
        self._unanswered: deque[Pending] = deque()
        self._sent = 0
        """How many of the unanswered went over the present stream."""
        self._more = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._admitting: set[asyncio.Task[Any]] = set()
        """Those that wait for room."""
        self._is_closing = False
        self._is_renewed = False
        """Whether the present token was asked for because the one before was refused."""
        self._call: Any = None
        self._running = asyncio.create_task(self._run())

    async def admit(self, batch: Batch, answer: Answer) -> None:
        """Takes a batch, and the future of its answer, when there is room. Raises SigningError once closed."""
        await self._acquire_room()
        if self._is_old(batch):
            self._room.release()
            answer.set_exception(_expired())
            return
        self._unanswered.append(Pending(batch, answer))
        self._idle.clear()
        self._more.set()

    def withdraw(self, answer: Answer) -> None:
        """Gives up a batch that is not answered yet: its room is free, and it is not sent again."""
        pending = next((each for each in self._unanswered if each.answer is answer), None)
        if pending is None or pending.is_withdrawn:
            return
        pending.is_withdrawn = True
        self._room.release()
        pending.fail(SigningError("CANCELLED", "the batch was withdrawn"))
        if self._call is None:
            self._drop_withdrawn()

    async def flush(self) -> None:
        """Waits until every batch that was taken is answered or has failed."""
        await self._idle.wait()

    async def close(self, timeout: float) -> None:
        """Takes no more, waits for answers, and fails what is left. Afterwards nobody waits for room."""
        self._is_closing = True
        self._more.set()
        await asyncio.wait([self._running], timeout=timeout)
        if self._call is not None:
            self._call.cancel()
        self._running.cancel()
        # gRPC and, before Python 3.12, asyncio.wait_for lose a cancellation that comes as what they wait for is done.
        while (await asyncio.wait([self._running], timeout=_FIRST_WAIT))[1]:
            self._running.cancel()
        self._fail_all(SigningError("CANCELLED", "the signer was closed before the service answered"))
        if self._admitting:
            # The loop may end with this, and nobody would wake them.
            for task in self._admitting:
                task.cancel()
            await asyncio.wait(self._admitting)

    async def _acquire_room(self) -> None:
        """Waits for room. Raises SigningError once closed."""
        task: Any = asyncio.current_task()
        self._admitting.add(task)
        try:
            await self._room.acquire()
        except asyncio.CancelledError:
            if self._is_closing:
                raise closed() from None
            raise
        finally:
            self._admitting.discard(task)
        if self._is_closing:
            self._room.release()
            raise closed()

    async def _run(self) -> None:
        try:
            await self._run_streams()
        except Exception as error:
            # A defect of this client: whoever waits must learn of it.
            self._is_closing = True
            self._fail_all(SigningError("INTERNAL", f"the signer failed: {type(error).__name__}: {error}"))
            raise

    async def _run_streams(self) -> None:
        failures = 0
        while True:
            while not self._unanswered and not self._is_closing:
                self._more.clear()
                await self._more.wait()
            self._expire()
            if not self._unanswered:
                if self._is_closing:
                    return
                continue
            end, answered = await self._over_one_stream()
            if answered:
                failures, self._is_renewed = 0, False
            if not self._unanswered:
                continue
            if self._is_repeated(end):
                await asyncio.sleep(_wait(failures, end.details))
                failures += 1

    def _is_repeated(self, end: _End) -> bool:
        """Whether the unanswered go over another stream; else fails those that the end is about."""
        if end.is_passing:
            return True
        if end.code == "UNAUTHENTICATED":
            if not self._is_renewed:
                self._is_renewed = True
                return True
            self._is_renewed = False
            self._fail_all(end.error())
            return False
        self._fail_first(end.error())
        return False

    async def _over_one_stream(self) -> tuple[_End, bool]:
        """Sends what is unanswered and what is taken meanwhile; returns how it ended, and if a batch was answered."""
        self._sent = 0
        answered = False
        try:
            self._call = call = self._method(metadata=await self._metadata())
        except Exception as error:
            # The token function's own, whose words may hold a secret.
            return _End("UNAUTHENTICATED", f"the token function raised {type(error).__name__}"), False
        statuses = _Statuses(call)
        sending = asyncio.create_task(self._send(call))
        try:
            while (response := await call.read()) is not grpc.aio.EOF:
                answered = self._take(response) or answered
            end = await statuses.end()
        except SigningError as error:
            call.cancel()
            self._fail_first(error)
            end = _End("OK", "the stream was ended because of an answer")
        except grpc.aio.AioRpcError:
            end = await statuses.end()
        finally:
            self._call = None
            self._sent = 0
            self._drop_withdrawn()
            for pending in self._unanswered:
                pending.results.clear()
            sending.cancel()
            while (await asyncio.wait([sending], timeout=_FIRST_WAIT))[1]:
                sending.cancel()  # as in close
        return end, answered

    async def _send(self, call: Any) -> None:
        try:
            while True:
                while self._sent < len(self._unanswered):
                    pending = self._unanswered[self._sent]
                    self._sent += 1
                    if pending.batch.first_sent is None:
                        pending.batch.first_sent = self._clock()
                    await call.write(pending.batch.request)
                if self._is_closing and not self._unanswered:
                    await call.done_writing()
                    return
                self._more.clear()
                await self._more.wait()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the stream has ended, and whoever reads it learns why
        except Exception:
            call.cancel()
            raise

    async def _metadata(self) -> grpc.aio.Metadata | None:
        if self._token is None:
            return None
        shown = self._token()
        token = await shown if inspect.isawaitable(shown) else shown
        return grpc.aio.Metadata(*with_authorization(None, token))

    def _take(self, response: SignSpansResponse) -> bool:
        """Takes an answer. Returns whether it completes a batch."""
        pending = self._unanswered[0] if self._sent > 0 and self._unanswered else None
        if pending is None or response.request_id not in ("", pending.batch.request_id):
            raise _another_answer()
        pending.results += map(result_of, response.results)
        count = len(pending.results)
        if count > pending.batch.spans or (response.batch_done and count < pending.batch.spans):
            raise _another_answer()
        if response.batch_done:
            self._sent -= 1
            self._remove_first()
            pending.resolve()
        return response.batch_done

    def _is_old(self, batch: Batch) -> bool:
        return batch.first_sent is not None and batch.first_sent <= self._clock() - _MAX_UNANSWERED_SECONDS

    def _expire(self) -> None:
        """Fails those that are too old. One that was signed again may stand behind younger ones."""
        old = [pending for pending in self._unanswered if self._is_old(pending.batch)]
        for pending in old:
            self._unanswered.remove(pending)
            self._fail(pending, _expired())

    def _fail_all(self, error: SigningError) -> None:
        while self._unanswered:
            self._fail_first(error)

    def _fail_first(self, error: SigningError) -> None:
        if self._unanswered:
            self._fail(self._unanswered.popleft(), error)

    def _fail(self, removed: Pending, error: SigningError) -> None:
        self._note_removed(removed)
        removed.fail(error)

    def _drop_withdrawn(self) -> None:
        if any(pending.is_withdrawn for pending in self._unanswered):
            self._unanswered = deque(pending for pending in self._unanswered if not pending.is_withdrawn)
            self._note_if_idle()

    def _remove_first(self) -> Pending:
        pending = self._unanswered.popleft()
        self._note_removed(pending)
        return pending

    def _note_removed(self, pending: Pending) -> None:
        if not pending.is_withdrawn:
            self._room.release()
        self._note_if_idle()

    def _note_if_idle(self) -> None:
        if not self._unanswered:
            self._idle.set()
            self._more.set()


def closed() -> SigningError:
    """The error of those that come once the signer is closed."""
    return SigningError("CANCELLED", "the signer is closed")


def _expired() -> SigningError:
    message = "the service has not answered for 23 hours, and may soon forget the batch: sign it anew"
    return SigningError("DEADLINE_EXCEEDED", message)


def refused_for_size(batch: Batch) -> list[SpanResult]:
    """The answer to a batch that is too large, as the service would give it."""
    message = "the span does not fit into a message of 4 MiB; make it smaller"
    return [RefusedSpan("RESOURCE_EXHAUSTED", "", message)] * batch.spans


def _wait(failures: int, details: ErrorDetails) -> float:
    """Seconds to wait: what the service asks for, or twice as long each time, less some, so that clients spread."""
    backoff = min(_MAX_WAIT, _FIRST_WAIT * 2.0 ** min(failures, 16)) * random.uniform(0.5, 1.0)  # noqa: S311
    asked = 0.0 if details.retry_after is None else details.retry_after.total_seconds()
    return max(backoff, asked)


def _another_answer() -> SigningError:
    return SigningError(
        "INTERNAL", "the service answered something else than the batch that it was sent; look at its version"
    )
