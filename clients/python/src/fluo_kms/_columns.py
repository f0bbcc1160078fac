"""Records as values of a database's column: objects of JSON, in which marked fields are tokens."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic

from fluo_kms._client import KmsClient
from fluo_kms._records import Record, bytes_fields, is_model
from fluo_kms.records import decrypt_record, encrypt_records

ClientSource = KmsClient | Callable[[], KmsClient]
"""A client, or a function that gives it when it is needed."""
TenantSource = str | Callable[[], str]
"""A tenant, or a function that gives the tenant of the present request."""


class RecordColumn(Generic[Record]):
    """Encrypts and opens the values of a column."""

    def __init__(
        self,
        record_type: type[Record],
        client: ClientSource,
        tenant: TenantSource,
        context: Mapping[str, str] | None,
    ) -> None:
        self.record_type = record_type
        self._bytes_fields = bytes_fields(record_type)
        self._client = client
        self._tenant = tenant
        self._context = dict(context or {})
        self._ready: dict[int, tuple[Record, dict[str, Any]]] = {}
        """Values that were encrypted together, by the ids of their records, which are held so that ids stay theirs."""

    def prepare(self, records: Iterable[Record]) -> None:
        """Encrypts records with as few calls as possible, until `forget`."""
        kept = [record for record in records if isinstance(record, self.record_type) and id(record) not in self._ready]
        for record, encrypted in zip(kept, self._encrypted(kept), strict=True):
            self._ready[id(record)] = record, self._object(encrypted)

    def forget(self, records: Iterable[Record]) -> None:
        """Drops what `prepare` made."""
        for record in records:
            self._ready.pop(id(record), None)

    def stored(self, record: Record) -> dict[str, Any]:
        """Returns the object of a record, by a call of its own unless it is prepared. Raises TypeError for another."""
        if not isinstance(record, self.record_type):
            raise TypeError(f"the column holds records of {self.record_type.__name__}")
        if id(record) in self._ready:
            return self._ready[id(record)][1]
        return self._object(self._encrypted([record])[0])

    def loaded(self, stored: Mapping[str, Any]) -> Record:
        """Returns the record of an object, by a call of its own. Raises RecordError."""
        values = {
            name: value.encode("ascii") if name in self._bytes_fields and isinstance(value, str) else value
            for name, value in stored.items()
        }
        # A model validates what was opened when it was made; a token has not that form.
        make: Callable[..., Record] = self.record_type
        if is_model(self.record_type):
            make = getattr(self.record_type, "model_construct")  # noqa: B009 - of no type that is known here
        return decrypt_record(self._now(), self._tenant_now(), make(**values), self._context)

    def _encrypted(self, records: list[Record]) -> list[Record]:
        return encrypt_records(self._now(), self._tenant_now(), records, self._context) if records else []

    def _object(self, encrypted: Any) -> dict[str, Any]:
        if is_model(type(encrypted)):
            names = type(encrypted).model_fields
        else:
            names = [field.name for field in dataclasses.fields(encrypted)]
        values = {name: getattr(encrypted, name) for name in names}
        made = {
            name: v.decode("ascii") if name in self._bytes_fields and v is not None else v for name, v in values.items()
        }
        json.dumps(made)  # raises TypeError here, before anything is written
        return made

    def _now(self) -> KmsClient:
        return self._client if isinstance(self._client, KmsClient) else self._client()

    def _tenant_now(self) -> str:
        return self._tenant if isinstance(self._tenant, str) else self._tenant()
