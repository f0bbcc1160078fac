"""A model field of Django for records whose personal data is encrypted.

    class Customer(models.Model):
        contact = EncryptedRecordField(Contact, client=kms, tenant="acme")

        objects = EncryptedRecordQuerySet.as_manager()  # one call for all rows of bulk_create

`Contact` is a dataclass or a model of pydantic, with fields marked by `fluo_kms.records.Pii`. The column is JSON with
tokens in the place of their values; migrations know it as a JSONField. One call of the service encrypts a value with
all its fields, or all values of a bulk. What it cannot: a token is another each time, so that no filter finds a value
and no index is unique; and rows that are loaded are opened by one call each, which blocks; `open_all` of the field
opens many by one. Needs the extra `django`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

try:
    from django.core.exceptions import FieldError
    from django.db import models
except ImportError as missing:  # pragma: no cover
    raise ImportError('the model field needs its extra: pip install "fluo-kms[django]"') from missing

from fluo_kms._columns import ClientSource, RecordColumn, TenantSource, forget

__all__ = ["EncryptedRecordField", "EncryptedRecordQuerySet"]


class EncryptedRecordField(models.JSONField):
    """A field of records; or of None, if `null` says so. Forms have it not, since `editable` is False."""

    def __init__(
        self,
        record_type: type,
        *args: Any,
        client: ClientSource,
        tenant: TenantSource,
        context: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        """Makes a field of `record_type`, whose values `tenant` encrypts with `context`.

        `client` and `tenant` may be functions, which are asked when values are written or read. `context` are
        non-secret pairs, by default the names of table and column: a value opens in no other column. When you rename
        either, give the names of before, or what is stored opens no more. Others are Field's options. Raises TypeError
        for records without marks.
        """
        for name in ("primary_key", "unique", "db_index"):
            if options.get(name):
                raise FieldError(f"an encrypted field cannot be {name}: its tokens are others each time")
        options.setdefault("editable", False)
        super().__init__(*args, **options)
        self._arguments = (record_type, client, tenant, context)
        self._column: RecordColumn[Any] = RecordColumn(record_type, client, tenant)

    def open_all(self, stored: Iterable[Mapping[str, Any]]) -> list[Any]:
        """Returns the records of many rows, with one call for up to 1,000 values of marked fields.

        `stored` are values of the column as `values_list(Cast("contact", JSONField()), flat=True)` gives them, without
        NULL. Raises `fluo_kms.records.RecordError`, which names fields as in `[3].email`, and `grpc.RpcError`.
        """
        return self._column.all_loaded(stored, self._pairs())

    def prepare(self, records: Iterable[Any]) -> None:
        """Encrypts the records that a bulk is about to write. Raises as `get_db_prep_value` does."""
        self._column.prepare(records, self._pairs())

    def deconstruct(self) -> Any:
        """Describes the field to a migration: a JSONField, which needs neither the records nor a client."""
        name, _, args, options = super().deconstruct()
        options.pop("editable", None)
        return name, "django.db.models.JSONField", args, options

    def clone(self) -> EncryptedRecordField:
        """Returns a field with the same records."""
        _, _, args, options = super().deconstruct()
        record_type, client, tenant, context = self._arguments
        return type(self)(record_type, *args, client=client, tenant=tenant, context=context, **options)

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Encrypts a record. Raises `grpc.RpcError` if the service refuses it, and TypeError for another value."""
        if value is None or hasattr(value, "resolve_expression"):
            return value
        return super().get_db_prep_value(self._column.stored(value, self._pairs()), connection, prepared)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Opens a record. Raises `fluo_kms.records.RecordError`, and `grpc.RpcError` if the service refuses all."""
        stored = super().from_db_value(value, expression, connection)
        return None if stored is None else self._column.loaded(stored, self._pairs())

    def validate(self, value: Any, model_instance: Any) -> None:
        """Takes records of the field's type alone."""
        models.Field.validate(self, value, model_instance)

    def value_to_string(self, obj: Any) -> Any:
        """Raises TypeError: a dump of the database with clear text is no dump of this field."""
        raise TypeError(f"{self.name} is encrypted and is not serialised: dump the table itself")

    def get_lookup(self, lookup_name: str) -> Any:
        """Knows `isnull` alone. Raises FieldError: a token is another each time."""
        if lookup_name != "isnull":
            raise FieldError(f"{self.name} is encrypted: no query finds its values, but isnull may be asked")
        return super().get_lookup(lookup_name)

    def get_transform(self, lookup_name: str) -> Any:
        """Knows none. Raises FieldError."""
        raise FieldError(f"{self.name} is encrypted: a query cannot look into it ({lookup_name})")

    def _pairs(self) -> Mapping[str, str]:
        context = self._arguments[-1]
        return {"table": self.model._meta.db_table, "column": self.column} if context is None else context  # noqa: SLF001


class EncryptedRecordQuerySet(models.QuerySet):
    """Encrypts what `bulk_create` and `bulk_update` write with one call a field, for up to 1,000 marked values."""

    def bulk_create(self, objs: Iterable[Any], *args: Any, **options: Any) -> Any:
        """Inserts objects, as QuerySet does."""
        rows = list(objs)
        with _prepared(self.model, rows):
            return super().bulk_create(rows, *args, **options)

    def bulk_update(self, objs: Iterable[Any], fields: Sequence[str], *args: Any, **options: Any) -> Any:
        """Updates objects, as QuerySet does."""
        rows = list(objs)
        with _prepared(self.model, rows, fields):
            return super().bulk_update(rows, fields, *args, **options)


@contextmanager
def _prepared(model: Any, rows: list[Any], names: Sequence[str] | None = None) -> Iterator[None]:
    try:
        for field in model._meta.concrete_fields:  # noqa: SLF001 - Django documents it
            if isinstance(field, EncryptedRecordField) and (names is None or field.name in names):
                records = [getattr(row, field.attname) for row in rows]
                # An expression is the database's.
                field.prepare(each for each in records if each is not None and not hasattr(each, "resolve_expression"))
        yield
    finally:
        forget()
