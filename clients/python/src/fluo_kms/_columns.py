"""Records as values of a database's column: objects of JSON, in which marked fields are tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Generic

from fluo_kms._client import KmsClient
from fluo_kms._records import Record, is_model, kinds_of_marked, names_of_settable
from fluo_kms.records import decrypt_record, decrypt_records, encrypt_records

ClientSource = KmsClient | Callable[[], KmsClient]
"""A client, or a function that gives it when it is needed."""
TenantSource = str | Callable[[], str]
"""A tenant, or a function that gives the tenant of the present request."""

_Prepared = dict[tuple[object, ...], tuple[Any, list[Any], dict[str, Any]]]
"""Records that were encrypted together, the values that they had, and their objects. Held records keep their ids."""

_prepared: ContextVar[_Prepared | None] = ContextVar("fluo_kms._columns", default=None)
"""What is prepared in this thread or task: another one may have the same record, and another tenant."""


def forget() -> None:
    """Drops what `RecordColumn.prepare` made in this thread or task."""
    _prepared.set(None)


class RecordColumn(Generic[Record]):
    """Encrypts and opens the values of columns. `context` is that of the column."""

    def __init__(self, record_type: type[Record], client: ClientSource, tenant: TenantSource) -> None:
        """Raises TypeError for records without marks, which would be stored in clear text."""
        kinds = kinds_of_marked(record_type)
        self._record_type = record_type
        self._names = names_of_settable(record_type)
        self._bytes_fields = {name for name, kind in kinds.items() if kind is bytes}
        self._client = client
        self._tenant = tenant

    def prepare(self, records: Iterable[Any], context: Mapping[str, str]) -> None:
        """Encrypts records with as few calls as possible, until `forget`. Raises TypeError for other records."""
        tenant = self._tenant_now()
        kept = {self._key(record, tenant, context): self._checked(record) for record in records}
        encrypted = encrypt_records(self._now(), tenant, list(kept.values()), context)
        made: _Prepared = {
            key: (record, self._values(record), self._object(stored))
            for (key, record), stored in zip(kept.items(), encrypted, strict=True)
        }
        _prepared.set((_prepared.get() or {}) | made)

    def stored(self, record: Any, context: Mapping[str, str]) -> dict[str, Any]:
        """Returns the object of a record, by a call of its own unless it is prepared. Raises TypeError as `prepare`."""
        self._checked(record)
        tenant = self._tenant_now()
        _, values, stored = (_prepared.get() or {}).get(self._key(record, tenant, context), (None, None, {}))
        if values == self._values(record):
            return stored
        return self._object(encrypt_records(self._now(), tenant, [record], context)[0])

    def loaded(self, stored: Mapping[str, Any], context: Mapping[str, str]) -> Record:
        """Returns the record of an object, by a call of its own. Raises RecordError."""
        return decrypt_record(self._now(), self._tenant_now(), self._record(stored), context)

    def all_loaded(self, stored: Iterable[Mapping[str, Any]], context: Mapping[str, str]) -> list[Record]:
        """Returns the records of objects, with one call for up to 1,000 marked values. Raises RecordError."""
        records = [self._record(each) for each in stored]
        return decrypt_records(self._now(), self._tenant_now(), records, context)

    def _key(self, record: Record, tenant: str, context: Mapping[str, str]) -> tuple[object, ...]:
        return id(self), tenant, tuple(sorted(context.items())), id(record)

    def _checked(self, record: Any) -> Record:
        if not isinstance(record, self._record_type):
            raise TypeError(f"the column holds records of {self._record_type.__name__}, not of {type(record).__name__}")
        return record

    def _values(self, record: Any) -> list[Any]:
        return [getattr(record, name) for name in self._names]

    def _record(self, stored: Mapping[str, Any]) -> Record:
        """The encrypted record of an object."""
        values = {
            name: value.encode("ascii") if name in self._bytes_fields and isinstance(value, str) else value
            for name, value in stored.items()
        }
        # A model validates what was opened when it was made; a token has not that form.
        make: Callable[..., Record] = self._record_type
        if is_model(self._record_type):
            make = getattr(self._record_type, "model_construct")  # noqa: B009 - of no type that is known here
        return make(**values)

    def _object(self, encrypted: Any) -> dict[str, Any]:
        made = {
            name: value.decode("ascii") if name in self._bytes_fields and value is not None else value
            for name, value in zip(self._names, self._values(encrypted), strict=True)
        }
        json.dumps(made)  # raises TypeError here, before anything is written
        return made

    def _now(self) -> KmsClient:
        return self._client() if callable(self._client) else self._client

    def _tenant_now(self) -> str:
        return self._tenant() if callable(self._tenant) else self._tenant
