"""Checks the evidence of all languages, offline and by the service."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

from checks import Checks
from scenario import Person, Scenario, spans_of

from fluo.kms.v1.data_key_pb2 import DecryptDataKeyRequest
from fluo.kms.v1.pii_pb2 import DecryptPiiRequest, EncryptedField, ReEncryptPiiRequest
from fluo.kms.v1.signing_pb2 import VerifyReason, VerifySpanRequest
from fluo.kms.v1.span_pb2 import ResourceSpans
from fluo_kms import KmsClient
from fluo_kms.files import NotAuthentic, open_file
from fluo_kms.records import decrypt_record
from fluo_kms.verify import KeySet, verify

_INVALID_ARGUMENT = 3
_DATA_KEY_BYTES = 32
# Languages with generated code alone, which have neither records nor files.
_WITHOUT_LAYER = ("ruby", "rust")


def run(world: dict[str, Any], checks: Checks) -> None:
    scenario = Scenario(world["scenario"])
    keys = KeySet.parse(Path(world["keys"]).read_text(encoding="utf-8"))
    offline = world.get("expect", {"individual": "OK", "log": "OK"})
    online = world.get("expectService", offline)
    with KmsClient(world["service"], insecure=True) as kms:
        for path in world["evidence"]:
            evidence = json.loads(Path(path).read_text(encoding="utf-8"))
            who = evidence["language"]
            for kind in ("individual", "log"):
                whole = ResourceSpans.FromString(base64.b64decode(evidence[kind]))
                _spans(kms, keys, scenario.tenant, whole, (offline[kind], online[kind]), checks, f"{who}'s {kind}")
            _tokens(kms, scenario, evidence, checks)
            _data_key(kms, scenario, evidence, checks)
            if who not in _WITHOUT_LAYER:
                _record(kms, scenario, evidence, checks)
                _file(kms, scenario, evidence, Path(world["work"]), checks)


def _spans(
    kms: KmsClient,
    keys: KeySet,
    tenant: str,
    whole: ResourceSpans,
    expected: tuple[str, str],
    checks: Checks,
    what: str,
) -> None:
    resource = whole.resource
    for scope_spans, span in spans_of(whole):
        scope = scope_spans.scope if scope_spans.HasField("scope") else None
        for is_altered in (False, True):
            if is_altered:
                span.name += "!"
            verdict = verify(keys, tenant, resource, scope, span)
            request = VerifySpanRequest(tenant_id=tenant, span=span, resource=resource, scope=scope)
            answer = kms.service.VerifySpan(request)
            if is_altered:
                checks.that(not verdict.verified, f"{what}, altered, offline", verdict.reason)
                checks.that(not answer.verified, f"{what}, altered, by the service", answer.reason)
            else:
                checks.equal(f"{what}, offline", verdict.reason, expected[0])
                reason = VerifyReason.Name(answer.reason).removeprefix("VERIFY_REASON_")
                checks.equal(f"{what}, by the service", reason, expected[1])


def _tokens(kms: KmsClient, scenario: Scenario, evidence: dict[str, Any], checks: Checks) -> None:
    who, given = evidence["language"], [EncryptedField(**token) for token in evidence["tokens"]]
    values = [value for _, value in scenario.fields]

    def decrypt(fields: list[EncryptedField], context: dict[str, str]) -> Any:
        request = DecryptPiiRequest(tenant_id=scenario.tenant, fields=fields, encryption_context=context)
        return kms.service.DecryptPii(request).fields

    checks.that([field.value for field in decrypt(given, scenario.context)] == values, f"{who}'s tokens open")
    (moved,) = decrypt([EncryptedField(name="other", token=given[0].token)], scenario.context)
    checks.equal(f"{who}'s token under another name", moved.error.code, _INVALID_ARGUMENT)
    others = decrypt(given, {**scenario.context, "another": "context"})
    checks.that(all(field.HasField("error") for field in others), f"{who}'s tokens in another context")
    request = ReEncryptPiiRequest(tenant_id=scenario.tenant, fields=given, encryption_context=scenario.context)
    renewed = kms.service.ReEncryptPii(request).fields
    fields = [EncryptedField(name=field.name, token=field.token) for field in renewed]
    opened = [field.value for field in decrypt(fields, scenario.context)]
    checks.that(opened == values, f"{who}'s tokens, encrypted anew, open")


def _data_key(kms: KmsClient, scenario: Scenario, evidence: dict[str, Any], checks: Checks) -> None:
    blob = base64.b64decode(evidence["blob"])
    request = DecryptDataKeyRequest(
        tenant_id=scenario.tenant, ciphertext_blob=blob, encryption_context=scenario.context
    )
    length = len(kms.service.DecryptDataKey(request).plaintext)
    checks.equal(f"{evidence['language']}'s data key", length, _DATA_KEY_BYTES)


def _record(kms: KmsClient, scenario: Scenario, evidence: dict[str, Any], checks: Checks) -> None:
    record = evidence["record"]
    note = record["note"].encode("ascii")
    stored = Person(scenario.record.id, record["email"], note, record["alias"], None)
    opened = decrypt_record(kms, scenario.tenant, stored, scenario.context)
    checks.that(opened == scenario.record, f"{evidence['language']}'s record opens", "another record")


def _file(kms: KmsClient, scenario: Scenario, evidence: dict[str, Any], work: Path, checks: Checks) -> None:
    who, sealed = evidence["language"], base64.b64decode(evidence["sealed"])
    folder = Path(tempfile.mkdtemp(dir=work))
    source, target = folder / "sealed", folder / "opened"
    source.write_bytes(sealed)
    open_file(kms, scenario.tenant, source, target, scenario.context)
    checks.that(target.read_bytes() == scenario.file, f"{who}'s sealed file opens")
    source.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    try:
        open_file(kms, scenario.tenant, source, target, scenario.context)
        checks.failed(f"{who}'s sealed file, changed", "it opens")
    except NotAuthentic:
        checks.that(target.read_bytes() == scenario.file, f"{who}'s changed file leaves the target as it was")
        left = sorted(path.name for path in folder.iterdir())
        checks.equal(f"{who}'s changed file leaves nothing", left, ["opened", "sealed"])
