"""The twins for asyncio: records, files, streams and bytes, and the exporter."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from test_files import CHUNK, plaintext
from test_otel import Backend, make_spans, reasons

from fluo_kms import AsyncKmsClient, aio, files, otel, records, signer
from fluo_kms.files import NotAuthentic
from fluo_kms.records import Pii, RecordError

HUNG_SECONDS = 60


@pytest.fixture
def backend():
    started = Backend()
    yield started
    started.close()


@dataclass(frozen=True)
class Customer:
    id: int
    email: Annotated[str, Pii("email")]
    note: Annotated[bytes | None, Pii("note")] = None


def run(service, work: Callable[[AsyncKmsClient], Awaitable], **options):
    async def opened():
        async with AsyncKmsClient(service.grpc, insecure=True, **options) as kms:
            return await work(kms)

    return asyncio.run(asyncio.wait_for(opened(), HUNG_SECONDS))


def test_encrypts_records(service, kms):
    ann, bob = Customer(1, "ann@example.com", b"\xff"), Customer(2, "")

    async def work(kms):
        stored = await aio.encrypt_record(kms, "aio", ann, {"table": "a"})
        assert await aio.decrypt_record(kms, "aio", stored, {"table": "a"}) == ann
        with pytest.raises(RecordError) as refusal:
            await aio.decrypt_record(kms, "aio", stored, {"table": "b"})
        assert refusal.value.fields == {"email": "INVALID_ARGUMENT", "note": "INVALID_ARGUMENT"}
        both = await aio.encrypt_records(kms, "aio", [ann, bob])
        assert await aio.decrypt_records(kms, "aio", both) == [ann, bob]
        return stored

    assert records.decrypt_record(kms, "aio", run(service, work), {"table": "a"}) == ann


def test_seals_and_opens_files(service, kms, tmp_path):
    plain, sealed, target = (tmp_path / name for name in ("plain", "sealed", "opened"))
    plain.write_bytes(os.urandom(3 * CHUNK + 5))

    async def work(kms):
        await aio.seal_file(kms, "aio", plain, sealed, {"a": "b"})
        await aio.open_file(kms, "aio", str(sealed), str(target), {"a": "b"})
        with pytest.raises(NotAuthentic):
            await aio.open_file(kms, "aio", sealed, tmp_path / "other")
        with pytest.raises(FileNotFoundError):
            await aio.seal_file(kms, "aio", tmp_path / "missing", tmp_path / "other")

    run(service, work)
    assert target.read_bytes() == plain.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["opened", "plain", "sealed"]
    files.open_file(kms, "aio", sealed, target, {"a": "b"})


def test_leaves_the_target_when_it_is_cancelled(service, tmp_path):
    fifo, target = tmp_path / "fifo", tmp_path / "target"
    os.mkfifo(fifo)
    target.write_bytes(b"before")

    async def work(kms):
        sealing = asyncio.ensure_future(aio.seal_file(kms, "aio", fifo, target))
        # Opening it waits for the reader, so that sealing is under way then.
        with await asyncio.to_thread(open, fifo, "wb", buffering=0) as writer:
            writer.write(b"x")
            sealing.cancel()
            await asyncio.sleep(0)
            writer.write(b"x")
        with pytest.raises(asyncio.CancelledError):
            await sealing

    run(service, work)
    assert target.read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "target"]


class Source:
    """Gives bytes in odd pieces, as an `asyncio.StreamReader` does."""

    def __init__(self, data: bytes, *, fails: bool = False) -> None:
        self._data = io.BytesIO(data)
        self._fails = fails

    async def read(self, length: int) -> bytes:
        await asyncio.sleep(0)
        data = self._data.read(min(length, 1 + self._data.tell() % 7919))
        if not data and self._fails:
            raise ConnectionResetError
        return data


class Target(io.BytesIO):
    """Is drained after each write, as an `asyncio.StreamWriter` is."""

    drained = 0

    async def drain(self) -> None:
        await asyncio.sleep(0)
        self.drained = self.tell()


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_seals_and_opens_streams_and_bytes(service, kms, length):
    async def work(kms):
        sealed, target = Target(), Target()
        await aio.seal_stream(kms, "aio", Source(plaintext(length)), sealed, {"table": "ü"})
        assert sealed.drained == len(sealed.getvalue())
        await aio.open_stream(kms, "aio", Source(sealed.getvalue()), target, {"table": "ü"})
        assert target.getvalue() == plaintext(length)
        assert await aio.open_bytes(kms, "aio", sealed.getvalue(), {"table": "ü"}) == plaintext(length)
        with pytest.raises(NotAuthentic):
            await aio.open_bytes(kms, "aio", sealed.getvalue()[:-1], {"table": "ü"})
        cut = Target()
        with pytest.raises(ConnectionResetError):
            await aio.seal_stream(kms, "aio", Source(plaintext(length), fails=True), cut)
        with pytest.raises(NotAuthentic):
            await aio.open_bytes(kms, "aio", cut.getvalue())
        return await aio.seal_bytes(kms, "aio", plaintext(length))

    assert files.open_bytes(kms, "aio", run(service, work)) == plaintext(length)


def test_seals_and_opens_over_streams_of_asyncio(service):
    whole = plaintext(5 * CHUNK + 1)

    async def work(kms):
        got = asyncio.get_running_loop().create_future()

        async def serve(reader, writer):
            target = Target()
            await aio.open_stream(kms, "aio", reader, target)
            got.set_result(target.getvalue())
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            await aio.seal_stream(kms, "aio", Source(whole), writer)
            writer.write_eof()
            assert await got == whole
            writer.close()

    run(service, work)


def test_exports_spans_while_the_loop_runs(service, backend):
    provider = TracerProvider(resource=Resource({"service.name": "tests"}), shutdown_on_exit=False)
    asked: list[asyncio.AbstractEventLoop] = []

    async def token() -> str:
        asked.append(asyncio.get_running_loop())
        return "secret"

    async def work(kms):
        turns = 0

        async def count_turns():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count_turns())
        async with aio.SigningExporter(OTLPSpanExporter(backend.url), kms, tenant="aio-otel") as exporter:
            provider.add_span_processor(exporter.batch_processor(max_export_batch_size=50))
            make_spans(provider, 120)
            before = turns
            assert await exporter.force_flush()
            assert turns > before
            assert exporter.stats().delivered == len(backend.names()) == 120
            make_spans(provider, 30)
        counting.cancel()
        assert set(asked) == {asyncio.get_running_loop()}
        provider.shutdown()
        return exporter.stats()

    stats = run(service, work, token=token)
    assert (stats.delivered, stats.lost) == (150, {})
    assert reasons(service, "aio-otel", backend) == {"OK": 150}


def test_says_how_many_spans_an_exporter_leaves(service, backend):
    provider = TracerProvider(shutdown_on_exit=False)

    async def work(kms):
        exporter = aio.SigningExporter(OTLPSpanExporter(backend.url), kms, tenant="aio-otel-left")
        provider.add_span_processor(exporter.batch_processor())
        backend.is_down = True
        make_spans(provider, 3)
        assert not await exporter.force_flush(0.2)
        return await exporter.shutdown(0.2), exporter.stats().lost

    assert run(service, work) == (3, {"shutdown": 3})


def test_names_the_twin_for_the_other_client(service, kms, tmp_path):
    ann = Customer(1, "a")

    async def work(other):
        for call, name in (
            (lambda: records.encrypt_record(other, "a", ann), "encrypt_record"),
            (lambda: records.decrypt_record(other, "a", ann), "decrypt_record"),
            (lambda: files.seal_file(other, "a", "x", "y"), "seal_file"),
            (lambda: files.open_file(other, "a", "x", "y"), "open_file"),
            (lambda: files.seal_bytes(other, "a", b""), "seal_bytes"),
            (lambda: files.open_stream(other, "a", io.BytesIO(), io.BytesIO()), "open_stream"),
            (lambda: signer.SpanSigner(other, "a"), "SpanSigner"),
            (lambda: otel.SigningExporter(OTLPSpanExporter(), other, tenant="a"), "SigningExporter"),
        ):
            with pytest.raises(TypeError, match=rf"there is fluo_kms\.aio\.{name}$"):
                call()
        for call, name in (
            (lambda: aio.encrypt_record(kms, "a", ann), "records.encrypt_record"),
            (lambda: aio.decrypt_record(kms, "a", ann), "records.decrypt_record"),
            (lambda: aio.seal_file(kms, "a", "x", "y"), "files.seal_file"),
            (lambda: aio.open_file(kms, "a", "x", "y"), "files.open_file"),
            (lambda: aio.seal_bytes(kms, "a", b""), "files.seal_bytes"),
            (lambda: aio.open_stream(kms, "a", Source(b""), Target()), "files.open_stream"),
        ):
            with pytest.raises(TypeError, match=rf"there is fluo_kms\.{name}$"):
                await call()
        with pytest.raises(TypeError, match=r"fluo_kms\.signer\.SpanSigner"):
            aio.SpanSigner(kms, "a")
        with pytest.raises(TypeError, match=r"fluo_kms\.otel\.SigningExporter"):
            aio.SigningExporter(OTLPSpanExporter(), kms, tenant="a")

    run(service, work)
