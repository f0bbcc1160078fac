"""Verifies whole logs: whether the spans of an export are all that they should be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from fluo_kms.verify._audit import Finding, What, audit_log
from fluo_kms.verify._history import Entry, Head
from fluo_kms.verify._judge import Judged, Place, judge_export
from fluo_kms.verify._note import Checkpoint, Note, parse_checkpoint, parse_note
from fluo_kms.verify.key_set import KeySet
from fluo_kms.verify.verdict import EXPLANATIONS, LogKey, Reason

_KINDS: dict[Reason, What] = {
    "SIGNATURE_MISMATCH": "changed",
    "SPAN_MISMATCH": "changed",
    "PROOF_INVALID": "changed",
    "UNKNOWN_KEY": "foreign",
    "KEY_COMPROMISED": "compromised",
    "MALFORMED": "unreadable",
}


class LogError(ValueError):
    """What was asked of the logs cannot be answered. The message says why."""


@dataclass(frozen=True)
class ComparedCheckpoint:
    """A checkpoint that somebody kept."""

    name: str
    """The name under which its text was given."""
    size: int
    agrees: bool | None
    """Whether the log comes to it; None if the spans do not go there."""


@dataclass(frozen=True)
class LogVerdict:
    """What there is to say of one log."""

    origin: str
    ended_at: int | None
    """Size at which the log ended, when a backup was restored or a loss was accepted; None if it goes on."""
    follows: Checkpoint | None
    """Head of the log that ended before this one began."""
    from_size: int
    """First entry that had to be there."""
    to_size: int
    """First entry that no longer had to be there."""
    spans: int
    handovers: int
    announced: int
    """Handovers that were not used."""
    checkpoints: tuple[ComparedCheckpoint, ...]
    """The kept checkpoints of this log. Without one nothing shows that the log was cut off, or written anew."""
    findings: tuple[Finding, ...]
    known_size: int
    """Size of its largest checkpoint at hand, kept or in a span's proof."""

    @property
    def ok(self) -> bool:
        """Whether there are spans, and no findings."""
        return self.spans > 0 and not self.findings


@dataclass(frozen=True)
class LogReport:
    """What there is to say of the logs that an export has spans of."""

    logs: tuple[LogVerdict, ...]
    signed_apart: int
    """Spans that a signature of their own verifies. They are in no log: whether others are missing does not show."""

    @property
    def ok(self) -> bool:
        """Whether there are logs, and each is as it should be."""
        return bool(self.logs) and all(log.ok for log in self.logs)


def verify_log(
    keys: KeySet,
    export: bytes,
    *,
    tenant: str | None = None,
    checkpoints: Iterable[tuple[str, str]] = (),
    from_size: int | None = None,
    to_size: int | None = None,
    any_order: bool = False,
) -> LogReport:
    """Returns whether the spans of an OTLP trace export are all of the log's, in its order, unchanged.

    Checked are the entries from the first span, or from the smallest kept checkpoint if that is earlier, to the end of
    the largest checkpoint, kept or in a span's proof; or those from `from_size` to before `to_size`.

    `export` and `tenant` are as for `verify_export`. `checkpoints` are names and texts of checkpoints that were kept,
    one or several in a text. They alone show that whoever has the key rewrote the log, or cut off its end. `any_order`
    takes spans from a store that keeps no order.

    Raises UnreadableExport for what is no export at all, and LogError for a text that is no checkpoint, a checkpoint
    that no key of the set signed, a key set without logs, and for sizes if the spans are of several logs.
    """
    judged = judge_export(keys, bytes(export), tenant)
    kept = [_signed(keys, each) for name, text in checkpoints for each in _read_checkpoints(name, text)]
    origins = keys.origins
    if not origins:
        raise LogError("the keys file names no log; save again what the service serves")
    logs, apart = _by_log(judged, origins)
    for checkpoint in kept:
        logs.setdefault(checkpoint.checkpoint.origin, _LogSpans())
    if len(logs) > 1 and (from_size, to_size) != (None, None):
        raise LogError(f"the spans are of several logs ({', '.join(logs)}); a range of entries is for one")
    verdicts = [_verdict(keys, origin, log, kept, (from_size, to_size), not any_order) for origin, log in logs.items()]
    return LogReport(tuple(verdicts), apart)


@dataclass(frozen=True)
class _Kept:
    """A checkpoint that somebody kept."""

    name: str
    checkpoint: Checkpoint
    head: Head


# ECMAScript's, by which the service reads such files.
_SPACE = "[\t-\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"
# A note without an empty line in its text, so that several may stand one behind the other.
_NOTE = re.compile(f"(?:(?!— )[^\n\r\u2028\u2029]+\n)+\n(?:— [^\n\r\u2028\u2029]+\n)+{_SPACE}*")
_SPACE_BEHIND = re.compile(f"{_SPACE}+\\Z")


def _read_checkpoints(name: str, text: str) -> Iterator[tuple[str, Note, Checkpoint]]:
    """A file that passed through Windows may have its line ends, and a byte order mark; what was signed has neither."""
    content = text.removeprefix("\ufeff").replace("\r\n", "\n")
    at = 0
    while at < len(content) or at == 0:
        match = _NOTE.match(content, at)
        note = parse_note(_SPACE_BEHIND.sub("", match[0]) + "\n") if match else None
        checkpoint = parse_checkpoint(note.text) if note else None
        if match is None or note is None or checkpoint is None:
            raise LogError(
                f"{name} holds no checkpoint: it must be one signed note, or several, as GetCheckpoint gives them"
            )
        yield name, note, checkpoint
        at = match.end()


