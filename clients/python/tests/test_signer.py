"""Signing spans by the batch with a real service."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Future

import pytest
import spans

from fluo.kms.v1.signing_pb2 import SignMode
from fluo_kms import KmsClient
from fluo_kms._connection import Connection
from fluo_kms._signing.batches import split
from fluo_kms._signing.stream import SigningStream
from fluo_kms.aio._client import open_async_channel
from fluo_kms.signer import RefusedSpan, SigningError, SpanSigner
from fluo_kms.verify import verify_export

HUNG_SECONDS = 60


@pytest.mark.parametrize("mode", ["LOG", "INDIVIDUAL"])
def test_signs_spans_that_verify_offline(service, kms, mode):
    whole = spans.resource_spans("a", "b", "c")
    with SpanSigner(kms, "signer", mode=mode) as signer:
        results = signer.sign([whole]).result(HUNG_SECONDS)
    signed = spans.export(spans.put(whole, results))
    verdicts = verify_export(spans.keys_of(service.http, "signer"), signed, "signer")
    assert [verdict.reason for verdict in verdicts] == ["OK"] * 3
    indices = [result.leaf_index for result in results]
    first = indices[0]
    assert indices == ([first, first + 1, first + 2] if mode == "LOG" else [None] * 3)


def test_answers_in_order_however_many_batches_a_call_is(service, kms):
    wholes = [spans.resource_spans(*(f"{i}-{j}" for j in range(900))) for i in range(3)]
    with SpanSigner(kms, "batches") as signer:
        assert len(signer.split(wholes)) == 3
        results = signer.sign(wholes).result(HUNG_SECONDS)
    assert [result.leaf_index for result in results] == list(range(2700))


def test_splits_what_one_resource_has_too_much_of(kms):
    with SpanSigner(kms, "large") as signer:
        many, large = spans.resource_spans(*("x" * 2500)), spans.resource_spans(*("x" * 30), size=100_000)
        assert [batch.spans for batch in signer.split([many])] == [1000, 1000, 500]
        batches = signer.split([large])
        assert sum(batch.spans for batch in batches) == 30
        assert max(len(batch.request) for batch in batches) < 1.1 * 1024 * 1024
        results = signer.sign([large]).result(HUNG_SECONDS)
    assert [result.leaf_index for result in results] == list(range(30))


def test_refuses_a_bad_span_alone(service, kms):
    whole = spans.resource_spans("good", "bad", "good")
    whole.scope_spans[0].spans[1].trace_id = b"short"
    with SpanSigner(kms, "refused") as signer:
        first, second, third = signer.sign([whole]).result(HUNG_SECONDS)
    assert (first.leaf_index, third.leaf_index) == (0, 1)
    assert isinstance(second, RefusedSpan)
    assert (second.code, second.field) == ("INVALID_ARGUMENT", "resource_spans[0].scope_spans[0].spans[1].trace_id")


def test_refuses_a_span_that_no_message_holds_and_signs_the_others(kms):
    whole = spans.resource_spans("a", "b")
    huge = spans.resource_spans("huge", size=5_000_000)
    with SpanSigner(kms, "huge") as signer:
        first, second, third = signer.sign([whole, huge]).result(HUNG_SECONDS)
    assert (first.leaf_index, second.leaf_index, third.code) == (0, 1, "RESOURCE_EXHAUSTED")


def test_fails_a_batch_that_is_refused_and_goes_on_with_the_others(kms):
    with SpanSigner(kms, "Not A Tenant") as signer:
        answers = [signer.sign([spans.resource_spans("a")]) for _ in range(3)]
        for answer in answers:
            with pytest.raises(SigningError) as refusal:
                answer.result(HUNG_SECONDS)
            assert refusal.value.code == "INVALID_ARGUMENT"
            assert refusal.value.details.fields[0].field == "tenant_id"


def test_gives_the_same_places_to_a_batch_that_is_sent_again(kms):
    with SpanSigner(kms, "again") as signer:
        (batch,) = signer.split([spans.resource_spans("a", "b")])
        first, again = (signer.sign_batch(batch).result(HUNG_SECONDS) for _ in range(2))
    assert first == again


def test_signs_nothing_for_nothing(kms):
    with SpanSigner(kms, "nothing") as signer:
        assert signer.sign([]).result(HUNG_SECONDS) == []


def test_refuses_bytes_that_are_no_spans(kms):
    with SpanSigner(kms, "bytes") as signer, pytest.raises(ValueError, match="ResourceSpans"):
        signer.sign([b"\xff"])


def test_refuses_to_sign_once_closed(kms):
    signer = SpanSigner(kms, "closed")
    signer.close()
    signer.close()
    with pytest.raises(SigningError, match="closed"):
        signer.sign([spans.resource_spans("a")])
    with pytest.raises(SigningError, match="closed"):
        signer.flush()


def test_fails_what_is_unanswered_when_it_is_closed():
    with KmsClient("127.0.0.1:1", insecure=True) as kms:
        signer = SpanSigner(kms, "nobody")
        answer = signer.sign([spans.resource_spans("a")])
        with pytest.raises(TimeoutError):
            signer.flush(0.01)
        signer.close(0)
        with pytest.raises(SigningError, match="closed before"):
            answer.result(0)


def test_holds_no_room_for_a_batch_that_is_too_late():
    with KmsClient("127.0.0.1:1", insecure=True) as kms:
        signer = SpanSigner(kms, "nobody", max_unanswered=1)
        (batch,) = signer.split([spans.resource_spans("a")])
        for _ in range(100):
            with contextlib.suppress(TimeoutError):
                signer.withdraw(signer.sign_batch(batch, timeout=0))
        signer.withdraw(signer.sign_batch(batch, timeout=HUNG_SECONDS))
        signer.close(0)


def test_keeps_nobody_waiting_for_room_when_it_is_closed():
    async def outcomes():
        channel = open_async_channel(Connection("127.0.0.1:1", insecure=True))
        stream = SigningStream(channel, token=None, max_unanswered=1)
        (batch,) = split([spans.resource_spans("a")], "nobody", SignMode.SIGN_MODE_LOG)
        await stream.admit(batch, Future())
        waiting = [asyncio.create_task(stream.admit(batch, Future())) for _ in range(20)]
        await asyncio.sleep(0)  # each of them begins
        await stream.close(0)
        await channel.close()
        return [str(each.exception()) for each in waiting if each.done()]

    assert asyncio.run(outcomes()) == ["CANCELLED: the signer is closed"] * 20
