"""Encrypts the marked fields of dataclasses, one call a record.

    @dataclass
    class Customer:
        id: str
        email: Annotated[str, Pii("email")]
        note: Annotated[bytes | None, Pii("note")] = None

    stored = encrypt_record(kms, "acme", Customer("17", "ann@example.com"))
    customer = decrypt_record(kms, "acme", stored)

A marked field is `str` or `bytes`, or one of them or None. In the encrypted record it holds the token: as text, or as
its ASCII bytes. None stays None; an empty value is encrypted. Fields without a mark are left as they are.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from fluo.kms.v1.pii_pb2 import DecryptPiiRequest, EncryptedField, EncryptPiiRequest, PlainField
from fluo_kms._client import KmsClient
from fluo_kms._errors import code_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)
else:
    Record = TypeVar("Record")

__all__ = ["Pii", "RecordError", "decrypt_record", "encrypt_record"]


@dataclasses.dataclass(frozen=True)
class Pii:
    """Marks a field of a dataclass as personal data: `Annotated[str, Pii("email")]`."""

    name: str
    """Name under which the value is encrypted, 1 to 256 bytes; its token opens under no other."""


class RecordError(Exception):
    """A record of which fields could not be opened."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(", ".join(f"{name}: {code}" for name, code in fields.items()))
        self.fields = fields
        """The gRPC status of each field that was refused, such as `INVALID_ARGUMENT`, by its name in the record."""


def encrypt_record(client: KmsClient, tenant: str, record: Record, context: Mapping[str, str] | None = None) -> Record:
    """Returns the record with tokens in the place of its marked values.

    `context` are non-secret pairs that `decrypt_record` must be given again. Raises TypeError for a mark on a field of
    another type, and for a value of another type; ValueError for text that is no Unicode; and `grpc.RpcError` if the
    service refuses the whole.
    """
    values = _marked_values(record)
    if not values:
        return dataclasses.replace(record)
    request = EncryptPiiRequest(
        tenant_id=tenant,
        fields=[PlainField(name=mark.name, value=_octets(name, value)) for name, (mark, value) in values.items()],
        encryption_context=dict(context or {}),
    )
    tokens = [field.token for field in client.service.EncryptPii(request).fields]
    changed = {
        name: token if isinstance(value, str) else token.encode("ascii")
        for (name, (_, value)), token in zip(values.items(), tokens, strict=True)
    }
    return dataclasses.replace(record, **changed)


def decrypt_record(client: KmsClient, tenant: str, record: Record, context: Mapping[str, str] | None = None) -> Record:
    """Returns the record that was encrypted. Raises RecordError, which names every field that cannot be opened.

    Raises TypeError and `grpc.RpcError` as `encrypt_record` does.
    """
    values = _marked_values(record)
    if not values:
        return dataclasses.replace(record)
    request = DecryptPiiRequest(
        tenant_id=tenant,
        fields=[EncryptedField(name=mark.name, token=_token(value)) for mark, value in values.values()],
        encryption_context=dict(context or {}),
    )
    changed: dict[str, str | bytes] = {}
    refused: dict[str, str] = {}
    answers = client.service.DecryptPii(request).fields
    for (name, (_, token)), answer in zip(values.items(), answers, strict=True):
        if answer.HasField("error"):
            refused[name] = code_name(answer.error.code)
            continue
        try:
            changed[name] = answer.value.decode("utf-8") if isinstance(token, str) else answer.value
        except UnicodeDecodeError:
            refused[name] = "DATA_LOSS"  # bytes that were encrypted, and cannot become a text
    if refused:
        raise RecordError(refused)
    return dataclasses.replace(record, **changed)


def _marked_values(record: Any) -> dict[str, tuple[Pii, str | bytes]]:
    """Mark and value of each field that has both."""
    if not dataclasses.is_dataclass(record) or isinstance(record, type):
        raise TypeError("a record is an instance of a dataclass")
    values: dict[str, tuple[Pii, str | bytes]] = {}
    for name, (mark, kind) in _marks(type(record)).items():
        value = getattr(record, name)
        if value is None:
            continue
        if not isinstance(value, kind):
            raise TypeError(f"{name} is marked as personal data and must be {kind.__name__} or None")
        values[name] = mark, value
    return values


@lru_cache(maxsize=1024)
def _marks(record_type: type) -> dict[str, tuple[Pii, type[str] | type[bytes]]]:
    hints = get_type_hints(record_type, include_extras=True)
    marks = {}
    for field in dataclasses.fields(record_type):
        hint = hints[field.name]
        mark = next((each for each in _annotations(hint) if isinstance(each, Pii)), None)
        if mark is None:
            continue
        if not field.init:
            raise TypeError(f"{field.name} is marked as personal data and must be a field of __init__")
        marks[field.name] = mark, _kind(hint, field.name)
    return marks


def _annotations(hint: Any) -> tuple[Any, ...]:
    """What `Annotated` says of a type, or of the type that is not None in a union with it."""
    if get_origin(hint) is Annotated:
        return (*hint.__metadata__, *_annotations(get_args(hint)[0]))
    if get_origin(hint) in (Union, types.UnionType, list, tuple, dict, set, frozenset):
        return tuple(each for part in get_args(hint) for each in _annotations(part))
    return ()


def _kind(hint: Any, name: str) -> type[str] | type[bytes]:
    """The one type that a marked field may have beside None."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    kinds = [get_args(part)[0] if get_origin(part) is Annotated else part for part in parts if part is not type(None)]
    if len(kinds) != 1 or kinds[0] not in (str, bytes):
        raise TypeError(f"{name} is marked as personal data and must be str or bytes, or one of them or None")
    kind: type[str] | type[bytes] = kinds[0]
    return kind


def _octets(name: str, value: str | bytes) -> bytes:
    try:
        return value.encode("utf-8") if isinstance(value, str) else value
    except UnicodeEncodeError:
        # The error itself would hold the value.
        raise ValueError(f"{name} has half of a surrogate pair and cannot be encrypted as text") from None


def _token(value: str | bytes) -> str:
    # What is no ASCII is no token, which the service then says.
    return value if isinstance(value, str) else value.decode("ascii", "replace")
