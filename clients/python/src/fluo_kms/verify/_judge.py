"""Judges one span by the tenant's keys.

The order of the checks is the order of the reasons when several hold. For an individual signature: form (MALFORMED);
the tenant and the key (UNKNOWN_KEY); a key that never became active, under which nothing is checked (KEY_STATE); the
signature (SIGNATURE_MISMATCH); the span (SPAN_MISMATCH); whether the key was marked as compromised (KEY_COMPROMISED);
its times (KEY_STATE).

For a log proof: form (MALFORMED); the tenant, its log and its key (UNKNOWN_KEY); a key that never became active
(KEY_STATE); the checkpoint's signature and the path (PROOF_INVALID); the span (SPAN_MISMATCH); whether every key that
signed is marked as compromised (KEY_COMPROMISED). When a key was in use means nothing there: a later checkpoint proves
an earlier entry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from fluo_kms.verify._canonical import ReadSpan
from fluo_kms.verify._encoding import SIGNATURE_BYTES, canonical_base64, verify_signature
from fluo_kms.verify._integrity import PREFIX
from fluo_kms.verify._proof import FORMAT, LogEvidence, is_included, leaf_hash, parse_log_evidence
from fluo_kms.verify._statement import (
    SpanStatement,
    canonical_signed_at,
    parse_log_statement,
    parse_statement,
    pre_authentication_encoding,
    signed_at_ms,
)
from fluo_kms.verify.key_set import KeySet
from fluo_kms.verify.verdict import EXPLANATIONS, LogKey, Reason, Verdict, VerifyingKey

_KEY_ID = re.compile("[0-9a-f]{32}")
_NAMES_ANOTHER_TENANT = f"{PREFIX}tenant names another tenant"
_STATEMENT_NAMES_ANOTHER_TENANT = "the statement names another tenant"


@dataclass(frozen=True)
class SignedStatement:
    """A detached statement and its signature, as SignSpan returns them."""

    statement: bytes
    signature: bytes


@dataclass(frozen=True)
class LogProof:
    """A span's proof of presence in its tenant's log."""

    statement: bytes
    """The log's entry: the span's statement as canonical JSON."""
    proof: str
    """C2SP tlog-proof text."""


Evidence = SignedStatement | LogProof


def judge(keys: KeySet, tenant: str | None, span: ReadSpan, evidence: Evidence | None) -> Verdict:
    """Judges by `evidence`, or by the span's attributes. Without a tenant, the one that the attributes name."""
    who = tenant if tenant is not None else span.integrity.tenant or ""
    if isinstance(evidence, LogProof):
        verdict = _judge_entry(keys, who, span, evidence)
    elif evidence is not None:
        verdict = _judge_statement(keys, who, span, evidence)
    elif span.integrity.algorithm == FORMAT:
        verdict = _judge_log_attributes(keys, who, span)
    else:
        verdict = _judge_attributes(keys, who, span)
    return replace(verdict, trace_id=span.trace_id, span_id=span.span_id)


def _judge_attributes(keys: KeySet, tenant: str, span: ReadSpan) -> Verdict:
    """The statement is rebuilt from span and attributes, so that any change breaks the signature."""
    given = span.integrity
    signature = canonical_base64(given.value or "")
    signed_at = canonical_signed_at(given.signed_at or "")
    if given.algorithm != "EdDSA":
        return _malformed(given.fault("algorithm"))
    if signature is None or len(signature) != SIGNATURE_BYTES:
        return _malformed(given.fault("value"))
    if given.key_id is None or not _KEY_ID.fullmatch(given.key_id):
        return _malformed(given.fault("key_id"))
    if signed_at is None:
        return _malformed(given.fault("signed_at"))
    if given.tenant is None:
        return _malformed(given.fault("tenant"))
    if given.tenant != tenant:
        return Verdict("UNKNOWN_KEY", given.key_id, signed_at=signed_at, message=_NAMES_ANOTHER_TENANT)
    statement = SpanStatement(span.trace_id, span.span_id, span.digest, tenant, signed_at, given.key_id)
    claim = _Claim(given.key_id, signed_at, statement.text(), signature, span_matches=True, lacks=span.lacks)
    return claim.verdict(keys)


def _judge_statement(keys: KeySet, tenant: str, span: ReadSpan, given: SignedStatement) -> Verdict:
    """The statement is given: it must be the canonical text, and then be about this span."""
    parts = parse_statement(given.statement)
    if parts is None or parts.key_id is None:
        return _malformed("signed_statement.statement must be the exact text that SignSpan returned")
    if len(given.signature) != SIGNATURE_BYTES:
        return _malformed(f"signed_statement.signature must have {SIGNATURE_BYTES} bytes")
    if parts.tenant != tenant:
        message = _STATEMENT_NAMES_ANOTHER_TENANT
        return Verdict("UNKNOWN_KEY", parts.key_id, signed_at=parts.signed_at, message=message)
    matches = _is_about(parts, span)
    lacks = "" if matches else span.lacks
    claim = _Claim(parts.key_id, parts.signed_at, given.statement, given.signature, span_matches=matches, lacks=lacks)
    return claim.verdict(keys)


