"""The vectors that all languages share, and what is made of them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")}
"""Environment of a Python process that a test starts."""
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


def log_entry(vector: dict[str, Any]) -> bytes:
    """The entry of a vector's span in a log: the statement without its key."""
    return vector["statement"].replace(f'"keyId":"{ACCEPTED["keyId"]}",', "").encode()


def handover_entry() -> bytes:
    """The entry that hands over from the key of the vectors to itself."""
    key_id, vkey = ACCEPTED["keyId"], ACCEPTED["vkey"]["text"]
    times = {"signedAt": ACCEPTED["signedAt"], "tenant": TENANT}
    digest = hashlib.sha256(bytes.fromhex(ACCEPTED["publicKey"])).hexdigest()
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "predicate": {"fromKeyId": key_id, "toKeyId": key_id, "toVkey": vkey, **times},
        "predicateType": "https://fluo.dev/kms/key-handover/v1",
        "subject": [{"digest": {"sha256": digest}, "name": key_id}],
    }
    return json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()


def log_proof(entry: bytes) -> str:
    """The proof of an entry that is the first of two in a log of the vectors' key (C2SP tlog-proof)."""
    sibling = hashlib.sha256(b"another entry").digest()
    root = hashlib.sha256(b"\x01" + hashlib.sha256(b"\x00" + entry).digest() + sibling).digest()
    signed, vkey = checkpoint(ACCEPTED["vkey"]["name"], 2, root, bytes.fromhex(ACCEPTED["seed"]))
    assert vkey == ACCEPTED["vkey"]["text"]
    return f"c2sp.org/tlog-proof@v1\nindex 0\n{_base64(sibling)}\n\n{signed}"


def checkpoint(origin: str, size: int, root: bytes, seed: bytes) -> tuple[str, str]:
    """A signed checkpoint (C2SP tlog-checkpoint), and the verifier key of who signed it."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    encoded = b"\x01" + key.public_key().public_bytes_raw()
    key_id = hashlib.sha256(f"{origin}\n".encode() + encoded).digest()[:4]
    text = f"{origin}\n{size}\n{_base64(root)}\n"
    signature = _base64(key_id + key.sign(text.encode()))
    return f"{text}\n— {origin} {signature}\n", f"{origin}+{key_id.hex()}+{_base64(encoded)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
