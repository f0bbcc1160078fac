"""Whole logs, by the library and the command, against vectors of a program that shares no code with them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import vectors

from fluo_kms.verify import KeySet, LogError, LogReport, UnreadableExport, verify_log
from fluo_kms.verify.command import main

LOGS = {vector["name"]: vector for vector in vectors.read("log/logs.json")}
ORIGIN = "kms.example.com/acme"


def audited(vector: dict[str, Any]) -> LogReport:
    """What the library says of a vector."""
    asked = vector["log"]
    keys = KeySet.parse(vector["jwks"])
    return verify_log(
        keys.trusting(vector["vkeys"]) if "vkeys" in vector else keys,
        base64.b64decode(vector["export"]),
        tenant=vector.get("tenant"),
        checkpoints=[(f"checkpoint-{i}", text) for i, text in enumerate(asked.get("checkpoints", []))],
        from_size=asked.get("from"),
        to_size=asked.get("to"),
        any_order=asked.get("anyOrder", False),
    )


def run(vector: dict[str, Any], *options: str) -> int:
    """The exit code of the command, which finds the vector in files of the current folder."""
    Path("keys.json").write_text(vector["jwks"], encoding="utf-8")
    Path("spans").write_bytes(base64.b64decode(vector["export"]))
    asked = vector["log"]
    arguments = ["--log", "--keys", "keys.json", *options]
    for i, text in enumerate(asked.get("checkpoints", [])):
        Path(f"checkpoint-{i}").write_bytes(text.encode())
        arguments += ["--checkpoint", f"checkpoint-{i}"]
    for vkey in vector.get("vkeys", []):
        arguments += ["--vkey", vkey]
    given = {"tenant": vector.get("tenant"), "from": asked.get("from"), "to": asked.get("to")}
    for name, value in given.items():
        arguments += [] if value is None else [f"--{name}", str(value)]
    return main([*arguments, *(["--any-order"] if asked.get("anyOrder") else []), "spans"])


def without_messages(said: Any) -> Any:
    return json.loads(json.dumps(said), object_hook=lambda each: {k: v for k, v in each.items() if k != "message"})


@pytest.mark.parametrize("vector", LOGS.values(), ids=LOGS.keys())
def test_says_of_a_log_what_every_reader_says(vector, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    want = vector["want"]
    code = run(vector, "--json")
    said = json.loads(capsys.readouterr().out)
    if isinstance(want, str):
        with pytest.raises(UnreadableExport if want == "unreadable" else LogError):
            audited(vector)
        assert (code, said["code"]) == (1, "FAILED")
        return
    assert (code, without_messages(said)) == (0 if want["ok"] else 1, want)
    result = audited(vector)
    assert (result.ok, result.signed_apart) == (want["ok"], want["signed_apart"])
    assert [log.ok for log in result.logs] == [log["spans"] > 0 and not log["findings"] for log in want["logs"]]


def lines(vector: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> list[str]:
    run(vector)
    return capsys.readouterr().out.splitlines()


CHECKED = (
    "The following checks were performed: each span's signature or log proof; the state of each key; "
    "that no entry is missing, repeated or rewritten"
)
NOT_SHOWN = (
    "Not shown: that what a span says is true; spans never sent or sampled away; what came after the last entry; "
)
NOT_KEPT = f"{NOT_SHOWN}whether the log was cut off or written anew; whose the keys are."


def test_prints_a_log_that_is_whole(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    head = f"log {ORIGIN}, entries 0 to 7: 6 spans, 1 handover, 1 handover that was not used"
    assert lines(LOGS["checkpoints that were kept"], capsys) == [
        head,
        "  checkpoint checkpoint-0, of 2 entries, agrees",
        "  checkpoint checkpoint-1, of 7 entries, agrees",
        "  checkpoint checkpoint-2, of 8 entries, agrees",
        "  no problems",
        f"{CHECKED}; the order of the spans; the kept checkpoints.",
        f"{NOT_SHOWN}that a checkpoint binds a party that kept it itself; whose the keys are.",
    ]
    cut_off = "  not checked, without a --checkpoint: whether the log was cut off behind entry 7, or written anew"
    closing = [f"{CHECKED}; the order of the spans.", NOT_KEPT]
    assert lines(LOGS["all of a log"], capsys) == [head, cut_off, "  no problems", *closing]
    any_order = "  not checked, with --any-order: the order of the spans"
    swapped = lines(LOGS["two spans swapped, in any order"], capsys)
    assert swapped[-5:] == [cut_off, any_order, "  no problems", f"{CHECKED}.", NOT_KEPT]
    pinned = lines(LOGS["all of a log, from its first key"], capsys)
    assert pinned[-2:] == [
        f"{CHECKED}; the order of the spans; that the keys follow from a --vkey.",
        f"{NOT_SHOWN}whether the log was cut off or written anew.",
    ]


def test_prints_what_it_finds(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    vector = LOGS["a span removed"]
    finding = vector["want"]["logs"][0]["findings"][0]
    (found,) = (line for line in lines(vector, capsys) if line.startswith("  missing"))
    assert found.startswith(f"  missing  entry {finding['leaf_index']}  -  1 entry, after ")
    assert lines(vector, capsys)[-3] == f"  1 problem, the first at entry {finding['leaf_index']}"
    apart = lines(LOGS["spans that are signed apart alone"], capsys)
    assert apart[0].endswith("signed apart, in no log: whether others are missing does not show")
    assert apart[1:] == ["there are no spans of a log in the file"]
    (ended,) = (line for line in lines(LOGS["a log that has ended"], capsys) if line.startswith("  it ended at "))
    assert "when a backup was restored, or a loss was accepted" in ended


def test_names_the_log_of_spans_that_verify_each(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run(LOGS["a span removed"])
    capsys.readouterr()
    assert main(["--keys", "keys.json", "spans"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-3] == "5 of 5 verified"
    assert out[-4].startswith(f"log {ORIGIN}: entries ")
    assert out[-4].endswith("not in this file); --log checks that none is missing")


def test_refuses_a_range_of_several_logs():
    vector, origin = LOGS["all of a log"], f"{ORIGIN}/2"
    checkpoint, vkey = vectors.checkpoint(origin, 1, bytes(32), seed=bytes([1]) * 32)
    jwks = json.loads(vector["jwks"])
    jwks["keys"][0]["vkeys"].append(vkey)
    two = {**vector, "jwks": json.dumps(jwks), "log": {"checkpoints": [checkpoint]}}
    assert [(log.origin, log.ok) for log in audited(two).logs] == [(ORIGIN, True), (origin, False)]
    for bound in ("from", "to"):
        with pytest.raises(LogError, match=f"several logs \\({ORIGIN}, {origin}\\)"):
            audited({**two, "log": {**two["log"], bound: 1}})
