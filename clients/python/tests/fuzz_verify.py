"""Feeds the verifier what others may hand over: `PYTHONPATH=src python tests/fuzz_verify.py --inputs 1000000`.

Exports, requests, log proofs, logs and key sets of the vectors are changed at random. Whatever comes, there is a
verdict, or one of the errors that the verifier names; and what verifies is as it was signed. The seed says it again.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import random
from collections import Counter
from collections.abc import Iterator

import vectors

from fluo.kms.v1.signing_pb2 import VerifySpanRequest
from fluo.kms.v1.span_pb2 import ResourceSpans, ScopeSpans
from fluo_kms.verify import (
    KeySet,
    KeySetError,
    LogError,
    UnreadableExport,
    Verdict,
    verify_export,
    verify_log,
    verify_request,
)
from fluo_kms.verify._canonical import read_resource_spans
from fluo_kms.verify._export import split_export
from fluo_kms.verify._malformed import Malformed

_TRAPS = [
    b"\xff" * 10,
    b"\x80" * 11,
    b"\0",
    b"null",
    b'"',
    b"{",
    b"[",
    b"1e999",
    rb"\ud800",
    b"NaN",
    b"-0",
    b"\xed\xa0\x80",
]


def fuzz(inputs: int, seed: int) -> Counter[str]:
    """Returns how often each verdict and each error came. Raises what else the verifier raises, and for a forgery."""
    chance = random.Random(seed)
    keys = KeySet.parse(_JWKS.decode())
    kinds = (_a_key_set, _a_request, _a_log_proof, _a_log, _an_export, _an_export)
    came: Counter[str] = Counter()
    for _ in range(inputs):
        try:
            came.update(chance.choice(kinds)(keys, chance))
        except (KeySetError, LogError, UnreadableExport) as error:
            came[type(error).__name__] += 1
    return came


def _a_key_set(_: KeySet, chance: random.Random) -> list[str]:
    keys = KeySet.parse(_changed(chance, _JWKS).decode("utf-8", "replace"))
    keys.trusting([vectors.ACCEPTED["vkey"]["text"]])
    return ["key set"]


def _a_request(keys: KeySet, chance: random.Random) -> list[str]:
    return _judged_request(keys, _changed(chance, chance.choice(_REQUESTS)))


def _a_log_proof(keys: KeySet, chance: random.Random) -> list[str]:
    """Judges a span beside evidence that alone is changed."""
    vector = chance.choice(_SPANS)
    entry = vectors.log_entry(vector)
    proof = vectors.log_proof(entry).encode()
    changed = (_changed(chance, entry), proof) if chance.randrange(4) == 0 else (entry, _changed(chance, proof))
    return _judged_request(keys, _request(vector, 6, *changed))


def _a_log(_: KeySet, chance: random.Random) -> list[str]:
    """Verifies a log whose spans, kept checkpoint or keys are changed. It is whole, or is found not to be."""
    changed = chance.randrange(8)
    jwks = _changed(chance, _LOG_JWKS) if changed == 0 else _LOG_JWKS
    checkpoint = _changed(chance, _LOG_CHECKPOINT) if changed == 1 else _LOG_CHECKPOINT
    export = _changed(chance, _LOG_EXPORT) if changed > 1 else _LOG_EXPORT
    kept = [("kept", checkpoint.decode("utf-8", "replace"))]
    result = verify_log(KeySet.parse(jwks.decode("utf-8", "replace")), export, checkpoints=kept, from_size=0)
    if result.ok:
        assert list(_digests(export)) == _LOG_DIGESTS, f"whole, though it was changed: {export.hex()}"
    return ["a whole log" if result.ok else "a log with findings"]


def _an_export(keys: KeySet, chance: random.Random) -> list[str]:
    export = _changed(chance, chance.choice(_EXPORTS))
    return _judged(verify_export(keys, export, chance.choice(("acme", None))), export)


def _judged_request(keys: KeySet, request: bytes) -> list[str]:
    verdict = verify_request(keys, request, "acme")
    return _judged([verdict], _export_of(request) if verdict.verified else b"")


def _judged(verdicts: list[Verdict], export: bytes) -> list[str]:
    """The reasons. What verifies must have a form that was signed."""
    if any(verdict.verified for verdict in verdicts):
        for verdict, digest in zip(verdicts, _digests(export), strict=True):
            assert not verdict.verified or digest in _SIGNED, f"{verdict} of what was not signed: {export.hex()}"
    return [verdict.reason for verdict in verdicts]


def _digests(export: bytes) -> Iterator[str]:
    """The digest of each span's canonical form, in the order of the verdicts; empty for what cannot be read."""
    for message in split_export(export):
        if isinstance(message, Malformed):
            yield ""
            continue
        try:
            for span in read_resource_spans(message):
                yield "" if isinstance(span, Malformed) else span.digest
        except Malformed:
            yield ""


