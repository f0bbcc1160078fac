"""Feeds the verifier what others may hand over: `PYTHONPATH=src python tests/fuzz_verify.py --inputs 1000000`.

Exports, requests and key sets of the vectors are changed at random. Whatever comes, there is a verdict, or one of the
errors that the verifier names. The seed says it again.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter

import vectors

from fluo_kms.verify import KeySet, KeySetError, UnreadableExport, verify_export, verify_request

_EXPORTED = vectors.read("span/exported.json")
_SPANS = vectors.ACCEPTED["spans"]
_EXPORTS = [
    bytes.fromhex(_EXPORTED["protobuf"]),
    *(text.encode() for text in _EXPORTED["json"].values()),
    *(vectors.field(1, bytes.fromhex(span["resourceSpans"])) for span in _SPANS),
]
_REQUESTS = [bytes.fromhex(span["signSpanRequest"]) for span in _SPANS]
_JWKS = vectors.jwks().encode()
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
    """Returns how often each verdict and each error came. Raises whatever else the verifier raises."""
    chance = random.Random(seed)
    keys = KeySet.parse(_JWKS.decode())
    came: Counter[str] = Counter()
    for _ in range(inputs):
        kind = chance.randrange(4)
        try:
            if kind == 0:
                KeySet.parse(_changed(chance, _JWKS).decode("utf-8", "replace"))
                came["key set"] += 1
            elif kind == 1:
                came[verify_request(keys, _changed(chance, chance.choice(_REQUESTS)), "acme").reason] += 1
            else:
                export = _changed(chance, chance.choice(_EXPORTS))
                tenant = chance.choice(("acme", None))
                came.update(verdict.reason for verdict in verify_export(keys, export, tenant))
        except (KeySetError, UnreadableExport) as error:
            came[type(error).__name__] += 1
    return came


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Feeds the verifier random inputs.")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"{options.inputs} inputs of seed {options.seed}:", dict(fuzz(options.inputs, options.seed).most_common()))
