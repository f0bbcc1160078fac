"""The fake: the vectors of all languages, the service's own refusals, and what a test does with it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Annotated

import grpc
import pytest
import vectors

from fluo.kms.v1.data_key_pb2 import DecryptDataKeyRequest, GenerateDataKeyRequest, KeySpec
from fluo.kms.v1.key_admin_pb2 import ListKeysRequest
from fluo.kms.v1.log_pb2 import GetCheckpointRequest
from fluo.kms.v1.operations_pb2 import StatusRequest
from fluo.kms.v1.pii_pb2 import (
    DecryptPiiRequest,
    EncryptedField,
    EncryptPiiRequest,
    PlainField,
    ReEncryptPiiRequest,
)
from fluo.kms.v1.signing_pb2 import (
    LogProof,
    SignedStatement,
    SignSpanRequest,
    SignSpansRequest,
    VerifyReason,
    VerifySpanRequest,
)
from fluo.kms.v1.span_pb2 import Span
from fluo_kms import details_of
from fluo_kms.aio import decrypt_record as decrypt_record_async
from fluo_kms.files import open_bytes, open_stream, seal_bytes
from fluo_kms.records import Pii, decrypt_record, encrypt_record
from fluo_kms.testing import KEY_ID, REASONS, RPCS, FakeKms
from fluo_kms.testing._envelope import canonical_context
from fluo_kms.testing._refusals import FORMS
from fluo_kms.verify import KeySet, verify

SIGNED_AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def fake():
    with FakeKms(clock=lambda: SIGNED_AT) as started:
        yield started


@pytest.fixture(scope="module")
def client(fake):
    return fake.client()


@dataclass(frozen=True)
class Customer:
    id: int
    email: Annotated[str, Pii("email")]


@pytest.mark.parametrize("vector", vectors.read("pii/contexts.json"), ids=lambda vector: vector["name"])
def test_writes_the_canonical_context(vector):
    context = canonical_context(vector["tenant_id"], vector["field"], dict(vector["pairs"]))
    assert context.hex() == vector["canonical_context"]


def opened(client, vector):
    request = DecryptPiiRequest(
        tenant_id=vector.get("tenant_id", "acme"),
        fields=[EncryptedField(name=vector.get("field", "email"), token=vector["token"])],
        encryption_context=dict(vector.get("pairs", [])),
    )
    (field,) = client.service.DecryptPii(request).fields
    return field


@pytest.mark.parametrize("vector", vectors.read("pii/tokens.json"), ids=lambda vector: vector["name"])
def test_opens_the_tokens_of_the_vectors(client, vector):
    value = opened(client, vector).value
    assert (len(value), hashlib.sha256(value).hexdigest()) == (vector["plaintext_bytes"], vector["plaintext_sha256"])


@pytest.mark.parametrize("vector", vectors.read("pii/rejected.json"), ids=lambda vector: vector["name"])
def test_rejects_what_does_not_open(client, vector):
    error = opened(client, vector).error
    assert (error.code, error.field, error.message) == (3, "fields[0].token", "ciphertext rejected")


@pytest.mark.parametrize("vector", vectors.read("pii/reserved.json"), ids=lambda vector: vector["name"])
def test_refuses_what_is_reserved_in_the_words_of_the_service(client, kms, vector):
    error = opened(client, vector).error
    assert (error.code, error.field) == (3, "fields[0].token")
    assert error.message.startswith(vector["says"])
    assert opened(kms, vector).error == error


@pytest.mark.parametrize("vector", vectors.read("pii/data-key-blobs.json"), ids=lambda vector: vector["name"])
def test_opens_the_data_keys_of_the_vectors(client, vector):
    request = DecryptDataKeyRequest(
        tenant_id=vector["tenant_id"],
        ciphertext_blob=bytes.fromhex(vector["ciphertext_blob"]),
        encryption_context=dict(vector["pairs"]),
    )
    assert client.service.DecryptDataKey(request).plaintext.hex() == vector["plaintext"]
    request.tenant_id = "globex"
    assert refusal(client, "DecryptDataKey", request)[:2] == ("INVALID_ARGUMENT", "CIPHERTEXT_REJECTED")


def raw(client, method: str, data: bytes, response):
    """Calls with the bytes of a request as they are."""
    with grpc.insecure_channel(client.connection.target) as channel:
        call = channel.unary_unary(f"/fluo.kms.v1.KmsService/{method}", response_deserializer=response.FromString)
        return call(data, timeout=60)


@pytest.mark.parametrize("vector", vectors.ACCEPTED["spans"], ids=lambda vector: vector["name"])
def test_signs_the_spans_of_the_vectors(client, fake, vector):
    from fluo.kms.v1.signing_pb2 import SignSpanResponse, VerifySpanResponse

    signed = raw(client, "SignSpan", bytes.fromhex(vector["signSpanRequest"]), SignSpanResponse)
    assert signed.statement.decode() == vector["statement"]
    assert (signed.signature.hex(), signed.key_id) == (vector["signature"], KEY_ID)
    assert signed.signed_at.ToDatetime(timezone.utc) == SIGNED_AT
    statement = SignedStatement(statement=signed.statement, signature=signed.signature)
    given = bytes.fromhex(vector["signSpanRequest"])
    evidence = VerifySpanRequest(signed_statement=statement).SerializeToString()
    assert raw(client, "VerifySpan", given + evidence, VerifySpanResponse).verified


@pytest.mark.parametrize("vector", vectors.read("span/refused.json"), ids=lambda vector: vector["name"])
def test_refuses_the_spans_that_the_service_refuses(client, kms, vector):
    from fluo.kms.v1.signing_pb2 import SignSpanResponse

    request = vectors.field(1, b"acme") + vectors.field(2, bytes.fromhex(vector["span"]))
    fields = []
    for each in (client, kms):
        with pytest.raises(grpc.RpcError) as refused:
            raw(each, "SignSpan", request, SignSpanResponse)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        fields.append([violation.field for violation in details_of(refused.value).fields])
    assert fields[0] == fields[1]


def span(name: str = "a") -> Span:
    return Span(trace_id=bytes(range(16)), span_id=bytes(range(8)), name=name)


def test_gives_the_attributes_of_the_service_which_verify_offline(client, kms, fake):
    request = SignSpanRequest(tenant_id="acme", span=span())
    signed, real = client.service.SignSpan(request), kms.service.SignSpan(request)
    assert [each.key for each in signed.attributes] == [each.key for each in real.attributes]
    request.span.attributes.extend(signed.attributes)
    keys = KeySet.parse(fake.key_set())
    assert verify(keys, "acme", None, None, request.span).reason == "OK"
    answer = client.service.VerifySpan(VerifySpanRequest(tenant_id="acme", span=request.span))
    assert (answer.verified, answer.key_id, answer.message) == (True, KEY_ID, "")
    request.span.name += "!"
    assert verify(keys, "acme", None, None, request.span).reason == "SIGNATURE_MISMATCH"
    answer = client.service.VerifySpan(VerifySpanRequest(tenant_id="acme", span=request.span))
    assert (answer.verified, answer.reason) == (False, VerifyReason.VERIFY_REASON_SIGNATURE_MISMATCH)
    answer = client.service.VerifySpan(VerifySpanRequest(tenant_id="globex", span=request.span))
    assert answer.reason == VerifyReason.VERIFY_REASON_UNKNOWN_KEY
    proof = LogProof(statement=b"{}", proof="none")
    answer = client.service.VerifySpan(VerifySpanRequest(tenant_id="acme", span=span(), log_proof=proof))
    assert answer.reason == VerifyReason.VERIFY_REASON_MALFORMED


def test_signs_by_the_clock_of_the_system_unless_it_is_given_one():
    with FakeKms() as fake:
        signed = fake.client().service.SignSpan(SignSpanRequest(tenant_id="acme", span=span()))
    now = datetime.now(timezone.utc)
    assert now - timedelta(minutes=1) < signed.signed_at.ToDatetime(timezone.utc) <= now


def refusal(client, method: str, request):
    with pytest.raises(grpc.RpcError) as refused:
        getattr(client.service, method)(request)
    details = details_of(refused.value)
    fields = [(each.field, each.description) for each in details.fields]
    return refused.value.code().name, details.reason, fields, refused.value.details(), details.retry_after


LONG = {str(i): "" for i in range(17)}


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("GenerateDataKey", GenerateDataKeyRequest()),
        ("GenerateDataKey", GenerateDataKeyRequest(tenant_id="Not A Tenant")),
        ("GenerateDataKey", GenerateDataKeyRequest(tenant_id="acme\n")),
        ("GenerateDataKey", GenerateDataKeyRequest(tenant_id="acme", key_spec=7)),
        ("GenerateDataKey", GenerateDataKeyRequest(tenant_id="acme", encryption_context=LONG)),
        ("GenerateDataKey", GenerateDataKeyRequest(tenant_id="acme", encryption_context={"a": "é" * 2048})),
        ("DecryptDataKey", DecryptDataKeyRequest(tenant_id="acme")),
        ("DecryptDataKey", DecryptDataKeyRequest(tenant_id="acme", ciphertext_blob=bytes(200))),
        ("EncryptPii", EncryptPiiRequest(tenant_id="acme")),
        ("EncryptPii", EncryptPiiRequest(tenant_id="acme", fields=[PlainField(), PlainField(name="é" * 129)])),
        ("EncryptPii", EncryptPiiRequest(tenant_id="acme", fields=[PlainField(name="a", value=bytes(65_537))])),
        ("EncryptPii", EncryptPiiRequest(tenant_id="acme", fields=[PlainField(name="a")] * 1001)),
        ("EncryptPii", EncryptPiiRequest(tenant_id="acme", fields=[PlainField(name="a", value=bytes(65_536))] * 33)),
        ("DecryptPii", DecryptPiiRequest(tenant_id="acme")),
        ("DecryptPii", DecryptPiiRequest(tenant_id="", fields=[EncryptedField(name="a")])),
        ("DecryptPii", DecryptPiiRequest(tenant_id="a", fields=[EncryptedField(name="a")], encryption_context=LONG)),
        ("SignSpan", SignSpanRequest(tenant_id="acme")),
        ("SignSpan", SignSpanRequest(tenant_id="Not A Tenant", span=span())),
        ("VerifySpan", VerifySpanRequest(tenant_id="", span=span())),
    ],
)
def test_refuses_a_request_in_the_words_of_the_service(client, kms, method, request_):
    assert refusal(client, method, request_) == refusal(kms, method, request_)


def test_takes_what_is_at_its_limits(client):
    fields = [PlainField(name="é" * 128, value=bytes(65_536)), *[PlainField(name="a")] * 999]
    assert len(client.service.EncryptPii(EncryptPiiRequest(tenant_id="acme", fields=fields)).fields) == 1000
    for spec, length in ((KeySpec.KEY_SPEC_AES_128, 16), (KeySpec.KEY_SPEC_UNSPECIFIED, 32)):
        request = GenerateDataKeyRequest(tenant_id="acme", key_spec=spec)
        assert len(client.service.GenerateDataKey(request).plaintext) == length
    request = GenerateDataKeyRequest(tenant_id="acme", without_plaintext=True)
    assert client.service.GenerateDataKey(request).plaintext == b""


def test_has_the_service_s_table_of_refusals():
    table = json.loads((vectors.ROOT / "clients/conformance/refusals.json").read_text(encoding="utf-8"))
    rows = {
        reason: {
            "reason": reason,
            "code": form.code,
            **({} if form.retry_ms is None else {"retryMs": form.retry_ms}),
            **({} if form.pushback is None else {"pushback": form.pushback}),
        }
        for reason, form in FORMS.items()
    }
    assert list(rows.values()) == table


@pytest.mark.parametrize("reason", REASONS)
def test_refuses_by_name(fake, reason):
    request = EncryptPiiRequest(tenant_id="acme", fields=[PlainField(name="a")])
    # The channel repeats some of them, and would wait as long as it is told.
    client = fake.client(options=[("grpc.enable_retries", 0)])
    fake.refuse("EncryptPii", reason)
    try:
        for _ in range(2):
            with pytest.raises(grpc.RpcError) as refused:
                client.service.EncryptPii(request)
            details, form = details_of(refused.value), FORMS[reason]
            assert (refused.value.code().value[0], details.reason) == (form.code, reason)
            assert details.retry_after == (form.retry_ms and timedelta(milliseconds=form.retry_ms))
            assert dict(refused.value.trailing_metadata()).get("grpc-retry-pushback-ms") == form.pushback
            client.service.GenerateDataKey(GenerateDataKeyRequest(tenant_id="acme"))
    finally:
        fake.allow("EncryptPii")
    client.service.EncryptPii(request)
    client.close()


def test_refuses_so_many_times_and_is_repeated_by_the_channel(fake, client):
    fake.refuse("EncryptPii", "DRAINING", times=2)
    client.service.EncryptPii(EncryptPiiRequest(tenant_id="acme", fields=[PlainField(name="a")]))


@pytest.mark.parametrize(
    ("rpc", "reason", "times", "says"),
    [
        ("encrypt_pii", "OVERLOADED", None, "EncryptPii"),
        ("ListKeys", "OVERLOADED", None, "EncryptPii"),
        ("EncryptPii", "BUSY", None, "OVERLOADED"),
        ("EncryptPii", "OVERLOADED", 0, "times"),
    ],
)
def test_says_which_names_there_are(fake, rpc, reason, times, says):
    with pytest.raises(ValueError, match=says):
        fake.refuse(rpc, reason, times)
    if times is None and rpc not in RPCS:
        with pytest.raises(ValueError, match=says):
            fake.allow(rpc)


def test_says_that_it_has_no_log_and_no_administration(client):
    for name, call in (
        ("ListKeys", lambda: client.admin.ListKeys(ListKeysRequest())),
        ("GetCheckpoint", lambda: client.log.GetCheckpoint(GetCheckpointRequest())),
        ("Status", lambda: client.service.Status(StatusRequest())),
        ("ReEncryptPii", lambda: client.service.ReEncryptPii(ReEncryptPiiRequest())),
        ("SignSpans", lambda: list(client.service.SignSpans(iter([SignSpansRequest()])))),
    ):
        with pytest.raises(grpc.RpcError, match=f"test {name} against the service") as refused:
            call()
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert details_of(refused.value).reason == "UNIMPLEMENTED"


def test_serves_records_and_files_of_both_clients(fake, client):
    ann = Customer(1, "ann@example.com")
    stored = encrypt_record(client, "acme", ann, {"table": "a"})
    assert stored.email.startswith("fk1.")
    assert decrypt_record(client, "acme", stored, {"table": "a"}) == ann
    assert open_bytes(client, "acme", seal_bytes(client, "acme", b"a report")) == b"a report"
    target = io.BytesIO()
    open_stream(client, "acme", io.BytesIO(seal_bytes(client, "acme", b"a report")), target)
    assert target.getvalue() == b"a report"

    async def work():
        async with fake.async_client() as kms:
            return await decrypt_record_async(kms, "acme", stored, {"table": "a"})

    assert asyncio.run(work()) == ann


def test_binds_the_tenant(client):
    request = EncryptPiiRequest(tenant_id="acme", fields=[PlainField(name="email", value=b"x")])
    (field,) = client.service.EncryptPii(request).fields
    assert opened(client, {"token": field.token}).value == b"x"
    for other in ({"tenant_id": "globex"}, {"field": "phone"}, {"pairs": [("a", "b")]}):
        assert opened(client, {"token": field.token, **other}).error.code == 3


def test_ends_with_its_clients():
    with FakeKms() as fake:
        client = fake.client()
        client.service.GenerateDataKey(GenerateDataKeyRequest(tenant_id="acme"))
    with pytest.raises(ValueError, match="closed"):
        client.service.GenerateDataKey(GenerateDataKeyRequest(tenant_id="acme"))
