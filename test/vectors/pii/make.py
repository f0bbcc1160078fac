"""Makes the vectors of this folder with PyCA cryptography, whose Cobblestone-256 shares no code with src/.

    python3 -m venv /tmp/vectors && /tmp/vectors/bin/pip install cryptography==50.0.2
    /tmp/vectors/bin/python test/vectors/pii/make.py

Salts are random (its encryptor takes none), so every run gives new tokens; all else stays the same.
`rejected.json` is what an opener must refuse, each made from a good token by the change that its name says.
"""
import base64
import hashlib
import json
import struct
from pathlib import Path

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

HERE = Path(__file__).parent
KEY = hashlib.sha256(b"fluo-kms test data key").digest()
OTHER_KEY = hashlib.sha256(b"another fluo-kms test data key").digest()
KEY_ID = "00112233445566778899aabbccddeeff"
KINDS = {"pii": 1, "data-key": 2}


def prefixed(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def canonical_pairs(pairs: dict) -> bytes:
    encoded = sorted((k.encode(), v.encode()) for k, v in pairs.items())
    return struct.pack(">I", len(encoded)) + b"".join(prefixed(k) + prefixed(v) for k, v in encoded)


def canonical_context(tenant: str, field: str, pairs: dict) -> bytes:
    return b"fluo-kms/context/v1" + prefixed(tenant.encode()) + prefixed(field.encode()) + canonical_pairs(pairs)


def input_key(key: bytes, use: str) -> bytes:
    return HKDFExpand(hashes.SHA512(), 32, b"fluo-kms/v1/" + use.encode()).derive(key)


def header(kind: str, key_id: str) -> bytes:
    return bytes([1, KINDS[kind]]) + bytes.fromhex(key_id)


def envelope(kind: str, tenant: str, field: str, pairs: dict, plaintext: bytes, key: bytes = KEY) -> bytes:
    head = header(kind, KEY_ID)
    context = head + canonical_context(tenant, field, pairs)
    encryptor = Cobblestone256Encryptor(input_key(key, kind), context)
    sealed = encryptor.update(plaintext) + encryptor.finalize()
    decryptor = Cobblestone256Decryptor(input_key(key, kind), context)
    assert decryptor.update(sealed) + decryptor.finalize() == plaintext
    return head + sealed


def token(data: bytes) -> str:
    return "fk1." + base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def write(name: str, content) -> None:
    (HERE / name).write_text(json.dumps(content, indent=2, ensure_ascii=True) + "\n")


def keys() -> dict:
    return {
        "key": KEY.hex(),
        "other_key": OTHER_KEY.hex(),
        "key_id": KEY_ID,
        "input_keys": {use: input_key(KEY, use).hex() for use in KINDS},
    }


CONTEXTS = [
    ("no pairs", "acme", "email", {}),
    ("no field name, as for a data key", "acme", "", {"purpose": "export"}),
    ("pairs given in another order than their bytes", "acme", "email", {"b": "2", "a": "1", "aa": "3", "": "4"}),
    ("an empty value", "acme", "email", {"a": ""}),
    ("text beyond ASCII", "acme", "na\u00efve.\u540d\u524d", {"\u00fcber": "\u00e9t\u00e9", "z": "\U0001f511"}),
    ("UTF-8 order, not UTF-16", "acme", "email", {"\U00010000": "last", "\uffff": "second", "\ue000": "first"}),
    ("__proto__ as a key", "acme", "email", {"__proto__": "x", "constructor": "y"}),
    ("pair boundaries, one way", "acme", "email", {"a": "bc"}),
    ("pair boundaries, the other way", "acme", "email", {"ab": "c"}),
    ("a pair that looks like two", "acme", "email", {"a": "b\0\0\0\1c\0\0\0\1d"}),
    ("sixteen pairs", "acme", "email", {f"k{i}": str(i) for i in range(16)}),
]


def contexts() -> list:
    return [
        {
            "name": name,
            "tenant_id": tenant,
            "field": field,
            "pairs": list(pairs.items()),
            "canonical_pairs": canonical_pairs(pairs).hex(),
            "canonical_context": canonical_context(tenant, field, pairs).hex(),
            "provider_context": (b"fluo-kms/provider-context/v1" + canonical_pairs(pairs)).hex(),
        }
        for name, tenant, field, pairs in CONTEXTS
    ]


PLAINTEXTS = [
    ("an empty value", b""),
    ("one byte", b"\x00"),
    ("an address", b"alice@example.com"),
    ("bytes that are not text", bytes(range(256))),
    ("one byte less than a chunk", b"x" * 16383),
    ("a chunk exactly", b"x" * 16384),
    ("one byte more than a chunk", b"x" * 16385),
]


def values() -> list:
    made = []
    for name, plaintext in PLAINTEXTS:
        pairs = {"purpose": "support", "\U0001f511": "key"}
        made.append(
            {
                "name": name,
                "tenant_id": "acme",
                "field": "customer.email",
                "pairs": list(pairs.items()),
                "plaintext_sha256": hashlib.sha256(plaintext).hexdigest(),
                "plaintext_bytes": len(plaintext),
                "token": token(envelope("pii", "acme", "customer.email", pairs, plaintext)),
            }
        )
    return made


def blobs() -> list:
    made = []
    for bits in (128, 256):
        plaintext = hashlib.sha512(f"data key of {bits} bits".encode()).digest()[: bits // 8]
        pairs = {"purpose": "export"}
        made.append(
            {
                "name": f"a data key of {bits} bits",
                "tenant_id": "acme",
                "pairs": list(pairs.items()),
                "plaintext": plaintext.hex(),
                "ciphertext_blob": envelope("data-key", "acme", "", pairs, plaintext).hex(),
            }
        )
    return made


def rejected() -> list:
    pairs = {"purpose": "support"}
    good = envelope("pii", "acme", "email", pairs, b"alice@example.com")
    text = token(good)
    data_key = envelope("data-key", "acme", "email", pairs, b"x")

    def edited(at: int, value: int) -> str:
        data = bytearray(good)
        data[at] = value
        return token(bytes(data))

    assert len(good) % 3 == 2, "the last character must have unused bits"
    slashes = good[:18] + b"\xff" * (len(good) - 18)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    cases = [
        ("version 2", edited(0, 2)),
        ("version 0", edited(0, 0)),
        ("kind of a data key in the header", edited(1, 2)),
        ("kind 0", edited(1, 0)),
        ("kind 4", edited(1, 4)),
        ("kind 7", edited(1, 7)),
        ("another key id in the header", edited(2, good[2] ^ 1)),
        ("the salt edited", edited(18, good[18] ^ 1)),
        ("the commitment edited", edited(42, good[42] ^ 1)),
        ("the chunk edited", edited(74, good[74] ^ 1)),
        ("the tag edited", edited(len(good) - 1, good[-1] ^ 1)),
        ("the tag cut off", token(good[:-16])),
        ("the last byte cut off", token(good[:-1])),
        ("the header alone", token(good[:18])),
        ("a byte more", token(good + b"\0")),
        ("sealed under another key", token(envelope("pii", "acme", "email", pairs, b"x", OTHER_KEY))),
        ("sealed for another tenant", token(envelope("pii", "acme2", "email", pairs, b"x"))),
        ("sealed for another field", token(envelope("pii", "acme", "phone", pairs, b"x"))),
        ("the boundary of tenant and field moved", token(envelope("pii", "acm", "eemail", pairs, b"x"))),
        ("sealed with another context", token(envelope("pii", "acme", "email", {"purpose": "sales"}, b"x"))),
        ("sealed without context", token(envelope("pii", "acme", "email", {}, b"x"))),
        ("sealed as a data key", token(data_key)),
        ("sealed as a data key, with the header changed", token(header("pii", KEY_ID) + data_key[18:])),
        ("padding", text + "="),
        ("two signs of padding", text + "=="),
        ("a line feed at the end", text + "\n"),
        ("a space inside", text[:20] + " " + text[20:]),
        ("no prefix", text[4:]),
        ("another prefix", "fk2." + text[4:]),
        ("the prefix in capitals", "FK1." + text[4:]),
        ("the prefix twice", "fk1." + text),
        ("nothing behind the prefix", "fk1."),
        ("nothing", ""),
        ("the alphabet of plain base64", "fk1." + base64.b64encode(slashes).decode().rstrip("=")),
        ("unused bits that are not zero", text[:-1] + alphabet[alphabet.index(text[-1]) + 1]),
    ]
    place = {"tenant_id": "acme", "field": "email", "pairs": list(pairs.items())}
    return [{"name": name, **place, "token": t} for name, t in cases]


def reserved() -> list:
    """What no release has given out so far, and an opener refuses by name."""
    payload = bytes(range(64))
    kind_3 = b"\x01\x03" + bytes.fromhex(KEY_ID) + payload
    return [
        {"name": "a local sealer's token", "token": "fl1." + token(b"\x01" + payload)[4:], "says": "fl1."},
        {"name": "a header of public-key sealing", "token": "fh1." + token(b"\x01\x05" + payload)[4:], "says": "fh1."},
        {"name": "a value of public-key sealing", "token": "fp1." + token(b"\x01\x06" + payload)[4:], "says": "fp1."},
        {"name": "a blind index", "token": "fb1." + token(b"\x01\x04" + payload)[4:], "says": "fb1."},
        {"name": "a prefix of its own alone", "token": "fl1.", "says": "fl1."},
        {"name": "a reserved prefix before something else", "token": "fb1.*", "says": "fb1."},
        {"name": "a subject token", "token": token(kind_3), "says": "kind 3 of fk1."},
        {"name": "a kind of subject tokens alone", "token": token(b"\x01\x03"), "says": "kind 3 of fk1."},
    ]


write("keys.json", keys())
write("contexts.json", contexts())
write("tokens.json", values())
write("data-key-blobs.json", blobs())
write("rejected.json", rejected())
write("reserved.json", reserved())
