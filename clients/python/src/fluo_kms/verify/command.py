"""The command that says of spans whether this tenant signed them, whether they are unchanged, and all there."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fluo_kms.verify import KeySet, KeySetError, LogError, UnreadableExport, verify_log
from fluo_kms.verify._encoding import parse_index
from fluo_kms.verify._judge import judge_export
from fluo_kms.verify._note import parse_verifier_key
from fluo_kms.verify._print import Performed, json_text, logs_json, logs_lines, one_line, spans_json, spans_lines

_OK, _FAILED = 0, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code: 0 all verified, 1 otherwise or if there are none.

    Raises SystemExit with 2 for wrong usage.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What others wrote may be no Unicode, and a terminal may know less than Unicode.
            stream.reconfigure(errors="replace")
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        ok, as_json, lines = _verify(parser, options)
    except (KeySetError, UnreadableExport, LogError) as error:
        if options.json:
            # Standard output holds one JSON document, also of what went wrong.
            print(json_text({"code": "FAILED", "message": str(error), "fields": []}))
        else:
            print(f"{parser.prog}: {one_line(str(error))}", file=sys.stderr)
        return _FAILED
    print(json_text(as_json) if options.json else "\n".join(map(one_line, lines)))
    return _OK if ok else _FAILED


def _verify(parser: argparse.ArgumentParser, options: argparse.Namespace) -> tuple[bool, dict[str, Any], Iterable[str]]:
    """Whether all is well, and what to print, as JSON and as lines."""
    from_size, to_size = _range(parser, options)
    keys = _trusting(parser, KeySet.parse(_text(_read(parser, options.keys))), options.vkey)
    export = _read(parser, options.spans_file)
    performed = Performed(options.log, not options.any_order, bool(options.checkpoint), bool(options.vkey))
    if not options.log:
        spans = judge_export(keys, export, options.tenant)
        ok = bool(spans) and all(each.verdict.verified for each in spans)
        return ok, spans_json(spans), spans_lines(spans, performed)
    checkpoints = [(file, _read(parser, file).decode("utf-8", "replace")) for file in options.checkpoint or ()]
    result = verify_log(
        keys,
        export,
        tenant=options.tenant,
        checkpoints=checkpoints,
        from_size=from_size,
        to_size=to_size,
        any_order=options.any_order,
    )
    return result.ok, logs_json(result), logs_lines(result, performed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fluo-kms-verify",
        description="Verifies signed spans offline. Fails when any span does not verify, and when there is none. With "
        "--log it also fails when a span of the log is missing, repeated or out of order, and when the log's history "
        "was rewritten. Only a checkpoint that you kept shows that its end was cut off, or that it was written anew.",
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
    parser.add_argument(
        "--log",
        action="store_true",
        help="check that the spans are all of the log's, in its order, from the first to the last",
    )
    parser.add_argument(
        "--checkpoint",
        action="append",
        metavar="FILE",
        help="with --log: checkpoints that you kept, one or several in a file; may be given several times",
    )
    parser.add_argument("--from", metavar="SIZE", help="with --log: begin behind the first SIZE entries")
    parser.add_argument("--to", metavar="SIZE", help="with --log: end with the first SIZE entries")
    parser.add_argument(
        "--any-order",
        action="store_true",
        help="with --log: the file is in no order, as from a store that keeps none",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("spans_file", metavar="SPANS_FILE", help="an OTLP trace export: protobuf, JSON, or JSON lines")
    return parser


def _range(parser: argparse.ArgumentParser, options: argparse.Namespace) -> tuple[int | None, int | None]:
    """The entries that are asked for. Exits where an option of logs is there without --log."""
    given = vars(options)
    if not options.log:
        only = next((name for name in ("checkpoint", "from", "to", "any_order") if given[name]), None)
        if only is not None:
            parser.error(f"--{only.replace('_', '-')} is for --log")
    sizes = {name: None if given[name] is None else parse_index(given[name]) for name in ("from", "to")}
    for name, size in sizes.items():
        if size is None and given[name] is not None:
            parser.error(f"--{name} is a number of entries")
    from_size, to_size = sizes.values()
    if from_size is not None and to_size is not None and from_size >= to_size:
        parser.error("--from must be below --to")
    return from_size, to_size


def _read(parser: argparse.ArgumentParser, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:
        parser.error(f"{file} cannot be read ({getattr(error, 'strerror', error)})")


def _text(jwks: bytes) -> str:
    try:
        return jwks.decode("utf-8")
    except UnicodeDecodeError:
        raise KeySetError("the keys file is not UTF-8") from None


def _trusting(parser: argparse.ArgumentParser, keys: KeySet, vkeys: Sequence[str]) -> KeySet:
    known = {key.public_key for key in keys.log_keys}
    for vkey in vkeys:
        key = parse_verifier_key(vkey)
        if key is None:
            parser.error("--vkey is NAME+ID+KEY, as the keys file has them")
        if key.public_key not in known:
            raise KeySetError(f"the keys file has no key {vkey}")
    return keys.trusting(vkeys) if vkeys else keys
