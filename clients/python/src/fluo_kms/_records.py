"""Records as calls of the service: the requests for many, and what becomes of the records by the responses."""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from fluo.kms.v1.pii_pb2 import (
    DecryptPiiRequest,
    DecryptPiiResponse,
    EncryptedField,
    EncryptPiiRequest,
    EncryptPiiResponse,
    PlainField,
)
from fluo_kms._errors import code_name

if TYPE_CHECKING:
    from typing import Protocol

    from _typeshed import DataclassInstance

    class PydanticModel(Protocol):
        """A model of pydantic 2."""

        def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> PydanticModel: ...

    Record = TypeVar("Record", bound=DataclassInstance | PydanticModel)
else:
    Record = TypeVar("Record")

_MAX_FIELDS = 1_000
_MAX_BYTES = 2 * 1024 * 1024
"""Of values in a request: their tokens then fit into a response of 4 MiB."""


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


@dataclasses.dataclass(frozen=True)
class _Value:
    """A value of a marked field, or its token."""

    record: int
    name: str
    mark: Pii
    value: str | bytes


class Encryption(Generic[Record]):
    """The calls of EncryptPii for records, one for all that fits into it."""

    def __init__(self, tenant: str, records: Sequence[Record], context: Mapping[str, str] | None) -> None:
        self._records = records
        self._parts = list(_parts(records, lambda value: len(_octets(value))))
        self.requests = [
            EncryptPiiRequest(
                tenant_id=tenant,
                fields=[PlainField(name=each.mark.name, value=_octets(each)) for each in part],
                encryption_context=dict(context or {}),
            )
            for part in self._parts
        ]

    def results(self, responses: Iterable[EncryptPiiResponse]) -> list[Record]:
        """Returns the records with tokens in the place of their values."""
        changed: list[dict[str, str | bytes]] = [{} for _ in self._records]
        for part, response in zip(self._parts, responses, strict=True):
            for each, field in zip(part, response.fields, strict=True):
                is_text = isinstance(each.value, str)
                changed[each.record][each.name] = field.token if is_text else field.token.encode("ascii")
        return [_copy(record, values) for record, values in zip(self._records, changed, strict=True)]


class Decryption(Generic[Record]):
    """The calls of DecryptPii for records, one for all that fits into it."""

    def __init__(
        self,
        tenant: str,
        records: Sequence[Record],
        context: Mapping[str, str] | None,
        path: Callable[[int, str], str] = lambda record, name: f"[{record}].{name}",
    ) -> None:
        self._records = records
        self._path = path
        self._parts = list(_parts(records, lambda each: len(each.value)))
        self.requests = [
            DecryptPiiRequest(
                tenant_id=tenant,
                fields=[EncryptedField(name=each.mark.name, token=_token(each.value)) for each in part],
                encryption_context=dict(context or {}),
            )
            for part in self._parts
        ]

    def results(self, responses: Iterable[DecryptPiiResponse]) -> list[Record]:
        """Returns the records that were encrypted. Raises RecordError."""
        changed: list[dict[str, str | bytes]] = [{} for _ in self._records]
        refused: dict[str, str] = {}
        for part, response in zip(self._parts, responses, strict=True):
            for each, answer in zip(part, response.fields, strict=True):
                if answer.HasField("error"):
                    refused[self._path(each.record, each.name)] = code_name(answer.error.code)
                    continue
                try:
                    value = answer.value.decode("utf-8") if isinstance(each.value, str) else answer.value
                except UnicodeDecodeError:
                    # Bytes that were encrypted, and cannot become a text.
                    refused[self._path(each.record, each.name)] = "DATA_LOSS"
                else:
                    changed[each.record][each.name] = value
        if refused:
            raise RecordError(refused)
        return [_copy(record, values) for record, values in zip(self._records, changed, strict=True)]


def _parts(records: Sequence[Any], size_of: Callable[[_Value], int]) -> Iterator[list[_Value]]:
    """The values of records in their order, as many together as a call takes."""
    part: list[_Value] = []
    size = 0
    for index, record in enumerate(records):
        for name, (mark, value) in _marked_values(record).items():
            each = _Value(index, name, mark, value)
            length = size_of(each)
            if part and (len(part) >= _MAX_FIELDS or size + length > _MAX_BYTES):
                yield part
                part, size = [], 0
            part.append(each)
            size += length
    if part:
        yield part


def _marked_values(record: Any) -> dict[str, tuple[Pii, str | bytes]]:
    """Mark and value of each field that has both."""
    if isinstance(record, type) or not (dataclasses.is_dataclass(record) or is_model(type(record))):
        raise TypeError("a record is an instance of a dataclass or of a pydantic model")
    values: dict[str, tuple[Pii, str | bytes]] = {}
    record_type: type = type(record)
    for name, (mark, kind) in _marks(record_type).items():
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
    for name, is_settable in _fields(record_type).items():
        hint = hints[name]
        annotations = _annotations(hint)
        if Pii in annotations:
            raise TypeError(f'{name} is marked without a name: write Pii("{name}")')
        mark = next((each for each in annotations if isinstance(each, Pii)), None)
        if mark is None:
            continue
        if not is_settable:
            raise TypeError(f"{name} is marked as personal data and must be a field of __init__")
        marks[name] = mark, _kind(hint, name)
    if not marks:
        raise TypeError(f"{record_type.__name__} marks no field as personal data")
    return marks


def _fields(record_type: Any) -> dict[str, bool]:
    """Names of fields, and whether a copy may have other values of them."""
    if is_model(record_type):
        return dict.fromkeys(record_type.model_fields, True)
    return {field.name: field.init for field in dataclasses.fields(record_type)}


def kinds_of_marked(record_type: type) -> dict[str, type[str] | type[bytes]]:
    """Returns the names of marked fields, and what each holds. Raises TypeError if a record marks none."""
    return {name: kind for name, (_, kind) in _marks(record_type).items()}


def names_of_settable(record_type: type) -> list[str]:
    """Returns the names of the fields that a record is made of."""
    return [name for name, is_settable in _fields(record_type).items() if is_settable]


def is_model(record_type: type) -> bool:
    """Whether a class is a model of pydantic 2, which is loaded if there is one."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(record_type, pydantic.BaseModel) and hasattr(record_type, "model_fields")


def _copy(record: Record, changed: Mapping[str, str | bytes]) -> Record:
    """The record with other values. A model does not validate them: a token has the form of no e-mail address."""
    if is_model(type(record)):
        model: Any = record
        copied: Record = model.model_copy(update=dict(changed))
        return copied
    return dataclasses.replace(record, **changed)  # type: ignore[type-var]


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


def _octets(each: _Value) -> bytes:
    value = each.value
    try:
        return value.encode("utf-8") if isinstance(value, str) else value
    except UnicodeEncodeError:
        # The error itself would hold the value.
        raise ValueError(f"{each.name} has half of a surrogate pair and cannot be encrypted as text") from None


def _token(value: str | bytes) -> str:
    # What is no ASCII is no token, which the service then says.
    return value if isinstance(value, str) else value.decode("ascii", "replace")
