"""Sealed files: the vectors of all languages, Wycheproof's, and files with a real service."""

from __future__ import annotations

import base64
import hmac
import io
import json
import os
import stat

import grpc
import pytest
import vectors
from cryptography.cobblestone import Cobblestone256Decryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from fluo_kms import KmsClient
from fluo_kms.files import (
    NotAuthentic,
    open_bytes,
    open_file,
    open_stream,
    open_with_key,
    seal_bytes,
    seal_file,
    seal_stream,
    seal_with_key,
)

FILES = vectors.read("file/files.json")
DATA_KEY = base64.b64decode(FILES["dataKey"])
BLOB = base64.b64decode(FILES["ciphertextBlob"])
SEALED = {each["length"]: base64.b64decode(each["sealed"]) for each in FILES["files"]}
CHUNK = 16_384


def plaintext(length: int) -> bytes:
    return bytes((31 * i + i // 251) % 256 for i in range(length))


def opened(sealed: bytes, key: bytes = DATA_KEY) -> bytes:
    target = io.BytesIO()
    open_with_key(lambda blob: key, io.BytesIO(sealed), target)
    return target.getvalue()


@pytest.mark.parametrize("length", SEALED)
def test_opens_what_others_sealed(length):
    assert opened(SEALED[length]) == plaintext(length)


def parts(case) -> bytes:
    whole = SEALED[case["of"]]
    return b"".join(whole[p[0] : p[1]] if isinstance(p, list) else base64.b64decode(p) for p in case["parts"])


@pytest.mark.parametrize("case", FILES["refused"], ids=lambda case: case["name"])
def test_refuses_what_is_not_authentic(case):
    target = io.BytesIO()
    with pytest.raises(NotAuthentic):
        open_with_key(lambda blob: DATA_KEY, io.BytesIO(parts(case)), target)
    assert len(target.getvalue()) <= case.get("authentic", 0)
    assert plaintext(case["of"]).startswith(target.getvalue())


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 1_000_000])
def test_opens_what_it_sealed(length):
    target = io.BytesIO()
    seal_with_key(DATA_KEY, BLOB, io.BytesIO(plaintext(length)), target)
    assert opened(target.getvalue()) == plaintext(length)
    with pytest.raises(NotAuthentic):
        opened(target.getvalue(), bytes(32))


def test_refuses_keys_and_blobs_of_other_lengths():
    with pytest.raises(ValueError, match="32 bytes"):
        seal_with_key(bytes(16), BLOB, io.BytesIO(), io.BytesIO())
    for blob in (b"", bytes(1025)):
        with pytest.raises(ValueError, match="ciphertext_blob"):
            seal_with_key(DATA_KEY, blob, io.BytesIO(), io.BytesIO())


def wycheproof(name: str):
    path = vectors.WYCHEPROOF / name
    if not path.exists():
        pytest.skip("Wycheproof's vectors are not there")
    groups = json.loads(path.read_text(encoding="utf-8"))["testGroups"]
    return [(group, test) for group in groups for test in group["tests"]]


def test_agrees_with_wycheproof_on_hkdf():
    for group, test in wycheproof("hkdf_sha512_test.json"):
        salt, key, info = (bytes.fromhex(test[name]) for name in ("salt", "ikm", "info"))
        extracted = hmac.digest(salt or bytes(64), key, "sha512")
        try:
            derived = HKDFExpand(SHA512(), test["size"], info).derive(extracted)
        except ValueError:
            derived = None
        wanted = bytes.fromhex(test["okm"]) if test["result"] == "valid" else None
        assert derived == wanted, (group.get("keySize"), test["tcId"])


def test_agrees_with_wycheproof_on_cobblestone():
    for _, test in wycheproof("c2sp_chunked_encryption_aes_256_gcm_test.json"):
        key, context, message, sealed = (
            bytes.fromhex(test[name]) if name in test else None for name in ("key", "context", "msg", "ct")
        )
        try:
            decryptor = Cobblestone256Decryptor(key, context or b"")
            found = decryptor.update(sealed) + decryptor.finalize()
        except (InvalidTag, ValueError):
            found = None
        is_valid = test["result"] == "valid"
        assert found == (message if is_valid else None), test["tcId"]


def test_seals_and_opens_files(kms, tmp_path):
    plain, sealed, target = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(os.urandom(3 * CHUNK + 5))
    target.write_bytes(b"before")
    seal_file(kms, "files", plain, sealed, {"table": "ü"})
    open_file(kms, "files", str(sealed), str(target), {"table": "ü"})
    assert target.read_bytes() == plain.read_bytes()
    for path in (sealed, target):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["opened", "plain", "sealed"]


