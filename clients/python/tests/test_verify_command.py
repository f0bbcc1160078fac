"""The command that verifies: what it prints, and how it exits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import vectors

SIGNED = json.dumps(vectors.exported_span())
CLOSING = [
    "The following checks were performed: each span's signature or log proof; the state of each key.",
    "Not shown: that what a span says is true; spans never sent or sampled away; whether spans are missing; "
    "whose the keys are.",
]
IDS = "5b8efff798038103d269b633813fc60c/eee19b7ec3c1b174"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "keys.json").write_text(vectors.jwks())
    (tmp_path / "spans.json").write_text(SIGNED)
    (tmp_path / "changed.json").write_text(SIGNED.replace("decided", "undone"))
    return tmp_path


def verify(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fluo_kms.verify", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=vectors.ENVIRONMENT)


def test_says_that_a_span_verifies(folder):
    done = verify(folder, "--keys", "keys.json", "--tenant", "acme", "spans.json")
    assert done.stdout.splitlines() == [
        f"{'span':49}  verdict  {'signed at':24}  {'key':32}  state   log",
        f"{IDS}  OK       2026-01-02T03:04:05.678Z  {vectors.ACCEPTED['keyId']}  ACTIVE",
        "1 of 1 verified",
        *CLOSING,
    ]
    assert done.returncode == 0


def test_says_why_a_span_does_not_verify(folder):
    done = verify(folder, "--keys", "keys.json", "changed.json")
    assert done.stdout.splitlines() == [
        f"{'span':49}  {'verdict':18}  why not",
        f"{IDS}  SIGNATURE_MISMATCH  the span or its signature was altered",
        "0 of 1 verified, 1 failed",
        *CLOSING,
    ]
    assert done.returncode == 1


def test_prints_json(folder):
    done = verify(folder, "--keys", "keys.json", "--json", "spans.json")
    result = json.loads(done.stdout)
    assert (result["verified"], result["failed"]) == (1, 0)
    assert result["spans"][0]["reason"] == "OK"
    assert "message" not in result["spans"][0]


def test_says_in_json_what_went_wrong(folder):
    (folder / "other").write_text("no spans")
    done = verify(folder, "--keys", "keys.json", "--json", "other")
    result = json.loads(done.stdout)
    assert (result["code"], result["fields"], done.returncode) == ("FAILED", [], 1)
    assert "OTLP" in result["message"]


def test_fails_without_spans(folder):
    (folder / "empty").write_bytes(b"")
    done = verify(folder, "--keys", "keys.json", "empty")
    assert (done.stdout, done.returncode) == ("there are no spans in the file\n", 1)


def test_fails_for_a_key_that_is_not_in_the_file(folder):
    vkey = "kms.example.com/acme+9b5cefe9+AWVgdzHNJwB5bVl/UgpDcmBQjeOkFyMPS4Yy2dxvZoip"
    done = verify(folder, "--keys", "keys.json", "--vkey", vkey, "spans.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert vkey in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["spans.json"],
        ["--keys", "keys.json"],
        ["--keys", "missing.json", "spans.json"],
        ["--keys", "keys.json", "missing.json"],
        ["--keys", "keys.json", "--vkey", "x", "spans.json"],
        ["--keys", "keys.json", "--other", "spans.json"],
        ["--keys", "keys.json", "--from", "1", "spans.json"],
        ["--keys", "keys.json", "--to", "1", "spans.json"],
        ["--keys", "keys.json", "--checkpoint", "keys.json", "spans.json"],
        ["--keys", "keys.json", "--any-order", "spans.json"],
        ["--keys", "keys.json", "--log", "--from", "01", "spans.json"],
        ["--keys", "keys.json", "--log", "--to", "9007199254740992", "spans.json"],
        ["--keys", "keys.json", "--log", "--from", "1", "--to", "1", "spans.json"],
        ["--keys", "keys.json", "--log", "--checkpoint", "missing", "spans.json"],
    ],
)
def test_exits_with_2_for_wrong_usage(folder, arguments):
    done = verify(folder, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr != ""


def test_prints_what_is_no_unicode(folder):
    (folder / "twice.json").write_text('{"resourceSpans": [{"\\ud800": 1, "\\ud800": 2}]}')
    for options in ([], ["--json"]):
        done = verify(folder, "--keys", "keys.json", *options, "twice.json")
        assert (done.returncode, done.stderr) == (1, "")
        assert "MALFORMED" in done.stdout


def test_keeps_what_others_wrote_on_its_line(folder):
    steering = "\x1b[31m\x9b\x7f\u202e\u200f\u061c\u2066\u2028\u2029"
    name = json.dumps(f"name{steering}")
    (folder / "twice.json").write_text(f'{{"resourceSpans": [{{{name}: 1, {name}: 2}}]}}')
    done = verify(folder, "--keys", "keys.json", "twice.json")
    assert not set(steering[:1] + steering[5:]) & set(done.stdout)
    assert f"name?[31m{'?' * 8}: is there twice" in done.stdout
    done = verify(folder, "--keys", "keys.json", "--json", "twice.json")
    assert not set(steering[:1] + steering[5:]) & set(done.stdout)
    assert f"name{steering}: is there twice" in json.loads(done.stdout)["spans"][0]["message"]


def test_calls_a_span_without_evidence_unsigned(folder):
    span = {"traceId": IDS[:32], "spanId": IDS[33:]}
    (folder / "plain.json").write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}))
    done = verify(folder, "--keys", "keys.json", "plain.json")
    assert f"{IDS}  UNSIGNED  the span carries no evidence" in done.stdout
    done = verify(folder, "--keys", "keys.json", "--json", "plain.json")
    assert json.loads(done.stdout)["spans"][0]["reason"] == "UNSIGNED"


def test_says_that_keys_were_passed_over(folder):
    (folder / "keys.json").write_text(json.dumps({"keys": [{"kty": "AKP"}, {"kty": "EC"}]}))
    done = verify(folder, "--keys", "keys.json", "spans.json")
    assert "UNKNOWN_KEY  no such key of this tenant in the keys file, which has 2 keys of a kind that is" in done.stdout
