"""What the command prints, in the service's words: verdicts on spans and logs, as lines and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from fluo_kms.verify._judge import Judged
from fluo_kms.verify.log import LogReport, LogVerdict
from fluo_kms.verify.verdict import EXPLANATIONS, counted

# Controls, all that Unicode calls Bidi_Control, and separators of lines and paragraphs.
_STEERING = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_STEERS = re.compile(f"[{_STEERING}]")
# JSON is printed with line feeds; half of a surrogate pair is in no encoding.
_ESCAPED = re.compile(f"(?!\n)[{_STEERING}\ud800-\udfff]")
# More ranges than anyone reads are counted.
_SHOWN_RANGES = 4


class Performed(NamedTuple):
    """What was asked of the command."""

    log: bool  # The spans were to be all of their logs', or each is for itself.
    ordered: bool  # They were to be in the log's order.
    kept: bool  # Checkpoints were given.
    pinned: bool  # Verifier keys were given.


def one_line(text: str) -> str:
    """Keeps what others wrote on its line, where it cannot steer a terminal."""
    return _STEERS.sub("?", text)


def json_text(value: object) -> str:
    """JSON in which what would steer a terminal is escaped."""
    return _ESCAPED.sub(lambda each: f"\\u{ord(each[0]):04x}", json.dumps(value, indent=2, ensure_ascii=False))


def spans_lines(spans: Sequence[Judged], performed: Performed) -> Iterator[str]:
    """The lines of verdicts on spans, each for itself."""
    if not spans:
        yield "there are no spans in the file"
        return
    verified = sum(each.verdict.verified for each in spans)
    failed = len(spans) - verified
    third = ", or ".join(head for head, count in (("signed at", verified), ("why not", failed)) if count > 0)
    heads = ["span", "verdict", third, *(["key", "state", "log"] if verified > 0 else [])]
    yield from _table([heads, *map(_row, spans)])
    yield from _entries_lines(spans)
    yield f"{verified} of {len(spans)} verified" + (f", {failed} failed" if failed else "")
    yield from _closing_lines(performed)


def spans_json(spans: Sequence[Judged]) -> dict[str, Any]:
    """The JSON of the same."""
    verified = sum(each.verdict.verified for each in spans)
    return {"verified": verified, "failed": len(spans) - verified, "spans": [_span_json(each) for each in spans]}


def logs_lines(result: LogReport, performed: Performed) -> Iterator[str]:
    """The lines of verdicts on logs."""
    for log in result.logs:
        yield from _log_lines(log, performed)
    if result.signed_apart > 0:
        apart = f"{counted(result.signed_apart, 'span is', 'spans are')} signed apart, in no log"
        yield f"{apart}: whether others are missing does not show"
    if result.logs:
        yield from _closing_lines(performed)
    else:
        yield "there are no spans of a log in the file"


def logs_json(result: LogReport) -> dict[str, Any]:
    """The JSON of the same."""
    return {"ok": result.ok, "logs": [_log_json(log) for log in result.logs], "signed_apart": result.signed_apart}


def _closing_lines(performed: Performed) -> Iterator[str]:
    """What was checked, and what no check shows, whatever came of it."""
    log, ordered, kept, pinned = performed
    checks = [
        "each span's signature or log proof",
        "the state of each key",
        *(["that no entry is missing, repeated or rewritten"] if log else []),
        *(["the order of the spans"] if log and ordered else []),
        *(["the kept checkpoints"] if kept else []),
        *(["that the keys follow from a --vkey"] if pinned else []),
    ]
    limits = [
        "that what a span says is true",
        "spans never sent or sampled away",
        "what came after the last entry" if log else "whether spans are missing",
        *(["whether the log was cut off or written anew"] if log and not kept else []),
        *(["that a checkpoint binds a party that kept it itself"] if kept else []),
        *([] if pinned else ["whose the keys are"]),
    ]
    yield f"The following checks were performed: {'; '.join(checks)}."
    yield f"Not shown: {'; '.join(limits)}."


def _table(rows: Sequence[Sequence[str]], indent: str = "") -> Iterator[str]:
    """Rows as columns, two spaces apart, the last cell of a row ragged."""
    widths = [0] * max(map(len, rows), default=0)
    for row in rows:
        for column, cell in enumerate(row[:-1]):
            widths[column] = max(widths[column], len(cell))
    for row in rows:
        cells = [*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1]]
        yield indent + "  ".join(cells).rstrip()


def _row(span: Judged) -> list[str]:
    verdict = span.verdict
    named = [f"{verdict.trace_id or '-'}/{verdict.span_id or '-'}", _reason(span)]
    if not verdict.verified:
        return [*named, verdict.message or EXPLANATIONS[verdict.reason]]
    place = "" if verdict.leaf_index is None else f"entry {verdict.leaf_index}"
    return [*named, verdict.signed_at or "", verdict.key_id or "", verdict.key_state or "", place]


def _reason(span: Judged) -> str:
    """A span without evidence is MALFORMED to the library, as to the service."""
    return "UNSIGNED" if span.is_unsigned else span.verdict.reason


def _entries_lines(spans: Sequence[Judged]) -> Iterator[str]:
    """A line for each log with verified spans. An entry without one may be another's, or a handover: --log knows."""
    without = "in this file" if all(each.verdict.verified for each in spans) else "verified here"
    logs: dict[str, set[int]] = {}
    for each in spans:
        if each.verdict.verified and each.place is not None:
            logs.setdefault(each.place.evidence.checkpoint.origin, set()).add(each.place.evidence.index)
    for origin, seen in logs.items():
        yield f"log {origin}: {_entries_text(sorted(seen), without)}; --log checks that none is missing"


