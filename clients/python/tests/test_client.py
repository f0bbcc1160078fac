"""Connections: what may be asked for, and what calls carry; with a real service, and with servers that record calls."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import grpc
import pytest
from google.protobuf.any_pb2 import Any as PackedMessage
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from fluo.kms.v1.data_key_pb2 import GenerateDataKeyRequest
from fluo.kms.v1.key_admin_pb2 import DisableKeyRequest, ListKeysRequest
from fluo.kms.v1.key_admin_service_pb2_grpc import KeyAdminServiceServicer, add_KeyAdminServiceServicer_to_server
from fluo.kms.v1.kms_service_pb2_grpc import KmsServiceServicer, add_KmsServiceServicer_to_server
from fluo.kms.v1.operations_pb2 import StatusRequest, StatusResponse
from fluo.kms.v1.pii_pb2 import EncryptPiiRequest, PlainField
from fluo.kms.v1.public_key_pb2 import GetPublicKeysRequest
from fluo.kms.v1.rotation_pb2 import RotateRequest
from fluo.kms.v1.signing_pb2 import SignSpansRequest, SignSpansResponse
from fluo_kms import AsyncKmsClient, ErrorDetails, FieldViolation, KmsClient, details_of
from fluo_kms._connection import is_loopback

TENANT = "client"


class Recorder(KmsServiceServicer, KeyAdminServiceServicer):
    """Records what each call brings, and fails the first ones of each method with UNAVAILABLE."""

    def __init__(self) -> None:
        self.failures = 0
        self.calls: list[str] = []
        self.shown: list[str | None] = []
        self.seconds: list[float | None] = []

    def _record(self, name: str, context: grpc.ServicerContext) -> None:
        self.calls.append(name)
        self.shown.append(dict(context.invocation_metadata()).get("authorization"))
        self.seconds.append(context.time_remaining())
        if len(self.calls) <= self.failures:
            context.abort(grpc.StatusCode.UNAVAILABLE, "later")

    def Status(self, request, context):
        self._record("Status", context)
        return StatusResponse()

    def Rotate(self, request, context):
        self._record("Rotate", context)
        raise AssertionError

    def DisableKey(self, request, context):
        self._record("DisableKey", context)
        raise AssertionError

    def SignSpans(self, request_iterator, context):
        self._record("SignSpans", context)
        for _ in request_iterator:
            yield SignSpansResponse()


@pytest.fixture
def recorder():
    server = grpc.server(ThreadPoolExecutor(4))
    recording = Recorder()
    add_KmsServiceServicer_to_server(recording, server)
    add_KeyAdminServiceServicer_to_server(recording, server)
    recording.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield recording
    server.stop(None).wait()


def test_gives_unary_calls_ten_seconds_unless_they_ask_for_others(recorder):
    with KmsClient(recorder.address, insecure=True) as kms:
        kms.service.Status(StatusRequest())
        kms.service.Status(StatusRequest(), timeout=100)
        assert list(kms.service.SignSpans(iter([SignSpansRequest()]))) == [SignSpansResponse()]
    unary, longer, stream = recorder.seconds
    assert 5 < unary < 15 < longer < 110
    # Without a deadline the time that remains is a century, or not said.
    assert stream is None or stream > 1e8


def test_asks_for_the_token_of_each_call_and_stream(recorder):
    tokens = iter(["first", "second", "third"])
    with KmsClient(recorder.address, insecure=True, token=lambda: next(tokens)) as kms:
        kms.service.Status(StatusRequest())
        kms.service.Status(StatusRequest())
        list(kms.service.SignSpans(iter([])))
    assert recorder.shown == ["Bearer first", "Bearer second", "Bearer third"]


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "é", None])
def test_refuses_what_is_no_token_without_showing_it(recorder, token):
    with KmsClient(recorder.address, insecure=True, token=lambda: token) as kms:
        with pytest.raises(ValueError, match="token function") as refusal:
            kms.service.Status(StatusRequest())
        assert token in (None, "", "é") or token not in str(refusal.value)
    assert recorder.calls == []


def test_repeats_what_may_be_repeated_and_nothing_else(recorder):
    recorder.failures = 2
    with KmsClient(recorder.address, insecure=True) as kms:
        kms.service.Status(StatusRequest())
        assert recorder.calls == ["Status"] * 3
        recorder.failures = 100
        for call in (
            lambda: kms.service.Rotate(RotateRequest()),
            lambda: kms.admin.DisableKey(DisableKeyRequest()),
            lambda: list(kms.service.SignSpans(iter([]))),
        ):
            with pytest.raises(grpc.RpcError):
                call()
        assert recorder.calls[3:] == ["Rotate", "DisableKey", "SignSpans"]
        with pytest.raises(grpc.RpcError):
            kms.service.Status(StatusRequest())
        assert recorder.calls[6:] == ["Status"] * 4


@pytest.mark.parametrize(
    ("options", "what_to_do"),
    [
        ({"insecure": True, "ca_file": "ca.pem"}, "leave out insecure"),
        ({"insecure": True, "certificate_file": "c.pem", "key_file": "k.pem"}, "leave out insecure"),
        ({"certificate_file": "c.pem"}, "give both"),
        ({"key_file": "k.pem"}, "give both"),
        ({"insecure": True, "token": lambda: "secret"}, "leave out insecure"),
    ],
)
def test_refuses_what_contradicts_itself(options, what_to_do):
    for client in (KmsClient, AsyncKmsClient):
        with pytest.raises(ValueError, match=what_to_do):
            client("kms.example.com:9000", **options)


def test_says_which_file_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.pem"):
        KmsClient("localhost:9000", ca_file=tmp_path / "missing.pem")


@pytest.mark.parametrize(
    "target",
    [
        "localhost:9000",
        "127.0.0.1:9000",
        "127.1.2.3:9000",
        "[::1]:9000",
        "::1",
        "dns:///localhost:9000",
        "ipv4:127.0.0.1:9000",
        "ipv6:[::1]:9000",
        "unix:/run/kms.sock",
    ],
)
def test_knows_this_machine(target):
    assert is_loopback(target)


@pytest.mark.parametrize(
    "target",
    [
        "kms.example.com:9000",
        "localhost.example.com:9000",
        "192.0.2.1:9000",
        "127.0.0.1.example.com:9000",
        "dns:///192.0.2.1:9000",
        "dns://127.0.0.1/kms.example.com:9000",
        "ipv4:127.0.0.1:9000,192.0.2.1:9000",
        "[2001:db8::1]:9000",
        "0.0.0.0:9000",
    ],
)
def test_knows_other_machines(target):
    assert not is_loopback(target)


def test_uses_no_proxy_on_the_way_to_this_machine(recorder, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("grpc_proxy", "http://127.0.0.1:1")
    with KmsClient(recorder.address, insecure=True, token=lambda: "secret") as kms:
        kms.service.Status(StatusRequest())
    assert recorder.calls == ["Status"]


def test_reads_the_details_of_a_refusal(kms):
    with pytest.raises(grpc.RpcError) as refusal:
        kms.service.GenerateDataKey(GenerateDataKeyRequest(tenant_id="Not A Tenant"))
    details = details_of(refusal.value)
    assert details.reason == "INVALID_ARGUMENT"
    assert [each.field for each in details.fields] == ["tenant_id"]
    assert details.retry_after is None


class FakeError(grpc.RpcError):
    """An error with a status in its trailing metadata, as of a service that gRPC's own cannot be made to send."""

    def __init__(self, *details, raw: bytes | None = None) -> None:
        status = Status(code=8, message="m")
        for each in details:
            packed = PackedMessage()
            packed.Pack(each)
            status.details.append(packed)
        self.status = status.SerializeToString() if raw is None else raw

    def code(self):
        return grpc.StatusCode.RESOURCE_EXHAUSTED

    def details(self):
        return "m"

    def trailing_metadata(self):
        return [("grpc-status-details-bin", self.status)]


