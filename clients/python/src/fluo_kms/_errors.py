"""What the service says of a refusal, beside the status of gRPC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status


@dataclass(frozen=True)
class FieldViolation:
    """What is wrong with a field of the request."""

    field: str
    """Path, as in `fields[3].name`."""
    description: str
    """What is wrong and what to do, without the value."""


@dataclass(frozen=True)
class ErrorDetails:
    """Details of an error; all empty if it has none."""

    reason: str = ""
    """A stable word, such as `INVALID_ARGUMENT` or `RATE_LIMITED` (google.rpc.ErrorInfo)."""
    fields: tuple[FieldViolation, ...] = ()
    """Which fields of the request are wrong (google.rpc.BadRequest)."""
    retry_after: timedelta | None = None
    """How long to wait before another try; None if nothing is said (google.rpc.RetryInfo)."""


def details_of(error: BaseException) -> ErrorDetails:
    """Returns the details of what a call raised, `grpc.RpcError` or `grpc.aio.AioRpcError`. Never raises.

    An error of anything else, or whose details cannot be read, has none.
    """
    try:
        return _details(error)
    except Exception:
        return ErrorDetails()


def code_name(number: int) -> str:
    """Returns the name of a gRPC status by its number, as item errors have it."""
    return next((code.name for code in grpc.StatusCode if code.value[0] == number), str(number))


def _details(error: Any) -> ErrorDetails:
    status = rpc_status.from_call(error)
    packed = [] if status is None else status.details
    info, bad, retry = (_unpacked(packed, kind()) for kind in (ErrorInfo, BadRequest, RetryInfo))
    violations = [FieldViolation(each.field, each.description) for each in bad.field_violations] if bad else []
    return ErrorDetails(
        reason=info.reason if info else "",
        fields=tuple(violations),
        retry_after=retry.retry_delay.ToTimedelta() if retry and retry.HasField("retry_delay") else None,
    )


def _unpacked(packed: Any, message: Message) -> Any:
    """The first detail of the message's type; None if there is none."""
    return next((message for each in packed if each.Unpack(message)), None)