def _signed(keys: KeySet, kept: tuple[str, Note, Checkpoint]) -> _Kept:
    name, note, checkpoint = kept
    signers = keys.log_signers(note, checkpoint)
    if not signers:
        where = f"the checkpoint of {checkpoint.size}, which is of {checkpoint.origin}"
        raise LogError(f"{name}: no key of the keys file signed {where}")
    return _Kept(name, checkpoint, Head(checkpoint.size, checkpoint.root, True, _is_trusted(signers)))


def _is_trusted(signers: Iterable[LogKey]) -> bool:
    return any(signer.key.reason() == "OK" for signer in signers)


@dataclass
class _LogSpans:
    """The spans of an export that are of one log."""

    held: list[Entry] = field(default_factory=list)
    """In the order of the file."""
    changed: set[int] = field(default_factory=set)
    """Indices of spans whose proofs do not hold."""
    findings: list[tuple[float, Finding]] = field(default_factory=list)
    """With where each comes among the others."""


def _by_log(spans: Sequence[Judged], origins: Sequence[str]) -> tuple[dict[str, _LogSpans], int]:
    """The spans by the log that each is of, and how many a signature of their own verifies, which are in no log.

    A span of no known log counts with the one before it, the first ones with the first log: it is there where one of
    that log could be.
    """
    claimed = (each.place.evidence.checkpoint.origin for each in spans if each.place is not None)
    origin = next((each for each in claimed if each in origins), origins[0])
    logs: dict[str, _LogSpans] = {}
    apart, at = 0, -1
    for each in spans:
        verdict, place = each.verdict, each.place
        if place is None and verdict.verified:
            apart += 1
            continue
        if verdict.log is not None and verdict.log in origins:
            origin = verdict.log
        log = logs.setdefault(origin, _LogSpans())
        name = f"{verdict.trace_id or '-'}/{verdict.span_id or '-'}"
        if place is not None and (verdict.verified or verdict.reason == "KEY_COMPROMISED"):
            at = place.evidence.index
            log.held.append(_entry(place, name, is_trusted=verdict.verified))
            continue
        # The index in another log means nothing in this one.
        index = verdict.leaf_index if verdict.log == origin else None
        what = _KINDS.get(verdict.reason, "unproven")
        message = verdict.message or EXPLANATIONS[verdict.reason]
        log.findings.append((at + 0.5 if index is None else index, Finding(what, index, 1, name, message)))
        if index is not None and verdict.reason == "PROOF_INVALID":
            log.changed.add(index)
    return logs, apart


def _entry(place: Place, name: str | None, is_trusted: bool) -> Entry:
    heads = [key.compromised_log for key in place.signers or () if key.compromised_log is not None]
    recorded = [head.size for head in heads if head.origin == place.evidence.checkpoint.origin]
    return Entry(place.evidence, place.leaf, name, is_trusted, max(recorded, default=0))


def _handovers(keys: KeySet, origin: str) -> Iterator[Entry]:
    """The log's handovers that hold: whatever else stands there fills no gap."""
    for handover in keys.handovers:
        evidence = handover.evidence
        if evidence.checkpoint.origin != origin or not evidence.includes(handover.leaf):
            continue
        signers = keys.log_signers(evidence.note, evidence.checkpoint)
        if signers:
            yield _entry(Place(evidence, handover.leaf, signers), None, _is_trusted(signers))


def _verdict(
    keys: KeySet,
    origin: str,
    log: _LogSpans,
    all_kept: Sequence[_Kept],
    asked: tuple[int | None, int | None],
    is_ordered: bool,
) -> LogVerdict:
    kept = [each for each in all_kept if each.checkpoint.origin == origin]
    marked = [key.compromised_log for key in keys.log_keys if key.name == origin and key.compromised_log is not None]
    recorded = [Head(each.size, each.root, False, True) for each in marked if each.origin == origin]
    handovers = list(_handovers(keys, origin))
    audit = audit_log(
        log.held,
        handovers,
        [each for each in keys.unused_handovers if each.origin == origin],
        changed=log.changed,
        heads=[*(each.head for each in kept), *recorded],
        asked=asked,
        is_ordered=is_ordered,
    )
    within, history = audit.entries, audit.history
    sizes = [*(each.evidence.checkpoint.size for each in log.held), *(each.checkpoint.size for each in kept)]
    ended, follows = _ends(keys, origin)
    findings = [*log.findings, *((each.leaf_index or 0, each) for each in audit.findings)]
    return LogVerdict(
        origin=origin,
        ended_at=ended.size if ended else None,
        follows=follows,
        from_size=within.start,
        to_size=within.stop,
        spans=sum(each.index in within for each in log.held),
        handovers=sum(each.index in within for each in handovers),
        announced=len(history.fitting),
        checkpoints=tuple(
            ComparedCheckpoint(
                each.name,
                each.checkpoint.size,
                agrees=each.head in history.agreed or (False if each.head in history.differed else None),
            )
            for each in kept
        ),
        findings=tuple(finding for _, finding in sorted(findings, key=lambda each: each[0])),
        known_size=max(sizes, default=0),
    )


def _ends(keys: KeySet, origin: str) -> tuple[Checkpoint | None, Checkpoint | None]:
    """The head at which the log ended, and that of the log before it."""
    at = keys.origins.index(origin)
    before = keys.origins[at - 1] if at > 0 else None
    heads = {each.origin: each for each in reversed(keys.ended_logs)}
    return heads.get(origin), heads.get(before) if before is not None else None