def _judge_log_attributes(keys: KeySet, tenant: str, span: ReadSpan) -> Verdict:
    given = span.integrity
    proof = _text(canonical_base64(given.value or ""))
    evidence = parse_log_evidence(proof) if proof is not None else None
    signed_at = canonical_signed_at(given.signed_at or "")
    if evidence is None:
        return _malformed(given.fault("value"))
    if given.key_id is not None:
        return _malformed(given.fault("key_id"))
    if signed_at is None:
        return _malformed(given.fault("signed_at"))
    if given.tenant is None:
        return _malformed(given.fault("tenant"))
    if given.tenant != tenant:
        return Verdict("UNKNOWN_KEY", signed_at=signed_at, message=_NAMES_ANOTHER_TENANT)
    entry = SpanStatement(span.trace_id, span.span_id, span.digest, tenant, signed_at).text()
    claim = _LogClaim(evidence, signed_at, leaf_hash(entry), span_matches=True, lacks=span.lacks)
    return claim.verdict(keys)


def _judge_entry(keys: KeySet, tenant: str, span: ReadSpan, given: LogProof) -> Verdict:
    parts = parse_log_statement(given.statement)
    evidence = parse_log_evidence(given.proof)
    if parts is None:
        return _malformed("log_proof.statement must be the exact text of the log's entry")
    if evidence is None:
        return _malformed("log_proof.proof must be the text of a tlog-proof")
    if parts.tenant != tenant:
        return Verdict("UNKNOWN_KEY", signed_at=parts.signed_at, message=_STATEMENT_NAMES_ANOTHER_TENANT)
    matches = _is_about(parts, span)
    lacks = "" if matches else span.lacks
    claim = _LogClaim(evidence, parts.signed_at, leaf_hash(given.statement), span_matches=matches, lacks=lacks)
    return claim.verdict(keys)


@dataclass(frozen=True)
class _Claim:
    """What is left to judge once the key is looked up."""

    key_id: str
    signed_at: str
    statement: bytes
    signature: bytes
    span_matches: bool
    lacks: str
    """What may be why the span does not match."""

    def verdict(self, keys: KeySet) -> Verdict:
        key = keys.keys.get(self.key_id)
        if key is None:
            return Verdict("UNKNOWN_KEY", self.key_id, signed_at=self.signed_at)
        reason = self._reason(key)
        return Verdict(reason, self.key_id, key.state, self.signed_at, message=_explain(reason, self.lacks))

    def _reason(self, key: VerifyingKey) -> Reason:
        of_key = key.reason()
        if of_key == "KEY_STATE":
            return "KEY_STATE"
        if not verify_signature(key.public_key, pre_authentication_encoding(self.statement), self.signature):
            return "SIGNATURE_MISMATCH"
        if not self.span_matches:
            return "SPAN_MISMATCH"
        if of_key != "OK":
            return of_key
        ms = signed_at_ms(self.signed_at)
        return "OK" if ms is not None and key.is_valid_at(ms) else "KEY_STATE"


@dataclass(frozen=True)
class _LogClaim:
    """What is left to judge once the keys that signed the checkpoint are found."""

    evidence: LogEvidence
    signed_at: str
    leaf: bytes
    span_matches: bool
    lacks: str

    def verdict(self, keys: KeySet) -> Verdict:
        place = {"log": self.evidence.checkpoint.origin, "leaf_index": self.evidence.index}
        return replace(self._verdict(keys), **place)  # type: ignore[arg-type]

    def _verdict(self, keys: KeySet) -> Verdict:
        signers = keys.log_signers(self.evidence)
        if signers is None:
            message = "a signature of the proof's checkpoint does not hold"
            return Verdict("PROOF_INVALID", signed_at=self.signed_at, message=message)
        verdicts = [self._by(signer) for signer in signers]
        verified = next((verdict for verdict in verdicts if verdict.verified), None)
        return verified or (verdicts[0] if verdicts else Verdict("UNKNOWN_KEY", signed_at=self.signed_at))

    def _by(self, signer: LogKey) -> Verdict:
        reason, key = self._reason(signer), signer.key
        return Verdict(reason, key.key_id, key.state, self.signed_at, message=_explain(reason, self.lacks))

    def _reason(self, signer: LogKey) -> Reason:
        of_key = signer.key.reason()
        if of_key == "KEY_STATE":
            return of_key
        if not is_included(self.leaf, self.evidence):
            return "PROOF_INVALID"
        if not self.span_matches:
            return "SPAN_MISMATCH"
        # The checkpoint is the very head that was recorded when the key was marked: not the marked key proves it.
        is_recorded = signer.compromised_log == self.evidence.checkpoint
        return "OK" if of_key == "KEY_COMPROMISED" and is_recorded else of_key


def _is_about(parts: SpanStatement, span: ReadSpan) -> bool:
    return (parts.digest, parts.trace_id, parts.span_id) == (span.digest, span.trace_id, span.span_id)


def _explain(reason: Reason, lacks: str) -> str | None:
    """A span that was signed with more than is given now differs, too."""
    if reason not in ("SIGNATURE_MISMATCH", "SPAN_MISMATCH", "PROOF_INVALID"):
        return None
    altered = EXPLANATIONS[reason]
    return f"{altered}; if it was signed with a {lacks}, give that too, as it was then" if lacks else altered


def _malformed(message: str) -> Verdict:
    return Verdict("MALFORMED", message=message)


def _text(data: bytes | None) -> str | None:
    try:
        return None if data is None else data.decode("utf-8")
    except UnicodeDecodeError:
        return None  # not UTF-8, so no proof
