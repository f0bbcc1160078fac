"""Client of fluo-kms, the key service that signs spans, encrypts personal data and hands out data keys.

    from fluo.kms.v1.pii_pb2 import EncryptPiiRequest, PlainField
    from fluo_kms import KmsClient

    with KmsClient("kms.example.com:9000", token=read_token) as kms:
        answer = kms.service.EncryptPii(
            EncryptPiiRequest(tenant_id="acme", fields=[PlainField(name="email", value=b"ann@example.com")])
        )

`fluo_kms.records` encrypts dataclasses, `fluo_kms.files` seals files, `fluo_kms.signer` signs spans by the batch,
`fluo_kms.otel` signs what OpenTelemetry exports, and `fluo_kms.verify` verifies it offline. Names of this package are
loaded when they are used, so that the verifier works without gRPC.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fluo_kms._client import KmsClient
    from fluo_kms._errors import ErrorDetails, FieldViolation, details_of
    from fluo_kms.aio._client import AsyncKmsClient

__all__ = ["AsyncKmsClient", "ErrorDetails", "FieldViolation", "KmsClient", "details_of"]

_MODULE_OF = {
    "AsyncKmsClient": "fluo_kms.aio._client",
    "ErrorDetails": "fluo_kms._errors",
    "FieldViolation": "fluo_kms._errors",
    "KmsClient": "fluo_kms._client",
    "details_of": "fluo_kms._errors",
}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
