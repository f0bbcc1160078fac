"""Signs spans by the batch over one stream, which is opened again wherever it breaks.

`fluo_kms.aio.SpanSigner` is the twin for asyncio.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import os
import threading
from collections.abc import Coroutine, Iterable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

from fluo_kms._client import KmsClient
from fluo_kms._encoded import Encoded
from fluo_kms._signing.batches import MODES, Batch, Mode, split
from fluo_kms._signing.results import RefusedSpan, SignedSpan, SigningError, SpanResult
from fluo_kms._signing.stream import SigningStream, closed, refused_for_size
from fluo_kms._twins import refuse_async
from fluo_kms.aio._client import open_async_channel

__all__ = ["Mode", "RefusedSpan", "SignedSpan", "SigningError", "SpanResult", "SpanSigner"]

_LAST_WAIT = 1.0

T = TypeVar("T")


class SpanSigner:
    """Signs OTLP spans for one tenant.

        with KmsClient("kms.example.com:9000") as kms, SpanSigner(kms, "acme") as signer:
            answer = signer.sign([resource_spans])
            for result in answer.result():
                …

    Batches are answered in their order. A stream that breaks is opened again, and what it did not answer is sent again
    with the same bytes: mode LOG then gives the same places. Mode INDIVIDUAL remembers nothing, so that a span may be
    signed twice; both signatures verify. What is unanswered for 23 hours fails, and so does all that is unanswered
    when a renewed token is refused, too. A batch that the service refuses fails alone.

    It may be used by several threads, and has one of its own, a daemon: close it, or what is unanswered is lost with
    the process. It does not survive a fork: open it in each process behind it.
    """

    def __init__(self, client: KmsClient, tenant: str, *, mode: Mode = "LOG", max_unanswered: int = 4) -> None:
        """Opens a signer with a connection of its own to the client's service, and asks its token for each stream.

        `sign` blocks while `max_unanswered` batches are unanswered. Raises OSError for a file that cannot be read.
        """
        refuse_async(client, "fluo_kms.signer.SpanSigner")
        if max_unanswered < 1:
            raise ValueError("max_unanswered must be at least 1")
        self._tenant = tenant
        self._mode = MODES[mode]
        self._process = os.getpid()
        self._is_closed = False
        self._lock = threading.Lock()
        """Held to hand work to the loop, so that it gets none behind what closes it."""
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_ignore_shared_wake_up)
        # What the context says, such as that nothing be traced, holds for the calls, too.
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._serve,), name="fluo-kms-span-signer", daemon=True)
        self._thread.start()
        try:
            self._channel, self._stream = self._wait(self._open(client, max_unanswered))
        except BaseException:
            self._end_thread()
            raise

    def sign(self, resource_spans: Iterable[Encoded]) -> Future[list[SpanResult]]:
        """Takes spans and returns the future of one result a span, in order; blocks while too much is unanswered.

        `resource_spans` are OTLP ResourceSpans, as bytes or as messages, OpenTelemetry's own among them. The future
        raises SigningError if a batch was not signed; a large call is several batches. Its callbacks run on the
        signer's thread and must not block. Raises SigningError once closed, and ValueError for bytes that are no
        ResourceSpans.
        """
        return _joined([self.sign_batch(batch) for batch in self.split(resource_spans)])

    def split(self, resource_spans: Iterable[Encoded]) -> list[Batch]:
        """Returns the batches that `sign` makes of spans, for those who want to know the fate of each."""
        return split(resource_spans, self._tenant, self._mode)

    def sign_batch(self, batch: Batch, *, timeout: float | None = None) -> Future[list[SpanResult]]:
        """Does as `sign` does with one batch of `split`. Signed again, it gets the same places in a log.

        Raises TimeoutError when there is no room for so many seconds.
        """
        answer: Future[list[SpanResult]] = Future()
        answer.set_running_or_notify_cancel()
        if batch.is_too_large:
            answer.set_result(refused_for_size(batch))
            return answer
        try:
            self._wait(self._stream.admit(batch, answer), timeout)
        except TimeoutError:
            # Room may have been found before the loop knew that it was too late.
            with contextlib.suppress(SigningError):
                self._start(self._withdraw(answer))
            raise
        return answer

    def withdraw(self, answer: Future[list[SpanResult]]) -> None:
        """Gives up a batch by the future of its answer, which then fails unless it is done. The service may have it."""
        if not answer.done():
            self._wait(self._withdraw(answer))

    def flush(self, timeout: float | None = None) -> None:
        """Waits until all that was taken is answered or has failed.

        Raises TimeoutError after so many seconds, and SigningError once closed.
        """
        self._wait(self._stream.flush(), timeout)

    def close(self, timeout: float = 30.0) -> None:
        """Waits so many seconds for answers, fails what is then unanswered, and closes the connection."""
        if os.getpid() != self._process:
            return
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        asyncio.run_coroutine_threadsafe(self._close(timeout), self._loop).result()
        self._end_thread()

    def __enter__(self) -> SpanSigner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _open(self, client: KmsClient, max_unanswered: int) -> tuple[Any, SigningStream]:
        channel = open_async_channel(client.connection)
        return channel, SigningStream(channel, token=client.token, max_unanswered=max_unanswered)

    async def _withdraw(self, answer: Future[list[SpanResult]]) -> None:
        self._stream.withdraw(answer)

    async def _close(self, timeout: float) -> None:
        await self._stream.close(timeout)
        await self._channel.close()
        # What gRPC has left to do. The loop would otherwise end amid it, and print so.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=_LAST_WAIT)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _end_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _wait(self, work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        done = self._start(work)
        try:
            return done.result(timeout)
        except _TIMEOUTS:
            if done.cancel():
                raise TimeoutError(f"nothing was answered in {timeout} s") from None
            return done.result()  # it came in the last moment
        except BaseException:
            done.cancel()
            raise

    def _start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if os.getpid() != self._process:
            work.close()
            raise RuntimeError("the signer was opened before a fork; open one in each process")
        with self._lock:
            if self._is_closed:
                work.close()
                raise closed()
            return asyncio.run_coroutine_threadsafe(work, self._loop)


# One class since Python 3.11.
_TIMEOUTS = (TimeoutError, concurrent.futures.TimeoutError)


def _joined(answers: list[Future[list[SpanResult]]]) -> Future[list[SpanResult]]:
    """The results of several batches as one; the first failure among them, once all are done."""
    if len(answers) == 1:
        return answers[0]
    whole: Future[list[SpanResult]] = Future()
    whole.set_running_or_notify_cancel()
    lock = threading.Lock()
    missing = len(answers)

    def done(_: Future[list[SpanResult]]) -> None:
        nonlocal missing
        with lock:
            missing -= 1
            if missing > 0:
                return
        error = next((error for each in answers if (error := each.exception()) is not None), None)
        if error is not None:
            whole.set_exception(error)
        else:
            whole.set_result([result for each in answers for result in each.result()])

    for answer in answers:
        answer.add_done_callback(done)
    if not answers:
        whole.set_result([])
    return whole


def _ignore_shared_wake_up(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Passes over what gRPC raises when several event loops are woken and one has read the wake-up already."""
    if not isinstance(context.get("exception"), BlockingIOError):
        loop.default_exception_handler(context)
