"""Holds the verifier to what the service's own code says of cases."""

from __future__ import annotations

import base64
import json
from typing import Any

from checks import Checks

from fluo_kms.verify import (
    KeySet,
    KeySetError,
    LogError,
    LogVerdict,
    UnreadableExport,
    Verdict,
    verify_export,
    verify_log,
    verify_request,
)


def run(world: dict[str, Any], checks: Checks) -> None:
    key_sets: dict[str, KeySet] = {}
    with open(world["cases"], encoding="utf-8") as cases:  # noqa: PTH123 read line by line
        for number, line in enumerate(cases, 1):
            try:
                _check(json.loads(line), key_sets, checks, f"line {number}")
            except Exception as error:
                checks.failed(f"line {number}", f"{type(error).__name__}: {error}")


def _check(case: dict[str, Any], key_sets: dict[str, KeySet], checks: Checks, what: str) -> None:
    if "refused" in case:
        checks.that(_is_refused(case), what, "the key set is not refused")
    elif "jwks" in case:
        key_sets[case["keySet"]] = _key_set(case)
        checks.passed += 1
    elif "request" in case:
        verdict = verify_request(key_sets[case["keySet"]], base64.b64decode(case["request"]), case["tenant"])
        checks.equal(what, _summary(verdict), case["want"])
    else:
        keys, tenant = key_sets[case["keySet"]], case.get("tenant")
        export = case["json"].encode() if "json" in case else base64.b64decode(case["export"])
        said = _logs(keys, export, tenant, case["log"]) if "log" in case else _verdicts(keys, export, tenant)
        checks.equal(what, said, case["want"])


def _is_refused(case: dict[str, Any]) -> bool:
    try:
        _key_set(case)
    except KeySetError:
        return True
    return False


def _key_set(case: dict[str, Any]) -> KeySet:
    keys = KeySet.parse(case["jwks"])
    return keys.trusting(case["vkeys"]) if "vkeys" in case else keys


def _verdicts(keys: KeySet, export: bytes, tenant: str | None) -> list[dict[str, Any]] | str:
    try:
        return [_summary(verdict) for verdict in verify_export(keys, export, tenant)]
    except UnreadableExport:
        return "unreadable"


def _logs(keys: KeySet, export: bytes, tenant: str | None, asked: dict[str, Any]) -> dict[str, Any] | str:
    try:
        result = verify_log(
            keys,
            export,
            tenant=tenant,
            checkpoints=[(f"checkpoint-{i}", text) for i, text in enumerate(asked.get("checkpoints", []))],
            from_size=asked.get("from"),
            to_size=asked.get("to"),
            any_order=asked.get("anyOrder", False),
        )
    except UnreadableExport:
        return "unreadable"
    except LogError:
        return "refused"
    return {"ok": result.ok, "logs": [_log(log) for log in result.logs], "signed_apart": result.signed_apart}


def _log(log: LogVerdict) -> dict[str, Any]:
    ends = {"ended_at": log.ended_at, "follows": log.follows.origin if log.follows else None}
    return {
        "origin": log.origin,
        **{name: value for name, value in ends.items() if value is not None},
        "from": log.from_size,
        "to": log.to_size,
        "spans": log.spans,
        "handovers": log.handovers,
        "announced": log.announced,
        "checkpoints": [{"file": each.name, "size": each.size, "agrees": each.agrees} for each in log.checkpoints],
        "findings": [
            {"what": each.what, "leaf_index": each.leaf_index, "count": each.count, "span": each.span}
            for each in log.findings
        ],
    }


def _summary(verdict: Verdict) -> dict[str, Any]:
    members = {
        "reason": verdict.reason,
        "traceId": verdict.trace_id,
        "spanId": verdict.span_id,
        "keyId": verdict.key_id,
        "keyState": verdict.key_state,
        "signedAt": verdict.signed_at,
        "log": verdict.log,
        "leafIndex": verdict.leaf_index,
    }
    return {name: value for name, value in members.items() if value is not None}