def test_never_raises_for_details(kms):
    retry = RetryInfo()
    retry.retry_delay.FromTimedelta(timedelta(seconds=7.5))
    assert details_of(FakeError(ErrorInfo(reason="QUOTA"), retry)) == ErrorDetails("QUOTA", (), timedelta(seconds=7.5))
    for error in (ValueError("x"), FakeError(raw=b"\xff"), FakeError(), grpc.RpcError()):
        assert details_of(error) == ErrorDetails()
    with pytest.raises(grpc.RpcError) as late:
        kms.service.Status(StatusRequest(), timeout=0.000_001)
    assert (late.value.code(), details_of(late.value)) == (grpc.StatusCode.DEADLINE_EXCEEDED, ErrorDetails())


def test_iterates_over_all_pages(kms):
    kms.service.EncryptPii(EncryptPiiRequest(tenant_id=TENANT, fields=[PlainField(name="a", value=b"b")]))
    for _ in range(3):
        kms.service.Rotate(RotateRequest(tenant_id=TENANT, purpose=1, force=True))
    request = ListKeysRequest(tenant_id=TENANT, page_size=1)
    ids = [key.version.key_id for key in kms.iter_keys(request)]
    assert len(ids) == len(set(ids)) >= 2
    assert [key.version.key_id for key in kms.iter_keys(ListKeysRequest(tenant_id=TENANT, page_size=100))] == ids
    assert request.page_token == ""
    assert list(kms.iter_public_keys(GetPublicKeysRequest(tenant_id=TENANT))) == []


def test_serves_asyncio_the_same(service):
    async def calls():
        async def token():
            return "secret"

        async with AsyncKmsClient(service.grpc, insecure=True, token=token) as kms:
            answer = await kms.service.EncryptPii(
                EncryptPiiRequest(tenant_id="async", fields=[PlainField(name="a", value=b"b")])
            )
            keys = [key.version.key_id async for key in kms.iter_keys(ListKeysRequest(tenant_id="async", page_size=1))]
            call = kms.service.SignSpans()
            await call.write(SignSpansRequest(tenant_id="async", request_id="empty"))
            await call.done_writing()
            streamed = [response async for response in call]
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await kms.service.GenerateDataKey(GenerateDataKeyRequest(tenant_id="Not A Tenant"))
            return answer.key_id, keys, streamed, details_of(refusal.value)

    key_id, keys, streamed, details = asyncio.run(calls())
    assert keys == [key_id]
    assert [response.batch_done for response in streamed] == [True]
    assert isinstance(details.fields[0], FieldViolation)


def test_shows_tokens_of_asyncio_for_each_call(recorder):
    async def calls():
        tokens = iter(["first", "second", "third"])
        async with AsyncKmsClient(recorder.address, insecure=True, token=lambda: next(tokens)) as kms:
            await kms.service.Status(StatusRequest())
            await kms.service.Status(StatusRequest(), timeout=100)
            call = kms.service.SignSpans()
            await call.done_writing()
            assert [response async for response in call] == []

    asyncio.run(calls())
    assert recorder.shown == ["Bearer first", "Bearer second", "Bearer third"]
    assert 5 < recorder.seconds[0] < 15 < recorder.seconds[1] < 110


def test_is_used_by_several_threads(kms):
    errors: list[BaseException] = []

    def call() -> None:
        try:
            kms.service.Status(StatusRequest())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
