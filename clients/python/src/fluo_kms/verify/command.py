"""The command that says of spans whether this tenant signed them, and whether they are unchanged."""

from __future__ import annotations

import argparse
import io
import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from fluo_kms.verify import KeySet, KeySetError, UnreadableExport, Verdict, verify_export
from fluo_kms.verify._note import VerifierKey, parse_verifier_key
from fluo_kms.verify.verdict import EXPLANATIONS

_OK, _FAILED, _USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code: 0 all verified, 1 otherwise or if there are none, 2 wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What others wrote may be no Unicode, and a terminal may know less than Unicode.
            stream.reconfigure(errors="replace")
    parser = _parser()
    options = parser.parse_args(arguments)
    trusted = {vkey: parse_verifier_key(vkey) for vkey in options.vkey}
    if None in trusted.values():
        parser.error("--vkey is NAME+ID+KEY, as the keys file has them")
    try:
        jwks, export = Path(options.keys).read_bytes(), Path(options.spans_file).read_bytes()
    except OSError as error:
        parser.error(f"{error.filename} cannot be read ({error.strerror})")
    try:
        keys = KeySet.parse(_text(jwks))
        if trusted:
            keys = _trusting(keys, trusted)
        verdicts = verify_export(keys, export, options.tenant)
    except (KeySetError, UnreadableExport) as error:
        if options.json:
            # Standard output holds one JSON document, also of what went wrong.
            print(_json_text({"code": "FAILED", "message": str(error), "fields": []}))
        else:
            print(f"{parser.prog}: {_one_line(str(error))}", file=sys.stderr)
        return _FAILED
    if options.json:
        print(_as_json(verdicts))
    else:
        print(_as_table(verdicts, keys.passed_over))
    return _OK if verdicts and all(verdict.verified for verdict in verdicts) else _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fluo-kms-verify",
        description="Verifies signed spans offline. Fails when any span does not verify, and when there is none.",
        epilog="Exit codes: 0 ok, 1 failed, 2 wrong usage.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--keys",
        required=True,
        metavar="FILE",
        help="the tenant's public keys, as /api/kms/tenants/{tenant}/jwks.json serves them",
    )
    parser.add_argument("--tenant", help="who must have signed; without it, whom each span names")
    parser.add_argument(
        "--vkey",
        action="append",
        default=[],
        help="trust this key alone, and those that it hands over to; may be given several times",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("spans_file", metavar="SPANS_FILE", help="an OTLP trace export: protobuf, JSON, or JSON lines")
    return parser


def _trusting(keys: KeySet, trusted: Mapping[str, VerifierKey | None]) -> KeySet:
    known = {key.public_key for key in keys.log_keys}
    for vkey, key in trusted.items():
        if key is not None and key.public_key not in known:
            raise KeySetError(f"the keys file has no key {vkey}")
    return keys.trusting(trusted)


def _text(jwks: bytes) -> str:
    try:
        return jwks.decode("utf-8")
    except UnicodeDecodeError:
        raise KeySetError("the key set is not UTF-8") from None


def _as_table(verdicts: Sequence[Verdict], passed_over: int) -> str:
    rows = [_row(verdict, passed_over) for verdict in verdicts]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    lines = [f"{name:{widths[0]}}  {reason:{widths[1]}}  {about}".rstrip() for name, reason, about in rows]
    verified = sum(verdict.verified for verdict in verdicts)
    failed = len(verdicts) - verified
    if not verdicts:
        lines.append("there are no spans in the file")
    else:
        lines.append(f"{verified} of {len(verdicts)} verified" + (f", {failed} failed" if failed else ""))
    return "\n".join(map(_one_line, lines))


def _unknown_key(passed_over: int) -> str:
    told = "no such key of this tenant in the keys file"
    if passed_over == 0:
        return told
    return f"{told}, which has {passed_over} {'key' if passed_over == 1 else 'keys'} of a kind that is unknown here"


def _row(verdict: Verdict, passed_over: int) -> tuple[str, str, str]:
    name = f"{verdict.trace_id or '-'}/{verdict.span_id or '-'}"
    if verdict.verified:
        place = "" if verdict.leaf_index is None else f"entry {verdict.leaf_index}"
        about = "  ".join(part or "" for part in (verdict.signed_at, verdict.key_id, verdict.key_state, place))
    elif verdict.message is None and verdict.reason == "UNKNOWN_KEY":
        about = _unknown_key(passed_over)
    else:
        about = verdict.message or EXPLANATIONS[verdict.reason]
    return name, verdict.reason, about


def _as_json(verdicts: Sequence[Verdict]) -> str:
    verified = sum(verdict.verified for verdict in verdicts)
    spans = [
        {
            "trace_id": verdict.trace_id,
            "span_id": verdict.span_id,
            "verified": verdict.verified,
            "reason": verdict.reason,
            "message": verdict.message,
            "key_id": verdict.key_id,
            "key_state": verdict.key_state,
            "signed_at": verdict.signed_at,
            "log": verdict.log,
            "leaf_index": verdict.leaf_index,
        }
        for verdict in verdicts
    ]
    known = [{name: value for name, value in span.items() if value is not None} for span in spans]
    return _json_text({"verified": verified, "failed": len(verdicts) - verified, "spans": known})


def _json_text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _one_line(text: str) -> str:
    """What others wrote stays on its line and cannot steer the terminal."""
    return "".join("?" if unicodedata.category(character) == "Cc" else character for character in text)
