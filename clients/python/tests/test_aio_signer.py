"""The signer of asyncio: the promises of the other one, and those about cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import spans
from proxy import Proxy
from test_signer_ends import Scripted, answers, ends_with, knows_only, refuses

from fluo.kms.v1.kms_service_pb2_grpc import add_KmsServiceServicer_to_server
from fluo.kms.v1.signing_pb2 import SignSpansRequest
from fluo_kms import AsyncKmsClient, KmsClient
from fluo_kms.aio import SpanSigner
from fluo_kms.signer import RefusedSpan, SigningError
from fluo_kms.signer import SpanSigner as ThreadSigner
from fluo_kms.verify import verify_export

HUNG_SECONDS = 60


@pytest.fixture
def scripted():
    server = grpc.server(ThreadPoolExecutor(8))
    service = Scripted()
    add_KmsServiceServicer_to_server(service, server)
    service.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield service
    server.stop(None).wait()


def run(address: str, work: Callable[[SpanSigner], Awaitable], *, tenant: str = "acme", token=None, **options):
    async def opened():
        async with (
            AsyncKmsClient(address, insecure=True, token=token) as kms,
            SpanSigner(kms, tenant, **options) as signer,
        ):
            return await work(signer)

    return asyncio.run(asyncio.wait_for(opened(), HUNG_SECONDS))


async def outcomes(signer: SpanSigner, count: int) -> list:
    """The index, or the code, that each batch of one span gets."""
    pending = [await signer.sign([spans.resource_spans(str(i))]) for i in range(count)]
    return [await outcome(each) for each in pending]


async def outcome(pending: Awaitable):
    try:
        (result,) = await pending
    except SigningError as error:
        return error.code
    return result.leaf_index


@pytest.mark.parametrize("mode", ["LOG", "INDIVIDUAL"])
def test_signs_spans_that_verify_offline(service, mode):
    wholes = [spans.resource_spans(*(f"{i}-{j}" for j in range(900))) for i in range(3)]
    tenant = f"aio-{mode.lower()}"

    async def work(signer):
        return await (await signer.sign(wholes))

    results = run(service.grpc, work, tenant=tenant, mode=mode)
    assert [each.leaf_index for each in results] == (list(range(2700)) if mode == "LOG" else [None] * 2700)
    signed = [spans.put(whole, results[900 * i : 900 * (i + 1)]) for i, whole in enumerate(wholes)]
    verdicts = verify_export(spans.keys_of(service.http, tenant), spans.export(*signed), tenant)
    assert {verdict.reason for verdict in verdicts} == {"OK"}


def test_refuses_a_bad_span_alone(service):
    whole = spans.resource_spans("good", "bad", "good")
    whole.scope_spans[0].spans[1].trace_id = b"short"

    async def work(signer):
        return await (await signer.sign([whole, spans.resource_spans("huge", size=5_000_000)]))

    first, second, third, huge = run(service.grpc, work, tenant="aio-refused")
    assert (first.leaf_index, third.leaf_index) == (0, 1)
    assert isinstance(second, RefusedSpan)
    assert huge.code == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("code", ["UNAVAILABLE", "ABORTED", "INTERNAL"])
def test_sends_again_what_a_stream_that_breaks_did_not_answer(scripted, code):
    scripted.script = [ends_with(grpc.StatusCode[code], after=2)]
    tokens = (f"token-{i}" for i in range(9))

    async def token() -> str:
        return next(tokens)

    assert run(scripted.address, lambda signer: outcomes(signer, 6), token=token) == list(range(6))
    first, second = scripted.requests
    assert any(second[: len(first) - read] == first[read:] for read in (0, 1, 2))
    assert scripted.shown == ["Bearer token-0", "Bearer token-1"]


def test_fails_the_batch_alone_that_a_refusal_is_about(scripted):
    scripted.others = refuses(1, "PERMISSION_DENIED", "PERMISSION_DENIED")
    assert run(scripted.address, lambda signer: outcomes(signer, 4)) == [0, "PERMISSION_DENIED", 2, 3]


def test_fails_what_is_unanswered_when_a_fresh_token_is_refused_too(scripted):
    scripted.others = knows_only("Bearer another")

    async def work(signer):
        refused = await outcomes(signer, 4)
        scripted.others = answers
        return refused, await outcomes(signer, 1)

    assert run(scripted.address, work, token=lambda: "same") == (["UNAUTHENTICATED"] * 4, [0])


def test_is_resumed_over_connections_that_are_cut(service):
    proxy = Proxy(service.grpc)

    async def work(signer):
        pending = []
        for i in range(30):
            pending.append(await signer.sign([spans.resource_spans(*(f"{i}-{j}" for j in range(50)))]))
            if i % 7 == 3:
                proxy.reset()
        return [result.leaf_index for each in pending for result in await each]

    try:
        assert run(proxy.address, work, tenant="aio-resumed") == list(range(1500))
    finally:
        proxy.close()


def holding(go_on: asyncio.Event, loop: asyncio.AbstractEventLoop):
    """Answers once it may."""

    def serve(requests, context):
        for request in requests:
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(HUNG_SECONDS)
            yield from answers(iter([request]), context)

    return serve


def test_gives_way_while_too_much_is_unanswered(scripted):
    async def work(signer):
        go_on = asyncio.Event()
        scripted.script = [holding(go_on, asyncio.get_running_loop())]
        pending = [await signer.sign([spans.resource_spans(str(i))]) for i in range(2)]
        third = asyncio.ensure_future(signer.sign([spans.resource_spans("2")]))
        with pytest.raises(TimeoutError):
            await signer.flush(0.05)
        assert not third.done()
        go_on.set()
        got = [await outcome(each) for each in (*pending, await third)]
        await signer.flush()
        return got

    assert run(scripted.address, work, max_unanswered=2) == [0, 1, 2]


def test_takes_nothing_of_a_call_that_is_cancelled_while_it_waits_for_room(scripted):
    async def work(signer):
        go_on = asyncio.Event()
        scripted.script = [holding(go_on, asyncio.get_running_loop())]
        first = await signer.sign([spans.resource_spans("0")])
        waiting = [asyncio.ensure_future(signer.sign([spans.resource_spans(name)])) for name in ("x", "1")]
        await asyncio.sleep(0)  # both begin
        waiting[0].cancel()
        go_on.set()
        return [await outcome(first), await outcome(await waiting[1])]

    assert run(scripted.address, work, max_unanswered=1) == [0, 1]
    (received,) = scripted.requests
    assert len(received) == 2


def test_goes_on_when_an_answer_is_cancelled(scripted):
    async def work(signer):
        go_on = asyncio.Event()
        scripted.script = [holding(go_on, asyncio.get_running_loop())]
        first = await signer.sign([spans.resource_spans("0")])
        waiting = asyncio.ensure_future(outcome(first))
        await asyncio.sleep(0)
        waiting.cancel()
        second = await signer.sign([spans.resource_spans("1")])  # the room of the first
        go_on.set()
        return await outcome(second)

    assert run(scripted.address, work, max_unanswered=1) == 1


def test_fails_what_is_unanswered_when_it_is_closed():
    async def work(signer):
        answer = await signer.sign([spans.resource_spans("a")])
        closing = asyncio.ensure_future(signer.close(0))
        await asyncio.sleep(0)
        closing.cancel()  # it goes on
        await signer.close()
        for call in (signer.sign([spans.resource_spans("b")]), signer.flush()):
            with pytest.raises(SigningError, match="closed"):
                await call
        return await outcome(answer)

    assert run("127.0.0.1:1", work) == "CANCELLED"


def test_signs_the_bytes_of_the_other_signer(scripted):
    whole = spans.resource_spans("a", "b")

    async def work(signer):
        (batch,) = signer.split([whole])
        return batch.request

    request = SignSpansRequest.FromString(run(scripted.address, work))
    with KmsClient(scripted.address, insecure=True) as kms, ThreadSigner(kms, "acme") as other:
        (batch,) = other.split([whole])
    twin = SignSpansRequest.FromString(batch.request)
    request.request_id = twin.request_id
    assert request == twin
