"""The ResourceSpans of an OTLP trace export, each as protobuf bytes.

An export is protobuf (field 1 repeated), or OTLP JSON, one document or one a line. A protobuf export begins with 0x0a,
which in JSON is a line feed: only what parses to its end as protobuf counts as such.
"""

from __future__ import annotations

from typing import Any

from fluo_kms.verify._malformed import Malformed
from fluo_kms.verify._messages import read_fields, wire_of_json
from fluo_kms.verify._strict_json import NotJson, parse_json


class UnreadableExport(ValueError):
    """The bytes are no OTLP trace export."""


def split_export(data: bytes) -> list[bytes | Malformed]:
    """Each ResourceSpans in order, or why it cannot be read. Raises UnreadableExport."""
    try:
        if data[:1] in (b"", b"\x0a"):
            found = read_fields("TracesData", data, lambda _, message: message)
            return [*found.get("resource_spans", [])]
    except Malformed:
        pass  # no protobuf
    return _split_json(data)


def _split_json(data: bytes) -> list[bytes | Malformed]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableExport("the export is neither an OTLP trace export in protobuf nor JSON in UTF-8") from None
    try:
        return _document(text)
    except NotJson:
        pass
    messages: list[bytes | Malformed] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip(" \t\r") == "":
            continue
        try:
            messages += _document(line)
        except NotJson:
            message = f"the export is not JSON in line {number}; it must be an OTLP trace export"
            raise UnreadableExport(message) from None
    return messages


def _document(text: str) -> list[bytes | Malformed]:
    """A member that is there twice makes the whole document one that cannot be read."""
    try:
        document = parse_json(text)
    except Malformed as fault:
        return [fault]
    names = list(document) if isinstance(document, dict) else []
    listed = document[names[0]] if names in (["resourceSpans"], ["resource_spans"]) else None
    if not isinstance(listed, list):
        raise UnreadableExport(
            'the export must be OTLP trace exports: objects with a list "resourceSpans" and nothing else'
        )
    return [_encode(each) for each in listed]


def _encode(resource_spans: Any) -> bytes | Malformed:
    try:
        return wire_of_json("ResourceSpans", resource_spans)
    except Malformed as fault:
        return fault
