"""The client of programs with threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import grpc

from fluo.kms.v1.audit_pb2 import AuditEvent, ListAuditEventsRequest
from fluo.kms.v1.key_admin_pb2 import Key, ListKeysRequest
from fluo.kms.v1.key_admin_service_pb2_grpc import KeyAdminServiceStub
from fluo.kms.v1.kms_service_pb2_grpc import KmsServiceStub
from fluo.kms.v1.log_service_pb2_grpc import LogServiceStub
from fluo.kms.v1.public_key_pb2 import GetPublicKeysRequest, PublicKey
from fluo_kms._connection import DEFAULT_TIMEOUT, Connection, Option, TokenFunction, with_authorization
from fluo_kms._paging import pages


class KmsClient:
    """A connection to fluo-kms, with the service's own methods and messages.

        with KmsClient("kms.example.com:9000") as kms:
            kms.service.EncryptPii(EncryptPiiRequest(tenant_id="acme", fields=[…]))

    It may be used by several threads. gRPC does not survive a fork: open the client in each process behind it. Messages
    that hold a data key or a value print it, so never log them whole.
    """

    service: KmsServiceStub
    """`fluo.kms.v1.KmsService`: signs, encrypts, hands out data keys, and is operated."""
    log: LogServiceStub
    """`fluo.kms.v1.LogService`: reads the tenants' logs."""
    admin: KeyAdminServiceStub
    """`fluo.kms.v1.KeyAdminService`: keys through their states, and the audit trail."""

    def __init__(
        self,
        target: str,
        *,
        insecure: bool = False,
        ca_file: str | Path | None = None,
        certificate_file: str | Path | None = None,
        key_file: str | Path | None = None,
        token: TokenFunction | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        options: Sequence[Option] = (),
    ) -> None:
        """Opens a connection, which is made with the first call.

        `target` is `host:port`. TLS is used unless `insecure`; `ca_file`, `certificate_file` and `key_file` are PEM
        files. `token` is asked for each call, and is refused without TLS unless the host is a loopback address.
        `timeout` is the seconds of each unary call that names none. `options` are further channel options of gRPC.
        Raises ValueError for what contradicts itself, and OSError for a file that cannot be read.
        """
        self.connection = Connection(
            target, insecure, ca_file, certificate_file, key_file, token is not None, tuple(options)
        )
        self.token = token
        credentials, channel_options = self.connection.credentials(), self.connection.channel_options()
        if credentials is None:
            self._channel = grpc.insecure_channel(target, channel_options)
        else:
            self._channel = grpc.secure_channel(target, credentials, channel_options)
        channel = grpc.intercept_channel(self._channel, _CallDefaults(timeout, token))
        self.service = KmsServiceStub(channel)
        self.log = LogServiceStub(channel)
        self.admin = KeyAdminServiceStub(channel)

    def iter_keys(self, request: ListKeysRequest, *, timeout: float | None = None) -> Iterator[Key]:
        """Yields the keys of all pages of `ListKeys`. `timeout` is the seconds of each page."""
        for page in pages(self.admin.ListKeys, request, timeout):
            yield from page.keys

    def iter_audit_events(
        self, request: ListAuditEventsRequest, *, timeout: float | None = None
    ) -> Iterator[AuditEvent]:
        """Yields the events of all pages of `ListAuditEvents`. `timeout` is the seconds of each page."""
        for page in pages(self.admin.ListAuditEvents, request, timeout):
            yield from page.events

    def iter_public_keys(self, request: GetPublicKeysRequest, *, timeout: float | None = None) -> Iterator[PublicKey]:
        """Yields the keys of all pages of `GetPublicKeys`. `timeout` is the seconds of each page."""
        for page in pages(self.service.GetPublicKeys, request, timeout):
            yield from page.keys

    def close(self) -> None:
        """Closes the connection. Calls that are under way end with CANCELLED."""
        self._channel.close()

    def __enter__(self) -> KmsClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _CallDetails(NamedTuple):
    """What gRPC knows of a call, with what this client adds."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any


class _CallDefaults(
    grpc.UnaryUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Gives each unary call a deadline, and every call the token."""

    def __init__(self, timeout: float, token: TokenFunction | None) -> None:
        self._timeout = timeout
        self._token = token

    def intercept_unary_unary(self, continuation: Callable[[Any, Any], Any], call_details: Any, request: Any) -> Any:
        timeout = self._timeout if call_details.timeout is None else call_details.timeout
        return continuation(self._details(call_details, timeout), request)

    def intercept_stream_stream(self, continuation: Callable[[Any, Any], Any], call_details: Any, requests: Any) -> Any:
        return continuation(self._details(call_details, call_details.timeout), requests)

    def _details(self, details: Any, timeout: float | None) -> _CallDetails:
        metadata = details.metadata if self._token is None else with_authorization(details.metadata, self._token())
        return _CallDetails(
            details.method, timeout, metadata, details.credentials, details.wait_for_ready, details.compression
        )