def _entries_text(seen: Sequence[int], without: str) -> str:
    """Returns `entries 0 to 4 and 7 (2 between are not in this file)`, with `without` as the last words."""
    ranges: list[tuple[int, int]] = []
    for index in seen:
        if ranges and ranges[-1][1] == index - 1:
            ranges[-1] = ranges[-1][0], index
        else:
            ranges.append((index, index))
    if len(ranges) > _SHOWN_RANGES:
        named = f"{len(seen)} of the entries {seen[0]} to {seen[-1]}"
    else:
        *firsts, last = [f"{first}" if first == last else f"{first} to {last}" for first, last in ranges]
        listed = f"{', '.join(firsts)} and {last}" if firsts else last
        named = f"{'entry' if len(seen) == 1 else 'entries'} {listed}"
    between = seen[-1] - seen[0] + 1 - len(seen)
    return f"{named} ({counted(between, 'between is', 'between are')} not {without})" if between else named


def _span_json(span: Judged) -> dict[str, Any]:
    verdict = span.verdict
    members = {
        "trace_id": verdict.trace_id,
        "span_id": verdict.span_id,
        "verified": verdict.verified,
        "reason": _reason(span),
        "message": verdict.message,
        "key_id": verdict.key_id,
        "key_state": verdict.key_state,
        "signed_at": verdict.signed_at,
        "log": verdict.log,
        "leaf_index": verdict.leaf_index,
    }
    return _known(members)


def _known(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _log_lines(log: LogVerdict, performed: Performed) -> Iterator[str]:
    counts = [
        counted(log.spans, "span", "spans"),
        *([counted(log.handovers, "handover", "handovers")] if log.handovers else []),
        *([counted(log.announced, *_NOT_USED)] if log.announced else []),
    ]
    last = log.to_size - 1
    entries = "no entries" if log.from_size > last else f"entries {log.from_size} to {last}"
    yield f"log {log.origin}, {entries}: {', '.join(counts)}"
    yield from (f"  {line}" for line in _ends_lines(log))
    rows = [
        [each.what, f"entry {_or_dash(each.leaf_index)}", _or_dash(each.span), each.message] for each in log.findings
    ]
    yield from _table(rows, "  ")
    for kept in log.checkpoints:
        says = {None: "is not compared", True: "agrees", False: "does not agree"}[kept.agrees]
        yield f"  checkpoint {kept.name}, of {_entries(kept.size)}, {says}"
    if log.from_size > 0:
        yield f"  not checked, before entry {log.from_size}: whether any is missing"
    if not log.checkpoints:
        cut_off = "" if log.from_size > last else f"cut off behind entry {last}, or "
        yield f"  not checked, without a --checkpoint: whether the log was {cut_off}written anew"
    if not performed.ordered:
        yield "  not checked, with --any-order: the order of the spans"
    yield f"  {_problems(log)}"


_NOT_USED = ("handover that was not used", "handovers that were not used")


def _problems(log: LogVerdict) -> str:
    if not log.findings:
        return "no problems" if log.spans > 0 else "no spans"
    first = log.findings[0]
    where = first.span if first.span is not None else f"entry {first.leaf_index}"
    return f"{counted(len(log.findings), 'problem', 'problems')}, the first at {where}"


def _ends_lines(log: LogVerdict) -> Iterator[str]:
    why = "when a backup was restored, or a loss was accepted"
    if log.follows is not None:
        yield f"it follows {log.follows.origin}, which ended at {_entries(log.follows.size)} {why}"
    if log.ended_at is not None:
        lost = (
            f"; entries {log.ended_at} to {log.known_size - 1}, which are in a checkpoint here, are lost to the service"
        )
        yield f"it ended at {_entries(log.ended_at)} {why}{lost if log.known_size > log.ended_at else ''}"


def _entries(count: int) -> str:
    return counted(count, "entry", "entries")


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)


def _log_json(log: LogVerdict) -> dict[str, Any]:
    ends = _known({"ended_at": log.ended_at, "follows": log.follows.origin if log.follows else None})
    return {
        "origin": log.origin,
        **ends,
        "from": log.from_size,
        "to": log.to_size,
        "spans": log.spans,
        "handovers": log.handovers,
        "announced": log.announced,
        "checkpoints": [{"file": each.name, "size": each.size, "agrees": each.agrees} for each in log.checkpoints],
        "findings": [
            {
                "what": each.what,
                "leaf_index": each.leaf_index,
                "count": each.count,
                "span": each.span,
                "message": each.message,
            }
            for each in log.findings
        ],
    }
