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

from typing import Any

try:
    import cryptography as _cryptography
    import rfc8785 as _rfc8785
except ImportError as missing:  # pragma: no cover
    raise ImportError('the verifier needs its extra: pip install "fluo-kms[verify]"') from missing

from fluo_kms._encoded import Encoded, wire_bytes
from fluo_kms.verify._audit import Finding
from fluo_kms.verify._canonical import read_span, resource_text, scope_text
from fluo_kms.verify._export import UnreadableExport
from fluo_kms.verify._judge import Evidence, Judge, LogProof, SignedStatement, judge_export, refusal
from fluo_kms.verify._malformed import Malformed
from fluo_kms.verify._messages import read_fields
from fluo_kms.verify._note import Checkpoint
from fluo_kms.verify.key_set import KeySet, KeySetError
from fluo_kms.verify.log import ComparedCheckpoint, LogError, LogReport, LogVerdict, verify_log
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
    "LogReport",
    "LogVerdict",
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
    given = [None if part is None else wire_bytes(part) for part in (resource, scope)]
    try:
        read = read_span(wire_bytes(span), resource_text(given[0]), scope_text(given[1]))
    except Malformed as fault:
        return refusal(fault)
    return Judge(keys).span(read, tenant, evidence).verdict


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
        found = read_fields("VerifySpanRequest", wire_bytes(request), _evidence_of)
        if "span" not in found:
            raise Malformed("is missing; give the span", "span")
        if "signed_statement" in found and "log_proof" in found:
            raise Malformed("the evidence has a second member; it is one of them")
    except Malformed as fault:
        return refusal(fault)
    who = found.get("tenant_id", "") if tenant is None else tenant
    evidence = found.get("signed_statement") or found.get("log_proof")
    return verify(keys, who, found.get("resource"), found.get("scope"), found["span"], evidence)


def _evidence_of(message: str, data: bytes) -> Any:
    """The evidence of a request; other messages as they are."""
    match message:
        case "SignedStatement":
            found = read_fields(message, data, _evidence_of)
            return SignedStatement(found.get("statement", b""), found.get("signature", b""))
        case "LogProof":
            found = read_fields(message, data, _evidence_of)
            return LogProof(found.get("statement", b""), found.get("proof", ""))
    return data
