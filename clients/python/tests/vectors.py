"""The vectors that all languages share, and what is made of them."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")}
"""Of a Python process that a test starts."""
VECTORS = ROOT / "test" / "vectors"
WYCHEPROOF = ROOT.parent / "shared" / "vectors" / "wycheproof"


def read(name: str) -> Any:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def exported_span() -> dict[str, Any]:
    """The first span of the exported vectors, as a whole OTLP JSON document."""
    document = json.loads(read("span/exported.json")["json"]["MessageToJson"])
    (first, *_) = document["resourceSpans"]
    (scope_spans, *_) = first["scopeSpans"]
    scope = {**scope_spans, "spans": scope_spans["spans"][:1]}
    return {"resourceSpans": [{**first, "scopeSpans": [scope]}]}


ACCEPTED = read("span/accepted.json")
TENANT = ACCEPTED["tenant"]


def jwk(**members: Any) -> dict[str, Any]:
    """The key of the vectors, with other members."""
    x = base64.urlsafe_b64encode(bytes.fromhex(ACCEPTED["publicKey"])).decode().rstrip("=")
    key = {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": ACCEPTED["keyId"], "alg": "EdDSA", "use": "sig"}
    times = {"valid_from": "2026-01-01T00:00:00Z", "valid_until": None, "compromised_at": None}
    return {**key, "state": "ACTIVE", **times, "vkeys": [ACCEPTED["vkey"]["text"]], "compromised_log": None, **members}


def jwks(*keys: dict[str, Any], **members: Any) -> str:
    return json.dumps({"keys": list(keys) or [jwk()], "handovers": [], **members})


def field(number: int, data: bytes) -> bytes:
    """A length-delimited field on the wire."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def text_attribute(key: str, value: str) -> bytes:
    """A string attribute of a span: field 9."""
    return field(9, field(1, key.encode()) + field(2, field(1, value.encode())))


def evidence(signature: bytes, **others: str) -> bytes:
    """The attributes of a signature by the key of the vectors."""
    values = {
        "algorithm": "EdDSA",
        "value": base64.b64encode(signature).decode(),
        "key_id": ACCEPTED["keyId"],
        "tenant": TENANT,
        "signed_at": ACCEPTED["signedAt"],
        **others,
    }
    return b"".join(text_attribute(f"audit.integrity.{name}", value) for name, value in values.items())
