"""A fake of the service for tests, in the process of the test.

    @pytest.fixture
    def kms():
        with FakeKms() as fake, fake.client() as client:
            yield client

Its key is public, the same for every tenant, and in this package: **nothing that it makes is secret, and nothing that
it signs is evidence**. Tokens and sealed files have the service's own form, so that what the fake of one language makes
opens in that of another. It has no log and no administration; test what needs them against the service itself. Needs
the extra `testing`: `pip install "fluo-kms[testing]"`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from types import TracebackType
from typing import Any

import grpc
from google.protobuf.message import Message

from fluo.kms.v1 import key_admin_service_pb2, kms_service_pb2, log_service_pb2
from fluo_kms._client import KmsClient
from fluo_kms._connection import DEFAULT_TIMEOUT, MAX_MESSAGE_BYTES, Option
from fluo_kms.aio._client import AsyncKmsClient

try:
    from fluo_kms.testing._envelope import KEY_ID
    from fluo_kms.testing._refusals import FORMS, GrpcStatus, Refused
    from fluo_kms.testing._service import FakeService
except ImportError as missing:  # pragma: no cover
    raise ImportError('the fake needs its extra: pip install "fluo-kms[testing]"') from missing

__all__ = ["KEY_ID", "REASONS", "RPCS", "FakeKms"]

REASONS: tuple[str, ...] = tuple(FORMS)
"""Reasons by which the fake refuses: those of the service."""

RPCS: tuple[str, ...] = ("GenerateDataKey", "DecryptDataKey", "EncryptPii", "DecryptPii", "SignSpan", "VerifySpan")
"""The rpcs that the fake serves."""

_ABSENT = (
    "the fake for tests has no log and no administration: test {} against the service itself, "
    "which `npm start` in its repository starts"
)


class FakeKms:
    """Serves data keys, personal data and single spans to clients of this process, on a loopback port of its own.

    It may be used by several threads. It takes every token, and none.
    """

    def __init__(self, *, clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc)) -> None:
        """Starts a fake. `clock` gives the time at which spans are signed, as an aware datetime."""
        self._service = FakeService(clock)
        self._refusals: dict[str, tuple[str, int | None]] = {}
        self._lock = threading.Lock()
        self._clients: list[KmsClient] = []
        self._server = grpc.server(
            ThreadPoolExecutor(4, thread_name_prefix="fluo-kms-fake"),
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),
            ],
        )
        for module in (kms_service_pb2, log_service_pb2, key_admin_service_pb2):
            for service in module.DESCRIPTOR.services_by_name.values():
                handlers = {method.name: self._handler(method) for method in service.methods}
                self._server.add_generic_rpc_handlers(
                    (grpc.method_handlers_generic_handler(service.full_name, handlers),)
                )
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        """Where it serves, without TLS."""
        self._server.start()

    def client(self, *, timeout: float = DEFAULT_TIMEOUT, options: Sequence[Option] = ()) -> KmsClient:
        """Returns a new client of the fake, which is closed with it unless it was closed before."""
        client = KmsClient(self.address, insecure=True, timeout=timeout, options=options)
        self._clients.append(client)
        return client

    def async_client(self, *, timeout: float = DEFAULT_TIMEOUT, options: Sequence[Option] = ()) -> AsyncKmsClient:
        """Returns a new client of the fake for the event loop that runs. Close it there."""
        return AsyncKmsClient(self.address, insecure=True, timeout=timeout, options=options)

    def key_set(self) -> str:
        """Returns the `jwks.json` of the public key, for `fluo_kms.verify.KeySet.parse`: the same for every tenant."""
        return self._service.key_set()

    def refuse(self, rpc: str, reason: str, times: int | None = None) -> None:
        """Has the next `times` calls of an rpc fail as the service refuses for a reason; all until `allow`, if None.

        A call that is repeated by its channel counts each time. Raises ValueError for a name that is none.
        """
        _known(rpc, RPCS, "rpc that the fake serves")
        _known(reason, REASONS, "reason of the service")
        if times is not None and times < 1:
            raise ValueError("times must be at least 1")
        with self._lock:
            self._refusals[rpc] = reason, times

    def allow(self, rpc: str) -> None:
        """Serves an rpc again. Raises ValueError for a name that is none."""
        _known(rpc, RPCS, "rpc that the fake serves")
        with self._lock:
            self._refusals.pop(rpc, None)

    def close(self) -> None:
        """Closes the clients and ends the fake. Calls that are under way end with CANCELLED or UNAVAILABLE."""
        for client in self._clients:
            client.close()
        self._server.stop(None).wait()

    def __enter__(self) -> FakeKms:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _handler(self, method: Any) -> grpc.RpcMethodHandler:
        serve = self._service.methods.get(method.name) if method.containing_service.name == "KmsService" else None

        # The bytes of the request count: what is signed is read from them.
        def answer(data: bytes, context: grpc.ServicerContext) -> Message:
            try:
                if serve is None:
                    raise Refused("UNIMPLEMENTED", _ABSENT.format(method.name))
                self._refuse_as_told(method.name)
                return serve(data)
            except Refused as refused:
                return context.abort_with_status(GrpcStatus(refused))

        def stream(_: Any, context: grpc.ServicerContext) -> Message:
            return answer(b"", context)

        if method.client_streaming or method.server_streaming:
            return grpc.stream_unary_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(answer, response_serializer=_serialized)

    def _refuse_as_told(self, rpc: str) -> None:
        with self._lock:
            if rpc not in self._refusals:
                return
            reason, times = self._refusals[rpc]
            if times == 1:
                del self._refusals[rpc]
            elif times is not None:
                self._refusals[rpc] = reason, times - 1
        raise Refused(reason, f"the test has {rpc} refused: {reason}")


def _serialized(message: Message) -> bytes:
    data: bytes = message.SerializeToString()
    return data


def _known(name: str, names: tuple[str, ...], what: str) -> None:
    if name not in names:
        raise ValueError(f"{name!r} is no {what}: it is one of {', '.join(names)}")
