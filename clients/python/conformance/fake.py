"""Does with the fake what `produce` and `check` do with the service, and opens what the fakes of others made."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import grpc
from checks import Checks
from scenario import Person, Scenario, b64, spans_of

from fluo.kms.v1.data_key_pb2 import DecryptDataKeyRequest, GenerateDataKeyRequest
from fluo.kms.v1.pii_pb2 import DecryptedField, DecryptPiiRequest, EncryptedField, EncryptPiiRequest, PlainField
from fluo.kms.v1.signing_pb2 import SignSpanRequest, SignSpanResponse, VerifySpanRequest
from fluo.kms.v1.span_pb2 import ResourceSpans
from fluo_kms import KmsClient, details_of
from fluo_kms.files import open_bytes, open_file, seal_bytes, seal_file
from fluo_kms.records import decrypt_record, encrypt_record
from fluo_kms.testing import FakeKms
from fluo_kms.verify import KeySet, verify

_INVALID_ARGUMENT = 3
_DATA_KEY_BYTES = 32


def run(world: dict[str, Any], checks: Checks) -> None:
    scenario = Scenario(world["scenario"])
    with FakeKms() as fake, fake.client() as kms:
        keys = KeySet.parse(fake.key_set())
        individual = _individual(kms, keys, scenario, checks)
        tokens = _tokens(kms, scenario, checks)
        evidence = {
            "language": "python",
            "individual": b64(individual),
            "tokens": tokens,
            "record": _record(kms, scenario, checks),
            "context": scenario.context,
            "blob": b64(_blob(kms, scenario)),
            "sealed": b64(_sealed(kms, scenario, Path(world["work"]), checks)),
        }
        _refused(kms, scenario, checks)
        _refusals(fake, json.loads(Path(world["refusals"]).read_text(encoding="utf-8")), scenario.tenant, checks)
        _pii_vectors(kms, Path(world["vectors"], "pii"), checks)
        _span_vectors(Path(world["vectors"], "span"), checks)
        for path in world["evidence"]:
            _others(kms, keys, scenario, json.loads(Path(path).read_text(encoding="utf-8")), checks)
    Path(world["out"]).write_text(json.dumps(evidence), encoding="utf-8")


def _individual(kms: KmsClient, keys: KeySet, scenario: Scenario, checks: Checks) -> bytes:
    whole = ResourceSpans.FromString(scenario.batch)
    for scope_spans, span in spans_of(whole):
        scope = scope_spans.scope if scope_spans.HasField("scope") else None
        around = {"tenant_id": scenario.tenant, "resource": whole.resource, "scope": scope}
        span.attributes.extend(kms.service.SignSpan(SignSpanRequest(span=span, **around)).attributes)
        name = span.name
        for is_altered in (False, True):
            span.name = f"{name}!" if is_altered else name
            offline = verify(keys, scenario.tenant, whole.resource, scope, span).verified
            online = kms.service.VerifySpan(VerifySpanRequest(span=span, **around)).verified
            what = f"{name}, {'altered' if is_altered else 'as it was signed'}"
            checks.equal(what, (offline, online), (not is_altered, not is_altered))
        span.name = name
    return whole.SerializeToString()


def _decrypted(
    kms: KmsClient, tenant: str, tokens: list[dict[str, str]], context: dict[str, str]
) -> list[DecryptedField]:
    fields = [EncryptedField(**token) for token in tokens]
    request = DecryptPiiRequest(tenant_id=tenant, fields=fields, encryption_context=context)
    return list(kms.service.DecryptPii(request).fields)


def _tokens(kms: KmsClient, scenario: Scenario, checks: Checks) -> list[dict[str, str]]:
    request = EncryptPiiRequest(
        tenant_id=scenario.tenant,
        fields=[PlainField(name=name, value=value) for name, value in scenario.fields],
        encryption_context=scenario.context,
    )
    tokens = [{"name": field.name, "token": field.token} for field in kms.service.EncryptPii(request).fields]
    _open(kms, scenario, tokens, "the fake's", checks)
    moved = [{**token, "name": "other"} for token in tokens]
    for what, given, tenant, context in (
        ("another name", moved, scenario.tenant, scenario.context),
        ("another context", tokens, scenario.tenant, {**scenario.context, "another": "context"}),
        ("another tenant", tokens, f"{scenario.tenant}-2", scenario.context),
    ):
        codes = {field.error.code for field in _decrypted(kms, tenant, given, context)}
        checks.equal(f"tokens under {what}", codes, {_INVALID_ARGUMENT})
    return tokens


def _open(kms: KmsClient, scenario: Scenario, tokens: list[dict[str, str]], whose: str, checks: Checks) -> None:
    values = [field.value for field in _decrypted(kms, scenario.tenant, tokens, scenario.context)]
    checks.that(values == [value for _, value in scenario.fields], f"{whose} tokens open")


def _record(kms: KmsClient, scenario: Scenario, checks: Checks) -> dict[str, str]:
    stored = encrypt_record(kms, scenario.tenant, scenario.record, scenario.context)
    opened = decrypt_record(kms, scenario.tenant, stored, scenario.context)
    checks.that(opened == scenario.record, "a record opens again", "another record")
    return {"email": stored.email, "note": stored.note.decode("ascii"), "alias": stored.alias}


def _blob(kms: KmsClient, scenario: Scenario) -> bytes:
    request = GenerateDataKeyRequest(tenant_id=scenario.tenant, encryption_context=scenario.context)
    return kms.service.GenerateDataKey(request).ciphertext_blob


def _sealed(kms: KmsClient, scenario: Scenario, work: Path, checks: Checks) -> bytes:
    source, target, again = work / "plain", work / "sealed", work / "opened"
    source.write_bytes(scenario.file)
    seal_file(kms, scenario.tenant, source, target, scenario.context)
    open_file(kms, scenario.tenant, target, again, scenario.context)
    checks.that(again.read_bytes() == scenario.file, "a sealed file opens")
    sealed = seal_bytes(kms, scenario.tenant, scenario.file, scenario.context)
    opened = open_bytes(kms, scenario.tenant, sealed, scenario.context)
    checks.that(opened == scenario.file, "sealed bytes open")
    return target.read_bytes()


def _refused(kms: KmsClient, scenario: Scenario, checks: Checks) -> None:
    wanted = scenario.refused
    try:
        kms.service.GenerateDataKey(GenerateDataKeyRequest(tenant_id=wanted["tenant"]))
        checks.failed("a refusal", "it was not refused")
    except grpc.RpcError as error:
        details = details_of(error)
        found = (error.code().name, details.reason, [each.field for each in details.fields])
        checks.equal("a refusal", found, (wanted["code"], wanted["reason"], [wanted["field"]]))


def _refusals(fake: FakeKms, rows: list[dict[str, Any]], tenant: str, checks: Checks) -> None:
    request = EncryptPiiRequest(tenant_id=tenant, fields=[PlainField(name="email")])
    # A channel that repeats calls would wait for minutes, all in all.
    with fake.client(options=[("grpc.enable_retries", 0)]) as kms:
        for row in rows:
            fake.refuse("EncryptPii", row["reason"])
            try:
                kms.service.EncryptPii(request)
                checks.failed(row["reason"], "it was not refused")
            except grpc.RpcError as error:
                details = details_of(error)
                delay = details.retry_after and round(details.retry_after.total_seconds() * 1000)
                pushback = dict(error.trailing_metadata()).get("grpc-retry-pushback-ms")
                found = (error.code().value[0], details.reason, delay, pushback)
                checks.equal(
                    row["reason"], found, (row["code"], row["reason"], row.get("retryMs"), row.get("pushback"))
                )
            fake.allow("EncryptPii")
            checks.equal(f"after {row['reason']}", len(kms.service.EncryptPii(request).fields), 1)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _pii_vectors(kms: KmsClient, folder: Path, checks: Checks) -> None:
    def opened(vector: dict[str, Any]) -> DecryptedField:
        token = {"name": vector.get("field", "email"), "token": vector["token"]}
        context = dict(vector.get("pairs", []))
        (field,) = _decrypted(kms, vector.get("tenant_id", "acme"), [token], context)
        return field

    for vector in _read(folder / "tokens.json"):
        digest = hashlib.sha256(opened(vector).value).hexdigest()
        checks.equal(vector["name"], digest, vector["plaintext_sha256"])
    for vector in _read(folder / "rejected.json"):
        error = opened(vector).error
        checks.equal(vector["name"], (error.code, error.message), (_INVALID_ARGUMENT, "ciphertext rejected"))
    for vector in _read(folder / "reserved.json"):
        error = opened(vector).error
        checks.that(error.code == _INVALID_ARGUMENT and vector["says"] in error.message, vector["name"], error.message)
    for vector in _read(folder / "data-key-blobs.json"):
        blob = bytes.fromhex(vector["ciphertext_blob"])
        request = DecryptDataKeyRequest(
            tenant_id=vector["tenant_id"], ciphertext_blob=blob, encryption_context=dict(vector["pairs"])
        )
        plaintext = kms.service.DecryptDataKey(request).plaintext.hex()
        checks.that(plaintext == vector["plaintext"], vector["name"], "another key")


def _span_vectors(folder: Path, checks: Checks) -> None:
    accepted = _read(folder / "accepted.json")
    signed_at = datetime.fromtimestamp(accepted["signedAtMs"] / 1000, timezone.utc)
    with FakeKms(clock=lambda: signed_at) as fake, grpc.insecure_channel(fake.address) as channel:
        # The bytes of a request as they are.
        sign = channel.unary_unary(
            "/fluo.kms.v1.KmsService/SignSpan", response_deserializer=SignSpanResponse.FromString
        )
        for vector in accepted["spans"]:
            signed = sign(bytes.fromhex(vector["signSpanRequest"]))
            found = (signed.statement.decode("utf-8"), signed.signature.hex())
            checks.equal(vector["name"], found, (vector["statement"], vector["signature"]))
        for vector in _read(folder / "refused.json"):
            span = bytes.fromhex(vector["span"])
            request = SignSpanRequest(tenant_id=accepted["tenant"]).SerializeToString() + b"\x12" + _length(span) + span
            try:
                sign(request)
                checks.failed(vector["name"], "it is signed")
            except grpc.RpcError as error:
                fields = [each.field for each in details_of(error).fields]
                checks.that(
                    error.code() is grpc.StatusCode.INVALID_ARGUMENT and vector["field"] in (None, *fields),
                    vector["name"],
                    fields,
                )


def _length(data: bytes) -> bytes:
    """The length of a field on the wire."""
    out, value = bytearray(), len(data)
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _others(kms: KmsClient, keys: KeySet, scenario: Scenario, evidence: dict[str, Any], checks: Checks) -> None:
    who, tenant, context = evidence["language"], scenario.tenant, scenario.context
    _open(kms, scenario, evidence["tokens"], f"{who}'s", checks)
    record = evidence["record"]
    stored = Person(scenario.record.id, record["email"], record["note"].encode("ascii"), record["alias"], None)
    checks.that(decrypt_record(kms, tenant, stored, context) == scenario.record, f"{who}'s record opens")
    blob = base64.b64decode(evidence["blob"])
    request = DecryptDataKeyRequest(tenant_id=tenant, ciphertext_blob=blob, encryption_context=context)
    checks.equal(f"{who}'s data key", len(kms.service.DecryptDataKey(request).plaintext), _DATA_KEY_BYTES)
    opened = open_bytes(kms, tenant, base64.b64decode(evidence["sealed"]), context)
    checks.that(opened == scenario.file, f"{who}'s sealed file opens")
    whole = ResourceSpans.FromString(base64.b64decode(evidence["individual"]))
    for scope_spans, span in spans_of(whole):
        scope = scope_spans.scope if scope_spans.HasField("scope") else None
        checks.equal(f"{who}'s {span.name}", verify(keys, tenant, whole.resource, scope, span).reason, "OK")
