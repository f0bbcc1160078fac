"""The client of programs with asyncio, and the twins of the helpers for it.

    from fluo_kms.aio import AsyncKmsClient, SpanSigner, encrypt_record

    async with AsyncKmsClient("kms.example.com:9000") as kms, SpanSigner(kms, "acme") as signer:
        stored = await encrypt_record(kms, "acme", customer)
        results = await (await signer.sign([resource_spans]))

Each has the name and the promises of its twin in `fluo_kms.records`, `fluo_kms.files`, `fluo_kms.signer` and
`fluo_kms.otel`, and nothing in it blocks the event loop. Names are loaded when they are used, so that an extra is
needed for its own helpers alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fluo_kms.aio._client import AsyncKmsClient, AsyncTokenFunction
    from fluo_kms.aio._files import open_bytes, open_file, open_stream, seal_bytes, seal_file, seal_stream
    from fluo_kms.aio._otel import SigningExporter
    from fluo_kms.aio._records import decrypt_record, decrypt_records, encrypt_record, encrypt_records
    from fluo_kms.aio._signer import SpanSigner

__all__ = [
    "AsyncKmsClient",
    "AsyncTokenFunction",
    "SigningExporter",
    "SpanSigner",
    "decrypt_record",
    "decrypt_records",
    "encrypt_record",
    "encrypt_records",
    "open_bytes",
    "open_file",
    "open_stream",
    "seal_bytes",
    "seal_file",
    "seal_stream",
]

_NAMES_OF = {
    "_client": ("AsyncKmsClient", "AsyncTokenFunction"),
    "_files": ("open_bytes", "open_file", "open_stream", "seal_bytes", "seal_file", "seal_stream"),
    "_otel": ("SigningExporter",),
    "_records": ("decrypt_record", "decrypt_records", "encrypt_record", "encrypt_records"),
    "_signer": ("SpanSigner",),
}
_MODULE_OF = {name: f"{__name__}.{module}" for module, names in _NAMES_OF.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
