"""Signs the spans that OpenTelemetry exports from a program with asyncio."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, cast

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from fluo_kms import otel
from fluo_kms._client import KmsClient
from fluo_kms._connection import Connection
from fluo_kms._signing.batches import Mode
from fluo_kms._twins import refuse_sync
from fluo_kms.aio._client import AsyncKmsClient, AsyncTokenFunction


class SigningExporter:
    """Signs what a provider exports, and lets the event loop run meanwhile.

        async with (
            AsyncKmsClient("kms.example.com:9000") as kms,
            SigningExporter(OTLPSpanExporter(), kms, tenant="acme") as exporter,
        ):
            provider.add_span_processor(exporter.batch_processor())
            …

    It makes the promises of `fluo_kms.otel.SigningExporter`. The SDK exports from a thread of its own, and waits there;
    `force_flush` and `shutdown` are awaited in the place of the provider's, which would hold up the loop. It has a
    connection of its own to the client's service, and asks the client's token on the client's loop.
    """

    def __init__(
        self,
        delegate: SpanExporter,
        client: AsyncKmsClient,
        *,
        tenant: str,
        mode: Mode = "LOG",
        queue: otel.Queue | None = otel.Queue(),  # noqa: B008 - it cannot be changed
        timeout: float = 30.0,
        on_refused: Literal["forward", "drop"] = "forward",
        delivery_age: float = 3600.0,
        on_loss: otel.OnLoss | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Opens an exporter on the event loop that runs; the arguments are those of `fluo_kms.otel.SigningExporter`.

        `on_loss` is called on whichever thread finds the loss. Raises RuntimeError if no event loop runs.
        """
        refuse_sync(client, "fluo_kms.otel.SigningExporter")
        token = None if client.token is None else _asked_on(asyncio.get_running_loop(), client.token)
        self._exporter = otel.SigningExporter(
            delegate,
            cast("KmsClient", _Access(client.connection, token)),
            tenant=tenant,
            mode=mode,
            queue=queue,
            timeout=timeout,
            on_refused=on_refused,
            delivery_age=delivery_age,
            on_loss=on_loss,
            meter_provider=meter_provider,
        )
        self._processors: list[BatchSpanProcessor] = []

    def batch_processor(
        self,
        *,
        max_queue_size: int | None = None,
        schedule_delay_millis: float | None = None,
        max_export_batch_size: int | None = None,
        export_timeout_millis: float | None = None,
    ) -> BatchSpanProcessor:
        """Returns a new BatchSpanProcessor of the SDK for a provider. The options are the SDK's, with its defaults."""
        processor = self._exporter.batch_processor(
            max_queue_size=max_queue_size,
            schedule_delay_millis=schedule_delay_millis,
            max_export_batch_size=max_export_batch_size,
            export_timeout_millis=export_timeout_millis,
        )
        self._processors.append(processor)
        return processor

    async def force_flush(self, timeout: float = 30.0) -> bool:
        """Waits until what ended so far is delivered or lost; returns whether all was delivered in so many seconds."""
        flushes = [asyncio.to_thread(each.force_flush, int(timeout * 1000)) for each in self._processors]
        return all(await asyncio.gather(*flushes))

    async def shutdown(self, timeout: float = 30.0) -> int:
        """Flushes for so many seconds and shuts down, with its processors. Returns how many spans were not delivered.

        If this is cancelled the shutdown goes on, on a thread of its own.
        """
        return await asyncio.to_thread(self._shut_down, timeout)

    def stats(self) -> otel.Stats:
        """Returns the counts so far, and what waits now."""
        return self._exporter.stats()

    async def __aenter__(self) -> SigningExporter:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    def _shut_down(self, timeout: float) -> int:
        deadline = time.monotonic() + timeout

        def left() -> float:
            return max(0.0, deadline - time.monotonic()) * 1000

        for each in self._processors:
            each.force_flush(int(left()))
        undelivered = self._exporter.shutdown(left())
        for each in self._processors:
            each.shutdown()  # type: ignore[no-untyped-call]  # one of the SDK
        return undelivered


@dataclass(frozen=True)
class _Access:
    """What a signer wants of a client: the service's place, and a token, which may be awaited."""

    connection: Connection
    token: Callable[[], Any] | None


def _asked_on(loop: asyncio.AbstractEventLoop, token: AsyncTokenFunction) -> Callable[[], Any]:
    """A token function for another loop, which asks on the loop of the program: what it awaits belongs there."""

    async def ask() -> str:
        shown = token()
        return await shown if inspect.isawaitable(shown) else shown

    return lambda: asyncio.wrap_future(asyncio.run_coroutine_threadsafe(ask(), loop))
