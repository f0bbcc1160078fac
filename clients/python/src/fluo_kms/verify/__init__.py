"""Verifies spans that fluo-kms signed, offline: needs the tenant's public keys and no service, network or clock.

    from pathlib import Path
    from fluo_kms.verify import KeySet, verify_export

    keys = KeySet.parse(Path("jwks.json").read_text())
    for verdict in verify_export(keys, Path("spans.json").read_bytes(), tenant="acme"):
        print(verdict.trace_id, verdict.span_id, verdict.reason)

Install it with `pip install "fluo-kms[verify]"`. On the command line: `python -m fluo_kms.verify --keys jwks.json
spans.json`.
"""

from __future__ import annotations

try:
    import cryptography as _cryptography
    import rfc8785 as _rfc8785
except ImportError as missing:  # pragma: no cover
    raise ImportError('the verifier needs its extra: pip install "fluo-kms[verify]"') from missing

from fluo_kms.encoded import Encoded, wire_bytes
from fluo_kms.verify._audit import Finding
from fluo_kms.verify._canonical import canonical_span, read_named, resource_text, scope_text
from fluo_kms.verify._export import UnreadableExport
from fluo_kms.verify._judge import Evidence, Judge, LogProof, SignedStatement, judge_export, refusal
from fluo_kms.verify._malformed import Malformed
from fluo_kms.verify._note import Checkpoint
from fluo_kms.verify._otlp import read_span
from fluo_kms.verify._wire import Cursor, Field, read_fields
from fluo_kms.verify.key_set import KeySet, KeySetError
from fluo_kms.verify.log import ComparedCheckpoint, LogError, LogsVerdict, LogVerdict, verify_log
from fluo_kms.verify.verdict import KeyState, Reason, Verdict

__all__ = [
    "Checkpoint",
    "ComparedCheckpoint",
    "Encoded",
    "Evidence",
    "Finding",
    "KeySet",
    "KeySetError",
    "KeyState",
    "LogError",
    "LogProof",
    "LogVerdict",
    "LogsVerdict",
    "Reason",
    "SignedStatement",
    "UnreadableExport",
    "Verdict",
    "verify",
    "verify_export",
    "verify_log",
    "verify_request",
]

del _cryptography, _rfc8785


def verify(
    keys: KeySet,
    tenant: str,
    resource: Encoded | None,
    scope: Encoded | None,
    span: Encoded,
    evidence: Evidence | None = None,
) -> Verdict:
    """Returns whether the span is as it was when a key of the tenant signed it.

    `resource`, `scope` and `span` are OTLP messages, as they were given to sign; None for one that was not. `evidence`
    is what to check the span against, instead of the `audit.integrity` attributes on it. A message that cannot be read
    in exactly one way gives MALFORMED.
    """
    try:
        resource_form = b"" if resource is None else read_named("resource", resource_text, _cursor(resource))
        scope_form = b"" if scope is None else read_named("scope", scope_text, _cursor(scope))
        part = read_named("span", read_span, _cursor(span))
    except Malformed as fault:
        return refusal(fault)
    return Judge(keys).span(canonical_span(part, resource_form, scope_form), tenant, evidence).verdict


def verify_export(keys: KeySet, export: bytes, tenant: str | None = None) -> list[Verdict]:
    """Returns a verdict for each span of an OTLP trace export, in order.

    `export` is protobuf, OTLP JSON, or JSON lines. `tenant` is who must have signed; None accepts whom each span names,
    among the keys given. What cannot be read is MALFORMED: in the place of a span, or once for a whole ResourceSpans.
    Raises UnreadableExport for what is no export at all.
    """
    return [judged.verdict for judged in judge_export(keys, bytes(export), tenant)]


def verify_request(keys: KeySet, request: Encoded, tenant: str | None = None) -> Verdict:
    """Returns what the service answers to a `fluo.kms.v1.VerifySpanRequest`, by these keys.

    `tenant` overrides that of the request. A request that the service refuses gives MALFORMED.
    """
    try:
        found = read_named("request", lambda cursor: read_fields(cursor, _REQUEST), _cursor(request))
        if "span" not in found:
            raise Malformed("is missing; give the span", "span")
        if "signed_statement" in found and "log_proof" in found:
            raise Malformed("the evidence has a second member; it is one of them", "request")
    except Malformed as fault:
        return refusal(fault)
    span = canonical_span(found["span"], found.get("resource", b""), found.get("scope", b""))
    who = found.get("tenant_id", "") if tenant is None else tenant
    return Judge(keys).span(span, who, found.get("signed_statement") or found.get("log_proof")).verdict


def _read_signed_statement(cursor: Cursor) -> SignedStatement:
    found = read_fields(cursor.message(), _SIGNED_STATEMENT)
    return SignedStatement(found.get("statement", b""), found.get("signature", b""))


def _read_log_proof(cursor: Cursor) -> LogProof:
    found = read_fields(cursor.message(), _LOG_PROOF)
    return LogProof(found.get("statement", b""), found.get("proof", ""))


_SIGNED_STATEMENT = {10: Field("statement", Cursor.octets), 18: Field("signature", Cursor.octets)}
_LOG_PROOF = {10: Field("statement", Cursor.octets), 18: Field("proof", Cursor.text)}
_REQUEST = {
    10: Field("tenant_id", Cursor.text),
    18: Field("span", lambda cursor: read_span(cursor.message())),
    26: Field("resource", lambda cursor: resource_text(cursor.message())),
    34: Field("scope", lambda cursor: scope_text(cursor.message())),
    42: Field("signed_statement", _read_signed_statement),
    50: Field("log_proof", _read_log_proof),
}


def _cursor(message: Encoded) -> Cursor:
    return Cursor(wire_bytes(message))
