"""The client of programs with asyncio."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import grpc
import grpc.aio

from fluo.kms.v1.audit_pb2 import AuditEvent, ListAuditEventsRequest
from fluo.kms.v1.key_admin_pb2 import Key, ListKeysRequest
from fluo.kms.v1.key_admin_service_pb2_grpc import KeyAdminServiceStub
from fluo.kms.v1.kms_service_pb2_grpc import KmsServiceStub
from fluo.kms.v1.log_service_pb2_grpc import LogServiceStub
from fluo.kms.v1.public_key_pb2 import GetPublicKeysRequest, PublicKey
from fluo_kms._connection import DEFAULT_TIMEOUT, Connection, Option, TokenFunction, with_authorization
from fluo_kms._paging import pages_async

if TYPE_CHECKING:
    from fluo.kms.v1.key_admin_service_pb2_grpc import KeyAdminServiceAsyncStub
    from fluo.kms.v1.kms_service_pb2_grpc import KmsServiceAsyncStub
    from fluo.kms.v1.log_service_pb2_grpc import LogServiceAsyncStub

__all__ = ["AsyncKmsClient", "AsyncTokenFunction"]

AsyncTokenFunction = TokenFunction | Callable[[], Awaitable[str]]
"""Returns the token to show, or awaits it; asked for each call. One that returns it must not block."""


class AsyncKmsClient:
    """A connection to fluo-kms, with the service's own methods and messages, all awaited.

        async with AsyncKmsClient("kms.example.com:9000") as kms:
            await kms.service.EncryptPii(EncryptPiiRequest(tenant_id="acme", fields=[…]))

    It belongs to the event loop that runs when it is opened. Messages that hold a data key or a value print it, so
    never log them whole.
    """

    service: KmsServiceAsyncStub
    """`fluo.kms.v1.KmsService`: signs, encrypts, hands out data keys, and is operated."""
    log: LogServiceAsyncStub
    """`fluo.kms.v1.LogService`: reads the tenants' logs."""
    admin: KeyAdminServiceAsyncStub
    """`fluo.kms.v1.KeyAdminService`: keys through their states, and the audit trail."""

    def __init__(
        self,
        target: str,
        *,
        insecure: bool = False,
        ca_file: str | Path | None = None,
        certificate_file: str | Path | None = None,
        key_file: str | Path | None = None,
        token: AsyncTokenFunction | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        options: Sequence[Option] = (),
    ) -> None:
        """Opens a connection, as `fluo_kms.KmsClient` does. `token` may be a coroutine function."""
        self.connection = Connection(
            target, insecure, ca_file, certificate_file, key_file, token is not None, tuple(options)
        )
        self.token = token
        interceptors = [_UnaryDefaults(timeout, token), _StreamDefaults(token)]
        self._channel = open_async_channel(self.connection, interceptors)
        # The generated stubs serve both kinds of channel; their types tell them apart.
        self.service = cast("KmsServiceAsyncStub", KmsServiceStub(self._channel))
        self.log = cast("LogServiceAsyncStub", LogServiceStub(self._channel))
        self.admin = cast("KeyAdminServiceAsyncStub", KeyAdminServiceStub(self._channel))

    async def iter_keys(self, request: ListKeysRequest, *, timeout: float | None = None) -> AsyncIterator[Key]:
        """Yields the keys of all pages of `ListKeys`. `timeout` is the seconds of each page."""
        async for page in pages_async(self.admin.ListKeys, request, timeout):
            for key in page.keys:
                yield key

    async def iter_audit_events(
        self, request: ListAuditEventsRequest, *, timeout: float | None = None
    ) -> AsyncIterator[AuditEvent]:
        """Yields the events of all pages of `ListAuditEvents`. `timeout` is the seconds of each page."""
        async for page in pages_async(self.admin.ListAuditEvents, request, timeout):
            for event in page.events:
                yield event

    async def iter_public_keys(
        self, request: GetPublicKeysRequest, *, timeout: float | None = None
    ) -> AsyncIterator[PublicKey]:
        """Yields the keys of all pages of `GetPublicKeys`. `timeout` is the seconds of each page."""
        async for page in pages_async(self.service.GetPublicKeys, request, timeout):
            for key in page.keys:
                yield key

    async def close(self) -> None:
        """Closes the connection. Calls that are under way end with CANCELLED."""
        await self._channel.close()

    async def __aenter__(self) -> AsyncKmsClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def open_async_channel(connection: Connection, interceptors: Sequence[Any] = ()) -> Any:
    """Opens a channel of the event loop that runs."""
    credentials, options = connection.credentials(), connection.channel_options()
    if credentials is None:
        return grpc.aio.insecure_channel(connection.target, options, interceptors=interceptors)
    return grpc.aio.secure_channel(connection.target, credentials, options, interceptors=interceptors)


async def _with_token(details: Any, timeout: float | None, token: AsyncTokenFunction | None) -> Any:
    metadata = details.metadata
    if token is not None:
        shown = token()
        metadata = with_authorization(metadata, await shown if inspect.isawaitable(shown) else shown)
        metadata = grpc.aio.Metadata(*metadata)
    return grpc.aio.ClientCallDetails(details.method, timeout, metadata, details.credentials, details.wait_for_ready)


class _UnaryDefaults(grpc.aio.UnaryUnaryClientInterceptor):
    """Gives each unary call a deadline and the token."""

    def __init__(self, timeout: float, token: AsyncTokenFunction | None) -> None:
        self._timeout = timeout
        self._token = token

    async def intercept_unary_unary(
        self, continuation: Callable[[Any, Any], Any], client_call_details: Any, request: Any
    ) -> Any:
        given = client_call_details.timeout
        timeout = self._timeout if given is None else given
        return await continuation(await _with_token(client_call_details, timeout, self._token), request)


class _StreamDefaults(grpc.aio.StreamStreamClientInterceptor):
    """Gives each stream the token. It has no deadline of its own."""

    def __init__(self, token: AsyncTokenFunction | None) -> None:
        self._token = token

    async def intercept_stream_stream(
        self, continuation: Callable[[Any, Any], Any], client_call_details: Any, request_iterator: Any
    ) -> Any:
        details = await _with_token(client_call_details, client_call_details.timeout, self._token)
        return await continuation(details, request_iterator)