def _changed(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = chance.randrange(len(changed) + 1)
        change = chance.randrange(6)
        if change == 0:
            changed[at : at + 1] = bytes([chance.randrange(256)])
        elif change == 1:
            changed[at:at] = chance.randbytes(chance.randrange(1, 5))
        elif change == 2:
            del changed[at : at + chance.randrange(1, 9)]
        elif change == 3:
            start = chance.randrange(len(changed) + 1)
            changed[at:at] = changed[start : start + chance.randrange(1, 40)]
        elif change == 4 and at < len(changed):
            changed[at] ^= 1 << chance.randrange(8)
        else:
            changed[at:at] = chance.choice(_TRAPS)
    return bytes(changed)


def _request(vector: dict[str, str], member: int, statement: bytes, proof: bytes) -> bytes:
    """A VerifySpanRequest: the fields of a SignSpanRequest, and evidence of two fields."""
    evidence = vectors.field(member, vectors.field(1, statement) + vectors.field(2, proof))
    return bytes.fromhex(vector["signSpanRequest"]) + evidence


def _export_of(request: bytes) -> bytes:
    """The span of a request, with its resource and scope, as an export."""
    asked = VerifySpanRequest.FromString(request)
    scope_spans = ScopeSpans(scope=asked.scope, spans=[asked.span])
    whole = ResourceSpans(resource=asked.resource, scope_spans=[scope_spans])
    return vectors.field(1, whole.SerializeToString())


def _signed_exports(vector: dict[str, str]) -> list[bytes]:
    """A span with its signature on it, and one with its log proof."""
    proof = vectors.log_proof(vectors.log_entry(vector)).encode()
    key_id = vectors.ACCEPTED["keyId"]
    return [
        _with_evidence(vector, bytes.fromhex(vector["signature"]), algorithm="EdDSA", key_id=key_id),
        _with_evidence(vector, proof, algorithm="c2sp.org/tlog-proof@v1"),
    ]


def _with_evidence(vector: dict[str, str], value: bytes, **others: str) -> bytes:
    """An export of the span with these attributes of its signature."""
    asked = VerifySpanRequest.FromString(bytes.fromhex(vector["signSpanRequest"]))
    times = {"tenant": vectors.TENANT, "signed_at": vectors.ACCEPTED["signedAt"]}
    for name, text in {**others, **times, "value": base64.b64encode(value).decode()}.items():
        asked.span.attributes.add(key=f"audit.integrity.{name}").value.string_value = text
    return _export_of(asked.SerializeToString())


_EXPORTED = vectors.read("span/exported.json")
_SPANS = vectors.ACCEPTED["spans"]
_EXPORTS = [
    bytes.fromhex(_EXPORTED["protobuf"]),
    *(text.encode() for text in _EXPORTED["json"].values()),
    *(export for span in _SPANS for export in _signed_exports(span)),
]
_REQUESTS = [
    *(bytes.fromhex(span["signSpanRequest"]) for span in _SPANS),
    *(_request(span, 5, span["statement"].encode(), bytes.fromhex(span["signature"])) for span in _SPANS),
]
_HANDOVER = vectors.handover_entry()
_JWKS = vectors.jwks(
    handovers=[{"entry": base64.b64encode(_HANDOVER).decode(), "proof": vectors.log_proof(_HANDOVER)}]
).encode()
_LOG = next(each for each in vectors.read("log/logs.json") if each["name"] == "checkpoints that were kept")
_LOG_JWKS, _LOG_CHECKPOINT = _LOG["jwks"].encode(), _LOG["log"]["checkpoints"][-1].encode()
_LOG_EXPORT = base64.b64decode(_LOG["export"])
_LOG_DIGESTS = list(_digests(_LOG_EXPORT))
_SIGNED = {
    *(hashlib.sha256(span["canonical"].encode()).hexdigest() for span in _SPANS),
    *_digests(bytes.fromhex(_EXPORTED["protobuf"])),
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Feeds the verifier random inputs.")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"{options.inputs} inputs of seed {options.seed}:", dict(fuzz(options.inputs, options.seed).most_common()))
