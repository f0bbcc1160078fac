"""What becomes of spans and batches that are signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fluo.kms.v1.signing_pb2 import SpanResult as SpanResultMessage
from fluo_kms._errors import ErrorDetails, code_name


@dataclass(frozen=True)
class SignedSpan:
    """A span that was signed.

    Its attributes go on the span as they are. On a protobuf message:

        for key, value in signed.attributes.items():
            span.attributes.add(key=key).value.string_value = value
    """

    attributes: Mapping[str, str]
    """The `audit.integrity` attributes."""
    leaf_index: int | None
    """Index of the span's entry in the tenant's log; None in mode INDIVIDUAL."""


@dataclass(frozen=True)
class RefusedSpan:
    """A span that the service refuses, now and for ever. The others of its batch are signed."""

    code: str
    """A gRPC status, such as `INVALID_ARGUMENT`."""
    field: str
    """Path of the field that is wrong; empty if no field is."""
    message: str
    """What is wrong, without the content of the span."""


SpanResult = SignedSpan | RefusedSpan


class SigningError(Exception):
    """Spans that were not signed, and why."""

    def __init__(self, code: str, message: str, details: ErrorDetails | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        """A gRPC status: what the service answered, or the nearest to what happened here."""
        self.details = details or ErrorDetails()
        """What the service says beside the status."""


def result_of(message: SpanResultMessage) -> SpanResult:
    """The result of one span. Raises SigningError if a service does not know `with_attributes`."""
    if message.HasField("error"):
        error = message.error
        return RefusedSpan(code_name(error.code), error.field, error.message)
    signed = message.signed
    if not signed.attributes:
        raise SigningError(
            "FAILED_PRECONDITION",
            "the service signs, but gives no attributes: it is older than this client and does not know "
            "with_attributes; update it",
        )
    attributes = {attribute.key: attribute.value.string_value for attribute in signed.attributes}
    return SignedSpan(attributes, signed.leaf_index if signed.HasField("leaf_index") else None)
