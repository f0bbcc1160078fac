"""Log proofs of a real service, offline: rotation, handovers, compromise, and proofs that do not hold."""

from __future__ import annotations

import base64
import json
import urllib.request

import spans

from fluo.kms.v1.key_admin_pb2 import MarkKeyCompromisedRequest
from fluo.kms.v1.key_pb2 import KeyPurpose
from fluo.kms.v1.rotation_pb2 import RotateRequest
from fluo.kms.v1.signing_pb2 import SignMode, SignSpansRequest
from fluo.kms.v1.span_pb2 import ResourceSpans
from fluo_kms import KmsClient
from fluo_kms.signer import SpanSigner
from fluo_kms.verify import KeySet, LogProof, verify, verify_export

HUNG_SECONDS = 60


def sign(kms: KmsClient, tenant: str, *names: str) -> ResourceSpans:
    whole = spans.resource_spans(*names)
    with SpanSigner(kms, tenant) as signer:
        return spans.put(whole, signer.sign([whole]).result(HUNG_SECONDS))


def jwks_of(http: str, tenant: str) -> dict:
    with urllib.request.urlopen(f"{http}/api/kms/tenants/{tenant}/jwks.json") as answer:
        return json.loads(answer.read())


def reasons(keys: KeySet, *wholes: ResourceSpans) -> list[str]:
    return [verdict.reason for verdict in verify_export(keys, spans.export(*wholes))]


def test_follows_handovers_from_a_key_that_is_trusted(service, kms):
    first = sign(kms, "handover", "a", "b")
    kms.service.Rotate(RotateRequest(tenant_id="handover", purpose=KeyPurpose.KEY_PURPOSE_SIGNING, force=True))
    second = sign(kms, "handover", "c")
    jwks = jwks_of(service.http, "handover")
    keys = KeySet.parse(json.dumps(jwks))
    assert len(keys.handovers) == 1
    old, new = sorted(keys.keys.values(), key=lambda key: key.valid_from_ms or 0)
    vkey = {key["kid"]: key["vkeys"][0] for key in jwks["keys"]}
    assert reasons(keys.trusting([vkey[old.key_id]]), first, second) == ["OK"] * 3
    assert reasons(keys.trusting([vkey[new.key_id]]), first, second) == ["UNKNOWN_KEY", "UNKNOWN_KEY", "OK"]
    without = KeySet.parse(json.dumps({**jwks, "handovers": []}))
    assert reasons(without.trusting([vkey[old.key_id]]), first, second) == ["OK", "OK", "UNKNOWN_KEY"]


def test_proves_what_was_in_the_log_when_its_key_was_marked_as_compromised(service, kms):
    first = sign(kms, "compromised", "a")
    second = sign(kms, "compromised", "b", "c")
    keys = spans.keys_of(service.http, "compromised")
    (key_id,) = keys.keys
    kms.admin.MarkKeyCompromised(MarkKeyCompromisedRequest(tenant_id="compromised", key_id=key_id))
    keys = spans.keys_of(service.http, "compromised")
    # The second batch's checkpoint is the head that was recorded; the first batch's is another.
    assert reasons(keys, first, second) == ["KEY_COMPROMISED", "OK", "OK"]
    assert keys.keys[key_id].state == "COMPROMISED"


def test_calls_a_proof_invalid_that_was_changed(service, kms):
    whole = sign(kms, "changed", "a", "b", "c")
    keys = spans.keys_of(service.http, "changed")
    assert [verdict.leaf_index for verdict in verify_export(keys, spans.export(whole))] == [0, 1, 2]

    def changed(old: str, new: str) -> list[str]:
        copy = ResourceSpans()
        copy.CopyFrom(whole)
        for span in copy.scope_spans[0].spans:
            for attribute in span.attributes:
                if attribute.key == "audit.integrity.value":
                    proof = base64.b64decode(attribute.value.string_value).decode()
                    attribute.value.string_value = base64.b64encode(proof.replace(old, new).encode()).decode()
        return reasons(keys, copy)

    assert changed("index 0", "index 1") == ["PROOF_INVALID", "OK", "OK"]
    assert changed("index 2", "index 3") == ["OK", "OK", "PROOF_INVALID"]
    assert changed("\n3\n", "\n4\n") == ["PROOF_INVALID"] * 3
    assert changed("index 1", "index 01") == ["OK", "MALFORMED", "OK"]
    assert changed("/changed\n3", "/another\n3") == ["UNKNOWN_KEY"] * 3
    whole.scope_spans[0].spans[1].name = "x"
    assert reasons(keys, whole) == ["OK", "PROOF_INVALID", "OK"]


def test_takes_an_entry_and_its_proof_beside_the_span(service, kms):
    whole = spans.resource_spans("a", "b")
    request = SignSpansRequest(
        resource_spans=[whole], tenant_id="entries", mode=SignMode.SIGN_MODE_LOG, request_id="entries"
    )
    results = [result.signed for answer in kms.service.SignSpans(iter([request])) for result in answer.results]
    keys = spans.keys_of(service.http, "entries")
    first, second = whole.scope_spans[0].spans
    resource, scope = whole.resource, whole.scope_spans[0].scope
    entry = _entry(first, resource, scope, results[0])
    verdict = verify(keys, "entries", resource, scope, first, LogProof(entry, results[0].proof))
    assert (verdict.reason, verdict.leaf_index, verdict.log) == ("OK", 0, "localhost/entries")
    assert verify(keys, "entries", resource, scope, second, LogProof(entry, results[0].proof)).reason == "SPAN_MISMATCH"
    assert verify(keys, "entries", resource, scope, first, LogProof(entry, results[1].proof)).reason == "PROOF_INVALID"
    assert (
        verify(keys, "entries", resource, scope, first, LogProof(entry + b" ", results[0].proof)).reason == "MALFORMED"
    )
    assert verify(keys, "globex", resource, scope, first, LogProof(entry, results[0].proof)).reason == "UNKNOWN_KEY"


def _entry(span, resource, scope, signed) -> bytes:
    """The log's entry of a span, put together from what the service answered."""
    from fluo_kms.verify._canonical import read_span, resource_text, scope_text
    from fluo_kms.verify._statement import SpanStatement

    around = resource_text(resource.SerializeToString()), scope_text(scope.SerializeToString())
    read = read_span(span.SerializeToString(), *around)
    at = signed.signed_at.ToDatetime().isoformat(timespec="milliseconds") + "Z"
    return SpanStatement(read.trace_id, read.span_id, read.digest, "entries", at).text()
