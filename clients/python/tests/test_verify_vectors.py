"""The verifier against vectors that programs made which share no code with it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import vectors

from fluo_kms.verify import KeySet, SignedStatement, UnreadableExport, verify, verify_export, verify_request
from fluo_kms.verify._canonical import read_resource_spans, read_span
from fluo_kms.verify._malformed import Malformed
from fluo_kms.verify._messages import read_fields
from fluo_kms.verify._statement import canonical_signed_at

KEYS = KeySet.parse(vectors.jwks())
JSON = vectors.read("span/json.json")
SPANS = vectors.ACCEPTED["spans"]


def parts(vector: dict[str, str]) -> dict[str, bytes]:
    """Span, resource and scope of a SignSpanRequest, whose fields are a VerifySpanRequest's."""
    return read_fields("VerifySpanRequest", bytes.fromhex(vector["signSpanRequest"]), lambda _, part: part)


@pytest.mark.parametrize("vector", SPANS, ids=lambda vector: vector["name"])
def test_writes_the_canonical_form(vector):
    (span,) = read_resource_spans(bytes.fromhex(vector["resourceSpans"]))
    assert not isinstance(span, Malformed)
    assert span.canonical.decode() == vector["canonical"]


@pytest.mark.parametrize("vector", SPANS, ids=lambda vector: vector["name"])
def test_verifies_a_signature_by_attributes_and_by_statement(vector):
    signed, signature = parts(vector), bytes.fromhex(vector["signature"])
    around = signed.get("resource"), signed.get("scope")
    statement = SignedStatement(vector["statement"].encode(), signature)
    verdict = verify(KEYS, "acme", *around, signed["span"], statement)
    assert (verdict.reason, verdict.signed_at, verdict.key_state) == ("OK", vectors.ACCEPTED["signedAt"], "ACTIVE")
    assert verify(KEYS, "globex", *around, signed["span"], statement).reason == "UNKNOWN_KEY"
    if vector["name"].startswith("the signature's attributes"):
        return  # it carries others already
    span = signed["span"] + vectors.evidence(signature)
    assert verify(KEYS, "acme", *around, span) == verdict
    assert verify(KEYS, "globex", *around, span).reason == "UNKNOWN_KEY"
    changed = span + vectors.text_attribute("another", "attribute")
    assert verify(KEYS, "acme", *around, changed).reason in ("SIGNATURE_MISMATCH", "MALFORMED")


@pytest.mark.parametrize("vector", vectors.read("span/refused.json"), ids=lambda vector: vector["name"])
def test_refuses_what_could_be_read_in_two_ways(vector):
    span = bytes.fromhex(vector["span"])
    with pytest.raises(Malformed) as refusal:
        read_span(span)
    field = refusal.value.field
    # The vector of 33 levels names the value that is too deep by where it lies; all others are equal.
    assert field == vector["field"] or (vector["field"] is None and field.startswith("span."))
    assert verify(KEYS, "acme", None, None, span).reason == "MALFORMED"
    assert verify_request(KEYS, vectors.field(2, span), "acme").reason == "MALFORMED"


def test_verifies_an_export_in_each_of_its_spellings():
    exported = vectors.read("span/exported.json")
    spellings = [bytes.fromhex(exported["protobuf"]), *(text.encode() for text in exported["json"].values())]
    verdicts = [verify_export(KEYS, spelling, "acme") for spelling in spellings]
    assert all(verdict == verdicts[0] for verdict in verdicts)
    assert [verdict.reason for verdict in verdicts[0]] == ["OK"] * 4


@pytest.mark.parametrize("vector", JSON["cases"], ids=lambda vector: vector["name"])
def test_reads_json_as_every_reader_does(vector):
    keys, export = KeySet.parse(JSON["jwks"]), vector["text"].encode()
    if vector["reasons"] == "unreadable":
        with pytest.raises(UnreadableExport):
            verify_export(keys, export)
    else:
        assert [verdict.reason for verdict in verify_export(keys, export)] == vector["reasons"]


def test_takes_every_spelling_of_a_time_and_no_other():
    times = vectors.read("signed-at/vectors.json")
    assert [canonical_signed_at(each["spelling"]) for each in times["accepted"]] == [
        each["canonical"] for each in times["accepted"]
    ]
    assert [each["spelling"] for each in times["refused"] if canonical_signed_at(each["spelling"]) is not None] == []


def test_imports_neither_grpc_nor_protobuf():
    program = (
        "import sys, fluo_kms.verify.command; sys.exit(any(n.split('.')[0] in ('grpc', 'google') for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, env=vectors.ENVIRONMENT).returncode == 0
