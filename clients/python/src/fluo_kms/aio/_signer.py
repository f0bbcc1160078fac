"""Signs spans by the batch with asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType

from fluo_kms._encoded import Encoded
from fluo_kms._signing.batches import MODES, Batch, Mode, split
from fluo_kms._signing.results import SpanResult
from fluo_kms._signing.stream import SigningStream, closed, refused_for_size
from fluo_kms._twins import refuse_sync
from fluo_kms.aio._client import AsyncKmsClient, open_async_channel


class SpanSigner:
    """Signs OTLP spans for one tenant, on the event loop that runs when it is opened.

        async with AsyncKmsClient("kms.example.com:9000") as kms, SpanSigner(kms, "acme") as signer:
            answer = await signer.sign([resource_spans])
            for result in await answer:
                …

    It makes the promises of `fluo_kms.signer.SpanSigner`: batches are answered in their order, a stream that breaks is
    opened again, and what it did not answer is sent again with the same bytes, so that a log gives it the same places.
    """

    def __init__(self, client: AsyncKmsClient, tenant: str, *, mode: Mode = "LOG", max_unanswered: int = 4) -> None:
        """Opens a signer with a connection of its own to the client's service, and asks its token for each stream.

        `sign` waits while `max_unanswered` batches are unanswered. Raises OSError for a file that cannot be read, and
        RuntimeError if no event loop runs.
        """
        refuse_sync(client, "fluo_kms.signer.SpanSigner")
        if max_unanswered < 1:
            raise ValueError("max_unanswered must be at least 1")
        asyncio.get_running_loop()
        self._tenant = tenant
        self._mode = MODES[mode]
        self._channel = open_async_channel(client.connection)
        self._stream = SigningStream(self._channel, token=client.token, max_unanswered=max_unanswered)
        self._closing: asyncio.Task[None] | None = None

    async def sign(self, resource_spans: Iterable[Encoded]) -> asyncio.Future[list[SpanResult]]:
        """Takes spans when there is room, and returns the future of one result a span, in order.

        `resource_spans` are OTLP ResourceSpans, as bytes or as messages, OpenTelemetry's own among them. The future
        raises SigningError if a batch was not signed; a large call is several batches. A call or a future that is
        cancelled withdraws its batches, which the service may have signed. Raises SigningError once closed, and
        ValueError for bytes that are no ResourceSpans.
        """
        answers: list[asyncio.Future[list[SpanResult]]] = []
        try:
            for batch in self.split(resource_spans):
                answers.append(await self.sign_batch(batch))
        except BaseException:
            for answer in answers:
                answer.cancel()
            raise
        return answers[0] if len(answers) == 1 else asyncio.ensure_future(_joined(answers))

    def split(self, resource_spans: Iterable[Encoded]) -> list[Batch]:
        """Returns the batches that `sign` makes of spans, for those who want to know the fate of each."""
        return split(resource_spans, self._tenant, self._mode)

    async def sign_batch(self, batch: Batch) -> asyncio.Future[list[SpanResult]]:
        """Does as `sign` does with one batch of `split`. Signed again, it gets the same places in a log."""
        answer: asyncio.Future[list[SpanResult]] = asyncio.get_running_loop().create_future()
        if batch.is_too_large:
            answer.set_result(refused_for_size(batch))
            return answer
        if self._closing is not None:
            raise closed()
        await self._stream.admit(batch, answer)
        answer.add_done_callback(lambda done: self._stream.withdraw(done) if done.cancelled() else None)
        return answer

    def withdraw(self, answer: asyncio.Future[list[SpanResult]]) -> None:
        """Gives up a batch by the future of its answer, which then fails unless it is done. The service may have it."""
        self._stream.withdraw(answer)

    async def flush(self, timeout: float | None = None) -> None:
        """Waits until all that was taken is answered or has failed.

        Raises TimeoutError after so many seconds, and SigningError once closed.
        """
        if self._closing is not None:
            raise closed()
        try:
            await asyncio.wait_for(self._stream.flush(), timeout)
        except asyncio.TimeoutError:  # another class before Python 3.11
            raise TimeoutError(f"nothing was answered in {timeout} s") from None

    async def close(self, timeout: float = 30.0) -> None:
        """Waits so many seconds for answers, fails what is then unanswered, and closes the connection.

        If this is cancelled the closing goes on.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(timeout))
        await asyncio.shield(self._closing)

    async def __aenter__(self) -> SpanSigner:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _close(self, timeout: float) -> None:
        await self._stream.close(timeout)
        await self._channel.close()


async def _joined(answers: list[asyncio.Future[list[SpanResult]]]) -> list[SpanResult]:
    """The results of several batches as one; the first failure among them, once all are done."""
    try:
        if answers:
            await asyncio.wait(answers)
    except asyncio.CancelledError:
        for answer in answers:
            answer.cancel()
        raise
    failed = next((error for each in answers if not each.cancelled() and (error := each.exception())), None)
    if failed is not None:
        raise failed
    return [result for each in answers for result in each.result()]
