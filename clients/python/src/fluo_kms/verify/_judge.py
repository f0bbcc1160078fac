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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from fluo_kms.verify._canonical import ReadSpan, read_resource_spans
from fluo_kms.verify._encoding import SIGNATURE_BYTES, canonical_base64, verify_signature
from fluo_kms.verify._export import split_export
from fluo_kms.verify._integrity import PREFIX
from fluo_kms.verify._malformed import Malformed
from fluo_kms.verify._note import Note
from fluo_kms.verify._proof import FORMAT, LogEvidence, parse_log_evidence
from fluo_kms.verify._statement import (
    SpanStatement,
    canonical_signed_at,
    parse_log_statement,
    parse_statement,
    pre_authentication_encoding,
    signed_at_ms,
)
from fluo_kms.verify._tree import leaf_hash
from fluo_kms.verify.key_set import KeySet
from fluo_kms.verify.verdict import EXPLANATIONS, LogKey, Reason, Verdict, VerifyingKey, counted

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


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a log that a span claims."""

    evidence: LogEvidence
    leaf: bytes
    """The leaf hash of the span's statement."""
    signers: Sequence[LogKey] | None
    """The known keys that signed its checkpoint; None if a signature does not hold."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with what there is to say of the span among others."""

    verdict: Verdict
    is_unsigned: bool = False
    """Whether the span has no evidence at all."""
    place: Place | None = None


def judge_export(keys: KeySet, export: bytes, tenant: str | None) -> list[Judged]:
    """Judges each span of an export. Raises UnreadableExport."""
    return list(_judge_messages(Judge(keys), split_export(export), tenant))


def _judge_messages(judge: Judge, messages: Iterable[bytes | Malformed], tenant: str | None) -> Iterator[Judged]:
    for message in messages:
        if isinstance(message, Malformed):
            yield Judged(refusal(message))
            continue
        try:
            for span in read_resource_spans(message):
                yield Judged(refusal(span)) if isinstance(span, Malformed) else judge.span(span, tenant)
        except Malformed as fault:
            yield Judged(refusal(fault))


def refusal(fault: Malformed) -> Verdict:
    """Returns the verdict on what cannot be read."""
    return Verdict("MALFORMED", message=str(fault))


class Judge:
    """Judges spans by a tenant's keys. The spans of a batch have one checkpoint: its signatures are checked once."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys
        self._last: tuple[Note, list[LogKey] | None] | None = None

    def span(self, span: ReadSpan, tenant: str | None, evidence: Evidence | None = None) -> Judged:
        """Judges by `evidence`, or by the span's attributes. Without a tenant, the one that the attributes name."""
        claim = _claim_of(span, tenant if tenant is not None else span.integrity.tenant or "", evidence)
        place = None
        if isinstance(claim, Verdict):
            verdict = claim
        elif isinstance(claim, _Claim):
            verdict = claim.verdict(self._keys.keys.get(claim.key_id))
        else:
            place = Place(claim.evidence, claim.leaf, self._signers_of(claim.evidence))
            verdict = claim.verdict(place.signers)
        if verdict.reason == "UNKNOWN_KEY" and verdict.message is None:
            verdict = replace(verdict, message=_no_such_key(self._keys.passed_over))
        verdict = replace(verdict, trace_id=span.trace_id, span_id=span.span_id)
        return Judged(verdict, is_unsigned=evidence is None and not span.integrity.is_there, place=place)

    def _signers_of(self, evidence: LogEvidence) -> list[LogKey] | None:
        if self._last is None or self._last[0] != evidence.note:
            self._last = evidence.note, self._keys.log_signers(evidence.note, evidence.checkpoint)
        return self._last[1]


def _claim_of(span: ReadSpan, tenant: str, evidence: Evidence | None) -> _Claim | _LogClaim | Verdict:
    """What there is to judge, or the verdict if that needs no key."""
    if isinstance(evidence, LogProof):
        return _claim_of_entry(span, tenant, evidence)
    if evidence is not None:
        return _claim_of_statement(span, tenant, evidence)
    if span.integrity.algorithm == FORMAT:
        return _claim_of_log_attributes(span, tenant)
    return _claim_of_attributes(span, tenant)


def _no_such_key(passed_over: int) -> str:
    others = f", which has {counted(passed_over, 'key', 'keys')} of a kind that is unknown here" if passed_over else ""
    return EXPLANATIONS["UNKNOWN_KEY"] + others


def _claim_of_attributes(span: ReadSpan, tenant: str) -> _Claim | Verdict:
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
    return _Claim(given.key_id, signed_at, statement.text(), signature, span_matches=True, lacks=span.lacks)


def _claim_of_statement(span: ReadSpan, tenant: str, given: SignedStatement) -> _Claim | Verdict:
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
    return _Claim(parts.key_id, parts.signed_at, given.statement, given.signature, span_matches=matches, lacks=lacks)


def _claim_of_log_attributes(span: ReadSpan, tenant: str) -> _LogClaim | Verdict:
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
    return _LogClaim(evidence, signed_at, leaf_hash(entry), span_matches=True, lacks=span.lacks)


def _claim_of_entry(span: ReadSpan, tenant: str, given: LogProof) -> _LogClaim | Verdict:
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
    return _LogClaim(evidence, parts.signed_at, leaf_hash(given.statement), span_matches=matches, lacks=lacks)


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

    def verdict(self, key: VerifyingKey | None) -> Verdict:
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

    def verdict(self, signers: Sequence[LogKey] | None) -> Verdict:
        log, leaf_index = self.evidence.checkpoint.origin, self.evidence.index
        return replace(self._verdict(signers), log=log, leaf_index=leaf_index)

    def _verdict(self, signers: Sequence[LogKey] | None) -> Verdict:
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
        if not self.evidence.includes(self.leaf):
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
