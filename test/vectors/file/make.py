"""Makes files.json with PyCA cryptography, whose Cobblestone-256 shares no code with the clients but Python's.

    python3 -m venv /tmp/vectors && /tmp/vectors/bin/pip install cryptography==50.0.2
    /tmp/vectors/bin/python test/vectors/file/make.py

A sealed file is `fluo-kms/file/v1\\n`, the length of the data key's ciphertext_blob in two bytes, big-endian, the blob, and the
plaintext sealed with Cobblestone-256, whose context is all that is before it. Its input key is
HKDF-Expand-SHA-512(data key, "fluo-kms/client/v1/file", 32). Bytes are in base64. The byte at i of a plaintext of `length` bytes is
(31 * i + i // 251) mod 256. Salts are random (the encryptor takes none), so every run gives new files.

`refused` is what an opener must refuse: each is made of `parts` of the file `of`, a part being [start, end] of it, or bytes. Where
`authentic` is there, a stream may deliver that many bytes of the plaintext before it fails.
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
DATA_KEY = hashlib.sha256(b"fluo-kms test data key of files").digest()
BLOB = hashlib.shake_256(b"fluo-kms test ciphertext blob").digest(122)
MAGIC = b"fluo-kms/file/v1\n"
HEAD = MAGIC + struct.pack(">H", len(BLOB)) + BLOB
LENGTHS = (0, 1, 16_383, 16_384, 16_385, 32_768)
PREFIX = len(HEAD) + 24 + 32
CHUNK = 16_384 + 16


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def plaintext(length: int) -> bytes:
    return bytes((31 * i + i // 251) % 256 for i in range(length))


def input_key(data_key: bytes) -> bytes:
    return HKDFExpand(hashes.SHA512(), 32, b"fluo-kms/client/v1/file").derive(data_key)


def seal(head: bytes, text: bytes, data_key: bytes = DATA_KEY) -> bytes:
    encryptor = Cobblestone256Encryptor(input_key(data_key), head)
    sealed = encryptor.update(text) + encryptor.finalize()
    decryptor = Cobblestone256Decryptor(input_key(data_key), head)
    assert decryptor.update(sealed) + decryptor.finalize() == text
    return head + sealed


files = [seal(HEAD, plaintext(length)) for length in LENGTHS]
one, two = 1, 5
end = len(files[two])
first, second, third = ([PREFIX + i * CHUNK, PREFIX + (i + 1) * CHUNK] for i in range(3))
before = [0, PREFIX]


def flipped(at: int, of: int = one) -> list:
    whole = files[of]
    return [[0, at], b64(bytes([whole[at] ^ 1])), [at + 1, len(whole)]]


refused = [
    ("nothing", one, [], None),
    ("the head alone", one, [[0, len(HEAD)]], None),
    ("cut in the magic", one, [[0, 5]], None),
    ("cut in the blob", one, [[0, len(HEAD) - 1]], None),
    ("cut in the salt", one, [[0, len(HEAD) + 23]], None),
    ("cut in the commitment", one, [[0, PREFIX - 1]], None),
    ("cut behind the commitment", one, [before], None),
    ("cut in the last tag", one, [[0, len(files[one]) - 1]], None),
    ("a byte behind the end", one, [[0, len(files[one])], b64(b"\0")], None),
    ("another magic", one, [b64(b"fluo-kms/file/v2\n"), [len(MAGIC), len(files[one])]], None),
    ("a blob of no bytes", one, [b64(MAGIC + b"\0\0"), [len(HEAD), len(files[one])]], None),
    ("a blob longer than the file", one, [b64(MAGIC + b"\xff\xff"), [len(MAGIC) + 2, len(files[one])]], None),
    ("another blob", one, flipped(len(HEAD) - 1), None),
    ("another salt", one, flipped(len(HEAD)), None),
    ("another commitment", one, flipped(PREFIX - 1), None),
    ("another byte", one, flipped(PREFIX), None),
    ("another tag", one, flipped(len(files[one]) - 1), None),
    ("first chunk dropped", two, [before, second, [third[0], end]], 0),
    ("second chunk dropped", two, [before, first, [third[0], end]], 16_384),
    ("first chunk doubled", two, [before, first, first, second, [third[0], end]], 16_384),
    ("chunks swapped", two, [before, second, first, [third[0], end]], 0),
    ("cut behind the first chunk", two, [before, first], 16_384),
    ("cut behind the second chunk", two, [before, first, second], 32_768),
    ("a byte of the second chunk changed", two, flipped(second[0] + 5, two), 16_384),
    ("a byte behind the last chunk", two, [[0, end], b64(b"\0")], 32_768),
]

(HERE / "files.json").write_text(
    json.dumps(
        {
            "dataKey": b64(DATA_KEY),
            "ciphertextBlob": b64(BLOB),
            "files": [{"length": n, "sealed": b64(sealed)} for n, sealed in zip(LENGTHS, files, strict=True)],
            "refused": [
                {"name": name, "of": LENGTHS[of], "parts": parts} | ({} if authentic is None else {"authentic": authentic})
                for name, of, parts, authentic in refused
            ],
        },
        indent=1,
    )
    + "\n"
)
