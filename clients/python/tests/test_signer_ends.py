"""How a signer takes each end of a stream, by a server that ends its streams as the test says."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import spans
from google.protobuf.any_pb2 import Any as PackedMessage
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from fluo.kms.v1.kms_service_pb2_grpc import KmsServiceServicer, add_KmsServiceServicer_to_server
from fluo.kms.v1.signing_pb2 import SignSpansRequest, SignSpansResponse
from fluo_kms import KmsClient
from fluo_kms.signer import SigningError, SpanSigner

HUNG_SECONDS = 60


def answer_to(request: SignSpansRequest, **changes: Any) -> SignSpansResponse:
    answer = SignSpansResponse(request_id=request.request_id, batch_done=True)
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                signed = answer.results.add().signed
                signed.leaf_index = int(span.name)
                signed.attributes.add(key="audit.integrity.value").value.string_value = span.name
    answer.MergeFrom(SignSpansResponse(**changes))
    return answer


def refusal(code: grpc.StatusCode, reason: str = "", retry_after: float | None = None) -> Any:
    status = Status(code=code.value[0], message="as the test says")
    details = [ErrorInfo(reason=reason)] if reason else []
    if retry_after is not None:
        details.append(RetryInfo())
        details[-1].retry_delay.FromMilliseconds(int(retry_after * 1000))
    for each in details:
        packed = PackedMessage()
        packed.Pack(each)
        status.details.append(packed)
    return rpc_status.to_status(status)


class Scripted(KmsServiceServicer):
    """Serves its streams one by one by the functions that it is given, and each further one by another."""

    def __init__(self) -> None:
        self.script: list[Callable[[Iterator[SignSpansRequest], Any], Iterator[SignSpansResponse]]] = []
        self.others: Callable[[Iterator[SignSpansRequest], Any], Iterator[SignSpansResponse]] = answers
        self.requests: list[list[bytes]] = []
        self.shown: list[str | None] = []

    def SignSpans(self, request_iterator, context):
        self.shown.append(dict(context.invocation_metadata()).get("authorization"))
        received: list[bytes] = []
        self.requests.append(received)

        def requests() -> Iterator[SignSpansRequest]:
            for request in request_iterator:
                received.append(request.SerializeToString())
                yield request

        serve = self.script.pop(0) if self.script else self.others
        yield from serve(requests(), context)


def refuses(index: int, code: str, reason: str = ""):
    """Ends each stream at the batch of this index."""

    def serve(requests, context):
        for request in requests:
            if request.resource_spans[0].scope_spans[0].spans[0].name == str(index):
                context.abort_with_status(refusal(grpc.StatusCode[code], reason))
            yield answer_to(request)

    return serve


def answers(requests, context):
    for request in requests:
        yield answer_to(request)


def ends_with(code: grpc.StatusCode, reason: str = "", *, after: int = 0, retry_after: float | None = None):
    """Answers so many batches, takes one more, and ends the stream."""

    def serve(requests, context):
        for index, request in enumerate(requests):
            if index == after:
                context.abort_with_status(refusal(code, reason, retry_after))
            yield answer_to(request)

    return serve


@pytest.fixture
def scripted():
    server = grpc.server(ThreadPoolExecutor(8))
    service = Scripted()
    add_KmsServiceServicer_to_server(service, server)
    service.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield service
    server.stop(None).wait()


@pytest.fixture
def signer(scripted):
    tokens = (f"token-{i}" for i in range(1000))
    with KmsClient(scripted.address, insecure=True, token=lambda: next(tokens)) as kms, SpanSigner(kms, "acme") as each:
        yield each


def sign(signer: SpanSigner, count: int) -> list[Any]:
    """The index, or the code, that each batch of one span gets."""
    pending = [signer.sign([spans.resource_spans(str(i))]) for i in range(count)]
    return [outcome(each) for each in pending]


def outcome(pending) -> Any:
    try:
        (result,) = pending.result(HUNG_SECONDS)
    except SigningError as error:
        return error.code
    return result.leaf_index


PASSING = ["UNAVAILABLE", "ABORTED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN", "CANCELLED"]


@pytest.mark.parametrize("code", PASSING)
def test_sends_again_what_a_stream_that_breaks_did_not_answer(scripted, signer, code):
    scripted.script = [ends_with(grpc.StatusCode[code], after=2)]
    assert sign(signer, 6) == list(range(6))
    first, second = scripted.requests
    # What was not answered comes again in its order, with the same bytes. An answer that was not read is none.
    assert any(second[: len(first) - read] == first[read:] for read in (0, 1, 2))
    assert scripted.shown == ["Bearer token-0", "Bearer token-1"]


def test_opens_a_stream_again_that_ended_well_too_early(scripted, signer):
    def ends_well(requests, context):
        yield answer_to(next(requests))

    scripted.script = [ends_well, ends_well]
    assert sign(signer, 4) == list(range(4))
    assert len(scripted.requests) == 3


def test_waits_as_long_as_it_is_told(scripted, signer):
    scripted.script = [ends_with(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", retry_after=0.7)]
    before = time.monotonic()
    assert sign(signer, 1) == [0]
    assert time.monotonic() - before >= 0.7


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "FAILED_PRECONDITION", "PERMISSION_DENIED", "ALREADY_EXISTS"])
def test_fails_the_batch_alone_that_a_refusal_is_about(scripted, signer, code):
    scripted.others = refuses(1, code, code)
    assert sign(signer, 4) == [0, code, 2, 3]


def test_fails_a_batch_on_which_the_service_itself_fails(scripted, signer):
    scripted.others = refuses(0, "INTERNAL", "INTERNAL")
    assert sign(signer, 2) == ["INTERNAL", 1]


def knows_only(*tokens: str):
    """Ends each stream that shows another token, at its first batch."""

    def serve(requests, context):
        shown = dict(context.invocation_metadata()).get("authorization")
        for request in requests:
            if shown not in tokens:
                context.abort_with_status(refusal(grpc.StatusCode.UNAUTHENTICATED, "CREDENTIAL_EXPIRED"))
            yield answer_to(request)

    return serve


def test_shows_a_fresh_token_where_one_has_ended(scripted, signer):
    scripted.others = knows_only("Bearer token-1")
    assert sign(signer, 1) == [0]
    assert scripted.shown == ["Bearer token-0", "Bearer token-1"]


def test_fails_what_is_unanswered_when_a_fresh_token_is_refused_too(scripted):
    scripted.others = knows_only("Bearer another")
    with KmsClient(scripted.address, insecure=True, token=lambda: "same") as kms, SpanSigner(kms, "acme") as signer:
        assert sign(signer, 4) == ["UNAUTHENTICATED"] * 4
        scripted.others = answers
        assert sign(signer, 1) == [0]


def test_fails_when_the_token_function_raises_and_keeps_its_words_to_itself(scripted):
    def token() -> str:
        raise RuntimeError("the secret")

    with KmsClient(scripted.address, insecure=True, token=token) as kms, SpanSigner(kms, "acme") as signer:
        answer = signer.sign([spans.resource_spans("1")])
        error = answer.exception(HUNG_SECONDS)
    assert isinstance(error, SigningError)
    assert "RuntimeError" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "wrong",
    [
        {"request_id": "another"},
        {"results": answer_to(SignSpansRequest(resource_spans=[spans.resource_spans("9")])).results},
    ],
    ids=["another batch", "too many results"],
)
def test_takes_no_answer_to_something_else(scripted, signer, wrong):
    def answers_wrongly(requests, context):
        for request in requests:
            yield answer_to(request, **wrong)

    scripted.script = [answers_wrongly]
    assert sign(signer, 2) == ["INTERNAL", 1]


def test_takes_no_answer_with_too_few_results(scripted, signer):
    def answers_wrongly(requests, context):
        for request in requests:
            yield SignSpansResponse(request_id=request.request_id, batch_done=True)

    scripted.script = [answers_wrongly]
    assert sign(signer, 2) == ["INTERNAL", 1]


def test_says_that_a_service_is_too_old_for_attributes(scripted, signer):
    def forgets_attributes(requests, context):
        for request in requests:
            answer = answer_to(request)
            for result in answer.results:
                result.signed.ClearField("attributes")
            yield answer

    scripted.script = [forgets_attributes]
    pending = signer.sign([spans.resource_spans("0")])
    with pytest.raises(SigningError, match="update it"):
        pending.result(HUNG_SECONDS)


def test_puts_an_answer_of_several_messages_together(scripted, signer):
    def answers_piecewise(requests, context):
        for request in requests:
            whole = answer_to(request)
            for result in whole.results:
                yield SignSpansResponse(request_id=request.request_id, results=[result])
            yield SignSpansResponse(request_id=request.request_id, batch_done=True)

    scripted.script = [answers_piecewise]
    results = signer.sign([spans.resource_spans("0", "1", "2")]).result(HUNG_SECONDS)
    assert [result.leaf_index for result in results] == [0, 1, 2]


def test_blocks_while_too_much_is_unanswered(scripted):
    may_answer = threading.Event()

    def waits(requests, context):
        for request in requests:
            assert may_answer.wait(HUNG_SECONDS)
            yield answer_to(request)

    scripted.script = [waits]
    with KmsClient(scripted.address, insecure=True) as kms, SpanSigner(kms, "acme", max_unanswered=2) as signer:
        pending = [signer.sign([spans.resource_spans(str(i))]) for i in range(2)]
        (batch,) = signer.split([spans.resource_spans("2")])
        with pytest.raises(TimeoutError):
            signer.sign_batch(batch, timeout=0.2)
        with pytest.raises(TimeoutError):
            signer.flush(0.05)
        may_answer.set()
        assert [outcome(each) for each in pending] == [0, 1]
        assert outcome(signer.sign_batch(batch)) == 2
        signer.flush(HUNG_SECONDS)


def test_holds_four_batches_at_most_in_order_while_the_service_answers_slowly(scripted):
    counting = threading.Lock()
    unanswered = most = 0

    def slowly(requests, context):
        nonlocal unanswered
        arrived: queue.SimpleQueue[SignSpansRequest | None] = queue.SimpleQueue()

        def read() -> None:
            nonlocal unanswered, most
            for request in requests:
                with counting:
                    unanswered += 1
                    most = max(most, unanswered)
                arrived.put(request)
            arrived.put(None)

        threading.Thread(target=read, daemon=True).start()
        while (request := arrived.get(timeout=HUNG_SECONDS)) is not None:
            time.sleep(0.005)
            with counting:
                unanswered -= 1
            yield answer_to(request)

    scripted.script = [slowly]
    with KmsClient(scripted.address, insecure=True) as kms, SpanSigner(kms, "acme", max_unanswered=4) as signer:
        pending = [signer.sign([spans.resource_spans(str(i))]) for i in range(40)]
        assert [outcome(each) for each in pending] == list(range(40))
    (received,) = scripted.requests
    given = [SignSpansRequest.FromString(each).resource_spans[0] for each in received]
    assert [each.scope_spans[0].spans[0].name for each in given] == [str(i) for i in range(40)]
    assert most <= 4


def test_sends_no_more_what_is_withdrawn(scripted):
    has_taken = threading.Event()

    def takes_and_breaks(requests, context):
        next(requests)
        has_taken.set()
        assert is_withdrawn.wait(HUNG_SECONDS)
        context.abort(grpc.StatusCode.UNAVAILABLE, "later")
        yield

    is_withdrawn = threading.Event()
    scripted.script = [takes_and_breaks]
    with KmsClient(scripted.address, insecure=True) as kms, SpanSigner(kms, "acme", max_unanswered=2) as signer:
        first, second = (signer.sign([spans.resource_spans(str(i))]) for i in range(2))
        assert has_taken.wait(HUNG_SECONDS)
        signer.withdraw(first)
        assert outcome(first) == "CANCELLED"
        is_withdrawn.set()
        assert outcome(second) == 1
        assert outcome(signer.sign([spans.resource_spans("2")])) == 2
    again = [SignSpansRequest.FromString(each).resource_spans[0] for each in scripted.requests[1]]
    assert [resource_spans.scope_spans[0].spans[0].name for resource_spans in again] == ["1", "2"]


def test_fails_what_was_unanswered_for_23_hours(scripted, monkeypatch):
    import fluo_kms._signing.stream as stream

    offset = 0.0
    monkeypatch.setattr(stream.SigningStream.__init__, "__kwdefaults__", {"clock": lambda: time.monotonic() + offset})
    taken = threading.Event()
    go_on = threading.Event()

    def takes_and_breaks(requests, context):
        next(requests)
        taken.set()
        assert go_on.wait(HUNG_SECONDS)
        context.abort(grpc.StatusCode.UNAVAILABLE, "later")
        yield

    scripted.script = [takes_and_breaks]
    with KmsClient(scripted.address, insecure=True) as kms, SpanSigner(kms, "acme") as signer:
        old = signer.sign([spans.resource_spans("0")])
        assert taken.wait(HUNG_SECONDS)
        offset = 23 * 3600 + 1
        go_on.set()
        assert outcome(old) == "DEADLINE_EXCEEDED"
        assert outcome(signer.sign([spans.resource_spans("1")])) == 1


def test_does_not_sign_a_batch_again_that_it_first_sent_23_hours_ago(scripted, monkeypatch):
    import fluo_kms._signing.stream as stream

    offset = 0.0
    monkeypatch.setattr(stream.SigningStream.__init__, "__kwdefaults__", {"clock": lambda: time.monotonic() + offset})

    def refuses(requests, context):
        next(requests)
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")
        yield

    scripted.script = [refuses]
    with KmsClient(scripted.address, insecure=True) as kms, SpanSigner(kms, "acme") as signer:
        (old,) = signer.split([spans.resource_spans("0")])
        assert outcome(signer.sign_batch(old)) == "PERMISSION_DENIED"
        offset = 23 * 3600 + 1
        assert outcome(signer.sign_batch(old)) == "DEADLINE_EXCEEDED"
        assert outcome(signer.sign([spans.resource_spans("1")])) == 1
