"""Exports: which forms are read, what stands in the place of what cannot be read, and what is no export at all."""

from __future__ import annotations

import json

import pytest
import vectors

from fluo_kms.verify import KeySet, UnreadableExport, verify_export

KEYS = KeySet.parse(vectors.jwks())
EXPORTED = vectors.read("span/exported.json")
DOCUMENT = vectors.exported_span()


def reasons(export: bytes | str) -> list[str]:
    data = export.encode() if isinstance(export, str) else export
    return [verdict.reason for verdict in verify_export(KEYS, data, "acme")]


def changed(change) -> str:
    document = json.loads(json.dumps(DOCUMENT))
    change(document["resourceSpans"][0]["scopeSpans"][0]["spans"][0])
    return json.dumps(document, ensure_ascii=True)


def test_reads_one_document_a_line():
    line = json.dumps(DOCUMENT)
    assert reasons(f"{line}\n\n{line}\r\n") == ["OK", "OK"]
    assert reasons("\ufeff" + line) == ["OK"]


def test_calls_an_empty_export_one_without_spans():
    assert reasons(b"") == []


@pytest.mark.parametrize("export", ["{}", "[]", "null", '{"resourceSpans": {}}', "{", '{"resourceSpans": [], "x": 1}'])
def test_refuses_what_is_no_export(export):
    with pytest.raises(UnreadableExport):
        reasons(export)


def test_refuses_bytes_that_are_neither_protobuf_nor_utf_8():
    with pytest.raises(UnreadableExport):
        reasons(b"\x0a\x05\xff")


@pytest.mark.parametrize(
    "change",
    [
        lambda span: span.update(unknown=1),
        lambda span: span.update(trace_id=span["traceId"]),
        lambda span: span.update(kind="SERVER"),
        lambda span: span.update(droppedEventsCount=2**32),
        lambda span: span.update(traceId="zz" * 16),
        lambda span: span.update(name="\ud800"),
        lambda span: span["attributes"].append({"key": "x", "value": {"boolValue": 1}}),
        lambda span: span["attributes"].append({"key": "x", "value": {"intValue": True}}),
        lambda span: span["attributes"].append({"key": "x", "value": {"intValue": 1, "stringValue": ""}}),
        lambda span: span["attributes"].append({"key": "x", "value": {"doubleValue": "inf"}}),
        lambda span: span["attributes"].append({"key": "audit.integrity.fluo.x", "value": {"stringValue": ""}}),
        lambda span: span["attributes"].append(span["attributes"][0]),
    ],
)
def test_calls_a_span_malformed_that_two_readers_could_read_in_two_ways(change):
    assert reasons(changed(change)) == ["MALFORMED"]


def test_calls_a_document_with_a_member_twice_malformed():
    assert reasons('{"resourceSpans": [{"schemaUrl": "a", "schemaUrl": "b"}]}') == ["MALFORMED"]


def test_calls_a_changed_span_altered():
    assert reasons(changed(lambda span: span.update(name="other"))) == ["SIGNATURE_MISMATCH"]
    assert reasons(changed(lambda span: span["attributes"].append({"key": "__proto__"}))) == ["SIGNATURE_MISMATCH"]


def test_refuses_a_whole_resource_spans_with_a_fault_in_its_frame():
    assert reasons(bytes.fromhex(EXPORTED["protobuf"]) + vectors.field(1, b"\x22\x00")) == ["OK"] * 4 + ["MALFORMED"]


def test_puts_a_fault_of_a_resource_in_the_place_of_each_span():
    spans = vectors.field(2, vectors.field(2, b"") * 3)
    assert reasons(vectors.field(1, spans + vectors.field(1, b"\x22\x00"))) == ["MALFORMED"] * 3


@pytest.mark.parametrize(
    ("state", "members", "reason"),
    [
        ("RETIRED", {}, "OK"),
        ("DISABLED", {}, "OK"),
        ("DESTROYED", {}, "OK"),
        ("PENDING", {}, "KEY_STATE"),
        ("COMPROMISED", {}, "KEY_COMPROMISED"),
        ("DESTROYED", {"compromised_at": "2026-01-03T00:00:00Z"}, "KEY_COMPROMISED"),
        ("ACTIVE", {"valid_from": "2026-01-02T03:05:05.678Z"}, "OK"),
        ("ACTIVE", {"valid_from": "2026-01-02T03:05:05.679Z"}, "KEY_STATE"),
        ("RETIRED", {"valid_until": "2026-01-02T03:04:05.678Z"}, "OK"),
        ("RETIRED", {"valid_until": "2026-01-02T03:04:05.677999+00:00"}, "KEY_STATE"),
    ],
)
def test_judges_a_signature_by_the_state_and_times_of_its_key(state, members, reason):
    keys = KeySet.parse(vectors.jwks(vectors.jwk(state=state, **members)))
    (verdict,) = verify_export(keys, json.dumps(DOCUMENT).encode())
    assert (verdict.reason, verdict.verified) == (reason, reason == "OK")


@pytest.mark.parametrize(("lists", "verdicts"), [(47, 2), (48, 1)])
def test_refuses_json_of_more_than_a_hundred_messages_inside_one_another_as_a_whole(lists, verdicts):
    value = {"stringValue": ""}
    for _ in range(lists):
        value = {"arrayValue": {"values": [value]}}
    document = json.loads(json.dumps(DOCUMENT))
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans.append({**spans[0], "attributes": [{"key": "deep", "value": value}]})
    assert reasons(json.dumps(document)) == ["OK", "MALFORMED"][-verdicts:]


def test_judges_a_number_that_an_enum_lacks_as_a_fault_of_one_span():
    document = json.loads(json.dumps(DOCUMENT))
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans.append({**spans[0], "kind": 6})
    assert reasons(json.dumps(document)) == ["OK", "MALFORMED"]
    spans.append({**spans[0], "kind": 2**31})
    assert reasons(json.dumps(document)) == ["MALFORMED"]