def test_leaves_the_target_as_it_was_when_a_file_does_not_open(kms, tmp_path):
    plain, sealed, target = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(plaintext(2 * CHUNK))
    target.write_bytes(b"before")
    seal_file(kms, "files", plain, sealed, {"table": "a"})
    whole = sealed.read_bytes()
    for changed, context in (
        (whole, {"table": "b"}),
        (whole, {}),
        (whole[:-1], {"table": "a"}),
        (whole + b"x", {"table": "a"}),
        (whole[:30] + bytes([whole[30] ^ 1]) + whole[31:], {"table": "a"}),
    ):
        sealed.write_bytes(changed)
        with pytest.raises(NotAuthentic):
            open_file(kms, "files", sealed, target, context)
        assert target.read_bytes() == b"before"
    sealed.write_bytes(whole)
    with pytest.raises(NotAuthentic):
        open_file(kms, "other-files", sealed, target, {"table": "a"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["opened", "plain", "sealed"]


def test_leaves_nothing_when_there_is_no_key(tmp_path):
    (tmp_path / "plain").write_bytes(b"x")
    with KmsClient("127.0.0.1:1", insecure=True) as kms, pytest.raises(grpc.RpcError):
        seal_file(kms, "files", tmp_path / "plain", tmp_path / "sealed")
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]


def test_raises_at_a_missing_end_of_a_stream(kms, tmp_path):
    (tmp_path / "plain").write_bytes(plaintext(2 * CHUNK))
    seal_file(kms, "files", tmp_path / "plain", tmp_path / "sealed")
    target = io.BytesIO()
    cut = io.BytesIO((tmp_path / "sealed").read_bytes()[: -CHUNK - 16])
    with pytest.raises(NotAuthentic):
        open_stream(kms, "files", cut, target)
    assert plaintext(2 * CHUNK).startswith(target.getvalue())


class Pieces(io.BytesIO):
    """Gives fewer bytes than it is asked for, in odd pieces, and remembers the most that it gave at once."""

    most = 0

    def read(self, length=-1):
        data = super().read(min(length, 1 + self.tell() % 7919))
        self.most = max(self.most, len(data))
        return data


class Failing(io.BytesIO):
    """Fails once so many bytes were read or written."""

    def __init__(self, limit: int, data: bytes = b"") -> None:
        super().__init__(data)
        self.limit = limit

    def read(self, length=-1):
        if self.tell() >= self.limit:
            raise OSError("the disk is gone")
        return super().read(length)

    def write(self, data):
        if self.tell() + len(data) > self.limit:
            raise OSError("the disk is full")
        return super().write(data)


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
@pytest.mark.parametrize("kind", [io.BytesIO, Pieces])
def test_seals_and_opens_streams(kms, length, kind):
    sealed, target = io.BytesIO(), io.BytesIO()
    seal_stream(kms, "files", kind(plaintext(length)), sealed, {"table": "ü"})
    open_stream(kms, "files", kind(sealed.getvalue()), target, {"table": "ü"})
    assert target.getvalue() == plaintext(length)
    assert open_bytes(kms, "files", sealed.getvalue(), {"table": "ü"}) == plaintext(length)
    for stream in (sealed, target):
        assert not stream.closed
    with pytest.raises(NotAuthentic):
        open_bytes(kms, "files", sealed.getvalue(), {"table": "u"})


def test_seals_and_opens_bytes(kms):
    for data in (b"", b"x", bytearray(plaintext(CHUNK + 1)), memoryview(plaintext(5))):
        sealed = seal_bytes(kms, "files", data)
        assert isinstance(sealed, bytes)
        assert open_bytes(kms, "files", bytearray(sealed)) == bytes(data)
        with pytest.raises(NotAuthentic):
            open_bytes(kms, "files", sealed[:-1])


def test_reads_and_writes_a_few_chunks_at_a_time(kms):
    sizes: list[int] = []

    class Source(io.RawIOBase):
        left = 10_000_000

        def read(self, length=-1):
            sizes.append(length)
            data = bytes(min(length, self.left))
            self.left -= len(data)
            return data

    class Target(io.RawIOBase):
        total = 0

        def write(self, data):
            sizes.append(len(data))
            taken = min(len(data), 10_000)  # as a pipe does
            self.total += taken
            return taken

    target = Target()
    seal_stream(kms, "files", Source(), target)
    assert target.total > 10_000_000
    assert max(sizes) <= 4 * CHUNK


@pytest.mark.parametrize("at", [0, 1, CHUNK, 2 * CHUNK, 3 * CHUNK])
def test_writes_no_end_when_the_source_or_the_target_fails(kms, at):
    whole, got = plaintext(3 * CHUNK), io.BytesIO()
    with pytest.raises(OSError, match="gone"):
        seal_stream(kms, "files", Failing(at, whole), got)
    with pytest.raises(NotAuthentic):
        open_bytes(kms, "files", got.getvalue())
    full = Failing(at)
    with pytest.raises(OSError, match="full"):
        seal_stream(kms, "files", io.BytesIO(whole), full)
    with pytest.raises(NotAuthentic):
        open_bytes(kms, "files", full.getvalue())


def test_refuses_streams_that_do_not_block(kms):
    class Empty(io.RawIOBase):
        def read(self, length=-1):
            return None

        def write(self, data):
            return None

    with pytest.raises(BlockingIOError):
        seal_stream(kms, "files", Empty(), io.BytesIO())
    with pytest.raises(BlockingIOError):
        seal_stream(kms, "files", io.BytesIO(b"x"), Empty())
