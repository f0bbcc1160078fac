"""Refusals of the service by their reasons, and how a call ends with one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as PackedMessage
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

_DOMAIN = "kms.fluo.dev"


@dataclass(frozen=True)
class RefusalForm:
    """How the service refuses for a reason."""

    code: int
    """A gRPC status."""
    retry_ms: int | None = None
    """The delay of RetryInfo; None if trying again is no use."""

    @property
    def pushback(self) -> str | None:
        """The trailer `grpc-retry-pushback-ms`, which RESOURCE_EXHAUSTED alone has."""
        if self.code != grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]:
            return None
        return "-1" if self.retry_ms is None else str(self.retry_ms)


FORMS = {
    "INVALID_ARGUMENT": RefusalForm(3),
    "CIPHERTEXT_REJECTED": RefusalForm(3),
    "UNAUTHENTICATED": RefusalForm(16),
    "CREDENTIAL_EXPIRED": RefusalForm(16),
    "PERMISSION_DENIED": RefusalForm(7),
    "NOT_FOUND": RefusalForm(5),
    "KEY_UNUSABLE": RefusalForm(9),
    "PROVIDER_DENIED": RefusalForm(9),
    "CLOCKS_DISAGREE": RefusalForm(9),
    "CONFLICT": RefusalForm(10),
    "LEASE_LOST": RefusalForm(10),
    "REQUEST_ID_REUSED": RefusalForm(6),
    "MESSAGE_TOO_LARGE": RefusalForm(8),
    "OVERLOADED": RefusalForm(8, 500),
    "RATE_LIMITED": RefusalForm(8, 1000),
    "ISSUER_UNAVAILABLE": RefusalForm(14, 5000),
    "PROVIDER_UNAVAILABLE": RefusalForm(14, 1000),
    "STORE_UNAVAILABLE": RefusalForm(14, 1000),
    "AUDIT_UNAVAILABLE": RefusalForm(14, 1000),
    "DRAINING": RefusalForm(14, 100),
    "IDLE": RefusalForm(14, 100),
    "DEADLINE_EXCEEDED": RefusalForm(4),
    "CANCELLED": RefusalForm(1),
    "DATA_LOSS": RefusalForm(15),
    "ROLLBACK_SUSPECTED": RefusalForm(15),
    "HEADS_MISSING": RefusalForm(15),
    "UNIMPLEMENTED": RefusalForm(12),
    "INTERNAL": RefusalForm(13),
}


class Refused(Exception):
    """A call that is refused, or a field of it."""

    def __init__(self, reason: str, message: str, violations: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.violations = violations
        """Fields of the request that are wrong, and what is wrong with each."""

    @property
    def code(self) -> int:
        """The gRPC status."""
        return FORMS[self.reason].code


def invalid(*violations: tuple[str, str]) -> Refused:
    """The refusal of a request whose fields are wrong."""
    field, description = violations[0]
    return Refused("INVALID_ARGUMENT", f"{field}: {description}", violations)


def rejected() -> Refused:
    """The refusal of every ciphertext that does not open."""
    return Refused("CIPHERTEXT_REJECTED", "ciphertext rejected")


class GrpcStatus(grpc.Status):
    """The status of a refused call, with its details and trailers."""

    def __init__(self, refused: Refused) -> None:
        form = FORMS[refused.reason]
        details: list[Any] = [ErrorInfo(reason=refused.reason, domain=_DOMAIN)]
        if refused.violations:
            details.append(BadRequest())
            for field, description in refused.violations:
                details[-1].field_violations.add(field=field, description=description)
        if form.retry_ms is not None:
            details.append(RetryInfo())
            details[-1].retry_delay.FromTimedelta(timedelta(milliseconds=form.retry_ms))
        status = Status(code=form.code, message=refused.message)
        for detail in details:
            packed = PackedMessage()
            packed.Pack(detail)
            status.details.append(packed)
        self.code = next(code for code in grpc.StatusCode if code.value[0] == form.code)
        self.details = refused.message
        pushback = () if form.pushback is None else (("grpc-retry-pushback-ms", form.pushback),)
        self.trailing_metadata = (("grpc-status-details-bin", status.SerializeToString()), *pushback)
