"""What the scenario is to Python: messages, a record and a file."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fluo.kms.v1.span_pb2 import ResourceSpans, ScopeSpans, Span
from fluo_kms.records import Pii


@dataclass
class Person:
    """The record of the scenario."""

    id: str
    email: Annotated[str, Pii("email")]
    note: Annotated[bytes, Pii("note")]
    alias: Annotated[str, Pii("alias")]
    phone: Annotated[str | None, Pii("phone")]


class Scenario:
    """The scenario with its bytes decoded."""

    def __init__(self, path: str) -> None:
        read: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        self.tenant: str = read["tenant"]
        self.batch = base64.b64decode(read["batch"])
        self.fields = [(field["name"], base64.b64decode(field["value"])) for field in read["fields"]]
        self.context: dict[str, str] = read["context"]
        record = read["record"]
        self.record = Person(**{**record, "note": base64.b64decode(record["note"])})
        self.file = base64.b64decode(read["file"])
        self.refused: dict[str, str] = read["refused"]


def spans_of(whole: ResourceSpans) -> Iterator[tuple[ScopeSpans, Span]]:
    """Each span with the ScopeSpans that it is in."""
    for scope_spans in whole.scope_spans:
        for span in scope_spans.spans:
            yield scope_spans, span


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
