"""Whether what somebody hands over is all of a log, from one entry to another, unchanged and in order.

It is the one question that the proof of a span cannot answer about the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from fluo_kms.verify._history import Entry, Head, History
from fluo_kms.verify.key_set import UnusedHandover
from fluo_kms.verify.verdict import counted

What = Literal[
    "missing", "reordered", "repeated", "rewritten", "compromised", "changed", "foreign", "unproven", "unreadable"
]


@dataclass(frozen=True)
class Finding:
    """What is wrong with a log, or with a span that should be in one."""

    what: What
    leaf_index: int | None
    """Where in the log it begins; None if the span does not even claim a place."""
    count: int
    """How many entries it may be about."""
    span: str | None
    """`<trace id>/<span id>` of the first span that it is about, `-` for what cannot be read; None if it is missing."""
    message: str
    """The rest of a sentence that begins with `what`, for people. The text may change."""


@dataclass(frozen=True)
class Audit:
    """What comes out of one log."""

    entries: range
    """What has to be there."""
    findings: list[Finding]
    history: History


def audit_log(
    spans: Sequence[Entry],
    handovers: Iterable[Entry],
    unused: Iterable[UnusedHandover],
    *,
    changed: Iterable[int],
    heads: Sequence[Head],
    asked: tuple[int | None, int | None],
    is_ordered: bool,
) -> Audit:
    """Audits the entries that are asked for; by default from the first span or kept head to the last.

    `spans` are those whose own proofs hold, in the order in which they were handed over. `unused` handovers fill a gap
    if what comes after them proves it. `changed` are indices of spans that are there but whose proofs do not hold:
    they are not missing.
    """
    within = _range_of(spans, heads, *asked)
    inside = [span for span in spans if span.index in within]
    entries, findings = _once([*inside, *(each for each in handovers if each.index in within)])
    history = History(
        entries,
        [head for head in heads if within.start <= head.size <= within.stop],
        [each for each in unused if each.index in within],
    )
    kept = set(entries)
    there = [*(index for index in changed if index in within), *(each.index for each in history.fitting)]
    findings += _missing(entries, there, within)
    if is_ordered:
        findings += _reordered([span for span in inside if span in kept])
    findings += [_rewritten(leaves, by, entries) for leaves, by in history.rewritten]
    findings += [_compromised(each) for each in entries if not each.is_trusted and not _is_proven(each, history)]
    return Audit(within, sorted(findings, key=attrgetter("leaf_index")), history)


def _range_of(spans: Sequence[Entry], heads: Sequence[Head], start: int | None, stop: int | None) -> range:
    kept = [head.size for head in heads if head.is_kept]
    own = [span.evidence.checkpoint.size for span in spans if span.is_trusted]
    if start is None:
        start = min([*(span.index for span in spans), *kept], default=0)
    if stop is None:
        stop = max([*(span.index + 1 for span in spans), *own, *kept], default=0)
    return range(start, max(start, stop))


def _once(given: Iterable[Entry]) -> tuple[list[Entry], list[Finding]]:
    """The entries in the log's order, and those that come in the place of another."""
    present: dict[int, Entry] = {}
    twice = []
    for entry in given:
        other = present.setdefault(entry.index, entry)
        if other is entry:
            continue
        span, instead = (other, entry) if entry.name is None else (entry, other)
        message = f"in the place of {instead.name or 'a handover'}"
        twice.append(Finding("repeated", span.index, 1, span.name, message))
    return sorted(present.values(), key=attrgetter("index")), twice


def _missing(entries: Iterable[Entry], others: Iterable[int], within: range) -> list[Finding]:
    """The gaps between the entries and `others`, which are there too."""
    there = sorted([*((each.index, each.name) for each in entries), *((index, None) for index in others)], key=_first)
    findings = []
    due, before = within.start, None
    for index, name in [*there, (within.stop, None)]:
        if index > due:
            sides = [f"{side} {span}" for side, span in (("after", before), ("before", name)) if span is not None]
            message = ", ".join([counted(index - due, "entry", "entries"), *sides])
            findings.append(Finding("missing", due, index - due, None, message))
        due, before = max(due, index + 1), name
    return findings


def _first(pair: tuple[int, str | None]) -> int:
    return pair[0]


def _reordered(spans: Sequence[Entry]) -> list[Finding]:
    """The first span that stands where another is due."""
    for found, due in zip(spans, sorted(spans, key=attrgetter("index")), strict=True):
        if found is not due:
            message = f"entry {found.index} stands where {due.name}, entry {due.index}, is due"
            return [Finding("reordered", due.index, 1, found.name, message)]
    return []


def _rewritten(leaves: range, by: Head | Entry, entries: Iterable[Entry]) -> Finding:
    name = next((each.name for each in entries if each.index in leaves and each.name is not None), None)
    known = f"the checkpoint of size {by.size}" if isinstance(by, Head) else f"the proof of entry {by.index}"
    message = f"{counted(len(leaves), 'entry', 'entries')} from {leaves.start} on: not what {known} is of"
    return Finding("rewritten", leaves.start, len(leaves), name, message)


def _is_proven(entry: Entry, history: History) -> bool:
    return entry.index < entry.recorded_size and history.proves(entry.index)


def _compromised(entry: Entry) -> Finding:
    message = "signed by a compromised key alone, "
    if entry.index < entry.recorded_size:
        message += "and in no other checkpoint that comes out"
    else:
        message += f"past the {counted(entry.recorded_size, 'entry', 'entries')} that the log had then"
    return Finding("compromised", entry.index, 1, entry.name, message)
