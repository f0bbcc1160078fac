"""Makes evidence of each kind with a running service."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import grpc
from checks import Checks
from scenario import Scenario, b64, spans_of

from fluo.kms.v1.data_key_pb2 import GenerateDataKeyRequest
from fluo.kms.v1.key_admin_pb2 import ListKeysRequest
from fluo.kms.v1.operations_pb2 import StatusRequest
from fluo.kms.v1.pii_pb2 import EncryptPiiRequest, PlainField
from fluo.kms.v1.public_key_pb2 import GetPublicKeysRequest
from fluo.kms.v1.signing_pb2 import SignMode, SignSpanRequest, SignSpansRequest
from fluo.kms.v1.span_pb2 import ResourceSpans
from fluo_kms import KmsClient, details_of
from fluo_kms.files import seal_file
from fluo_kms.records import decrypt_record, encrypt_record


def run(world: dict[str, Any], checks: Checks) -> None:
    scenario = Scenario(world["scenario"])
    with KmsClient(world["service"], insecure=True) as kms:
        evidence = {
            "language": "python",
            "individual": b64(_individual(kms, scenario, checks)),
            "log": b64(_logged(kms, scenario, checks)),
            "tokens": _tokens(kms, scenario, checks),
            "record": _record(kms, scenario, checks),
            "context": scenario.context,
            "blob": b64(_blob(kms, scenario)),
            "sealed": b64(_sealed(kms, scenario, Path(world["work"]), checks)),
        }
        _refusal(kms, scenario, checks)
        _deadline(kms, checks)
        _paging(kms, scenario, checks)
    Path(world["out"]).write_text(json.dumps(evidence), encoding="utf-8")


def _individual(kms: KmsClient, scenario: Scenario, checks: Checks) -> bytes:
    whole = ResourceSpans.FromString(scenario.batch)
    for scope_spans, span in spans_of(whole):
        scope = scope_spans.scope if scope_spans.HasField("scope") else None
        request = SignSpanRequest(tenant_id=scenario.tenant, span=span, resource=whole.resource, scope=scope)
        signed = kms.service.SignSpan(request)
        checks.that(len(signed.attributes) > 0, f"SignSpan signs {span.name}", "it gives no attributes")
        span.attributes.extend(signed.attributes)
    return whole.SerializeToString()


def _logged(kms: KmsClient, scenario: Scenario, checks: Checks) -> bytes:
    whole = ResourceSpans.FromString(scenario.batch)
    request = SignSpansRequest(
        resource_spans=[whole],
        tenant_id=scenario.tenant,
        mode=SignMode.SIGN_MODE_LOG,
        request_id=uuid.uuid4().hex,
        with_attributes=True,
    )
    first, again = (
        [result.signed for answer in kms.service.SignSpans(iter([request])) for result in answer.results]
        for _ in range(2)
    )
    checks.equal(
        "a batch sent again gets the same places",
        [signed.leaf_index for signed in again],
        [signed.leaf_index for signed in first],
    )
    for (_, span), signed in zip(spans_of(whole), first, strict=True):
        span.attributes.extend(signed.attributes)
    return whole.SerializeToString()


def _tokens(kms: KmsClient, scenario: Scenario, checks: Checks) -> list[dict[str, str]]:
    request = EncryptPiiRequest(
        tenant_id=scenario.tenant,
        fields=[PlainField(name=name, value=value) for name, value in scenario.fields],
        encryption_context=scenario.context,
    )
    fields = kms.service.EncryptPii(request).fields
    checks.equal("EncryptPii answers in order", [field.name for field in fields], [name for name, _ in scenario.fields])
    return [{"name": field.name, "token": field.token} for field in fields]


def _record(kms: KmsClient, scenario: Scenario, checks: Checks) -> dict[str, str]:
    stored = encrypt_record(kms, scenario.tenant, scenario.record, scenario.context)
    checks.equal("a record's field without a mark", stored.id, scenario.record.id)
    checks.equal("a record's absent field", stored.phone, None)
    opened = decrypt_record(kms, scenario.tenant, stored, scenario.context)
    checks.that(opened == scenario.record, "a record opens again", "another record")
    return {"email": stored.email, "note": stored.note.decode("ascii"), "alias": stored.alias}


def _blob(kms: KmsClient, scenario: Scenario) -> bytes:
    request = GenerateDataKeyRequest(tenant_id=scenario.tenant, encryption_context=scenario.context)
    blob: bytes = kms.service.GenerateDataKey(request).ciphertext_blob
    return blob


def _sealed(kms: KmsClient, scenario: Scenario, work: Path, checks: Checks) -> bytes:
    source, target = work / "plain", work / "sealed"
    source.write_bytes(scenario.file)
    seal_file(kms, scenario.tenant, source, target, scenario.context)
    sealed = target.read_bytes()
    checks.that(scenario.file not in sealed, "the sealed file hides the file")
    return sealed


def _refusal(kms: KmsClient, scenario: Scenario, checks: Checks) -> None:
    wanted = scenario.refused
    try:
        kms.service.GenerateDataKey(GenerateDataKeyRequest(tenant_id=wanted["tenant"]))
        checks.failed("a refusal", "it was not refused")
    except grpc.RpcError as error:
        details = details_of(error)
        checks.equal("code of a refusal", error.code().name, wanted["code"])
        checks.equal("reason of a refusal", details.reason, wanted["reason"])
        checks.equal("fields of a refusal", [each.field for each in details.fields], [wanted["field"]])
        checks.that(all(each.description for each in details.fields), "fields are described", details.fields)


def _deadline(kms: KmsClient, checks: Checks) -> None:
    try:
        kms.service.Status(StatusRequest(), timeout=0.000_001)
        checks.failed("a deadline that passes", "the call succeeded")
    except grpc.RpcError as error:
        checks.equal("a deadline that passes", error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)


def _paging(kms: KmsClient, scenario: Scenario, checks: Checks) -> None:
    def keys(page_size: int) -> list[str]:
        request = ListKeysRequest(tenant_id=scenario.tenant, page_size=page_size)
        return [key.version.key_id for key in kms.iter_keys(request)]

    def public_keys(page_size: int) -> set[str]:
        request = GetPublicKeysRequest(tenant_id=scenario.tenant, page_size=page_size)
        return {key.key_id for key in kms.iter_public_keys(request)}

    whole = keys(100)
    checks.equal("ListKeys in small pages", keys(1), whole)
    checks.that(len(whole) >= 2, "ListKeys lists the tenant's keys", len(whole))
    checks.equal("GetPublicKeys in small pages", public_keys(1), public_keys(100))
