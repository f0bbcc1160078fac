"""A column type of SQLAlchemy for records whose personal data is encrypted.

    class Customer(Base):
        __tablename__ = "customers"
        id: Mapped[int] = mapped_column(primary_key=True)
        contact: Mapped[Contact] = mapped_column(EncryptedRecord(Contact, kms, "acme"))

    encrypt_at_flush(Session)  # one call for all rows of a flush

`Contact` is a dataclass or a model of pydantic, with fields marked by `fluo_kms.records.Pii`. The column is JSON with
tokens in the place of their values: one call of the service encrypts a value with all its fields, or all values of a
flush. What it cannot: a token is another each time, so that no query finds a value, no index is unique, and rows that
are loaded are opened by one call each, which blocks; `EncryptedRecord.open_all` opens many by one. Needs the extra
`sqlalchemy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

try:
    from sqlalchemy import JSON, Column, Dialect, Null, event, inspect
    from sqlalchemy.exc import ArgumentError, DontWrapMixin, InvalidRequestError
    from sqlalchemy.orm import Session, sessionmaker
    from sqlalchemy.sql import operators
    from sqlalchemy.types import TypeDecorator
except ImportError as missing:  # pragma: no cover
    raise ImportError('the column type needs its extra: pip install "fluo-kms[sqlalchemy]"') from missing

from fluo_kms._columns import ClientSource, RecordColumn, TenantSource, forget

__all__ = ["EncryptedRecord", "EncryptionFailed", "encrypt_at_flush"]

_NULL_TESTS = (operators.is_, operators.is_not, operators.eq, operators.ne)


class EncryptionFailed(DontWrapMixin, Exception):
    """Records were not encrypted, and not written.

    SQLAlchemy would put another exception into one that shows the statement's parameters: the records in clear text.
    """

    def __init__(self, orig: Exception) -> None:
        # What other exceptions say may have values in it.
        super().__init__(f"not encrypted: {orig if isinstance(orig, TypeError) else type(orig).__name__}")
        self.orig = orig
        """Why, such as a `grpc.RpcError`. SQLAlchemy overwrites `__cause__`."""


class EncryptedRecord(TypeDecorator[Any]):
    """A column of records. A record counts as changed when another is assigned, so frozen ones are the best.

    Queries compare the column with None alone. `type_coerce(Customer.contact, JSON)` is what is stored: tokens, and in
    clear the fields without a mark.
    """

    impl = JSON
    cache_ok = True

    class comparator_factory(TypeDecorator.Comparator[Any]):  # noqa: N801 - SQLAlchemy's name
        """Knows comparisons with None alone."""

        def operate(self, op: operators.OperatorType, *other: Any, **kwargs: Any) -> Any:
            """Raises InvalidRequestError for what finds nothing: a token is another each time."""
            if op not in _NULL_TESTS or not all(each is None or isinstance(each, Null) for each in other):
                raise InvalidRequestError("an encrypted record is compared with None alone: no query finds its values")
            return super().operate(op, *other, **kwargs)

        def reverse_operate(self, op: operators.OperatorType, other: Any, **kwargs: Any) -> Any:
            """Raises as `operate` does."""
            return self.operate(op, other, **kwargs)

    def __init__(
        self,
        record_type: type,
        client: ClientSource,
        tenant: TenantSource,
        context: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
    ) -> None:
        """Makes a column of `record_type`, whose values `tenant` encrypts with `context`.

        `client` and `tenant` may be functions, which are asked when values are written or read. `context` are
        non-secret pairs, by default the names of the table, without its schema, and of the column: a value opens in no
        other column. When you rename either, give the names of before, or what is stored opens no more. Raises
        TypeError for records without marks.
        """
        super().__init__(none_as_null=True)
        # SQLAlchemy copies a type by these attributes, and tells statements apart by those named as parameters.
        self.record_type = record_type
        self.client = client
        self.tenant = tenant
        self.context: tuple[tuple[str, str], ...] | _Names = (
            _Names(None) if context is None else tuple(sorted(dict(context).items()))
        )
        self._column: RecordColumn[Any] = RecordColumn(record_type, client, tenant)

    def open_all(self, stored: Iterable[Mapping[str, Any]]) -> list[Any]:
        """Returns the records of many rows, with one call for up to 1,000 values of marked fields.

        `stored` are values of the column as `type_coerce(Customer.contact, JSON)` selects them, without NULL. Raises
        `fluo_kms.records.RecordError`, which names fields as in `[3].email`, and `grpc.RpcError`.
        """
        return self._column.all_loaded(stored, self._pairs())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Encrypts a record. Raises EncryptionFailed."""
        if value is None:
            return None
        try:
            return self._column.stored(value, self._pairs())
        except Exception as error:
            raise EncryptionFailed(error) from error

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Opens a record. Raises `fluo_kms.records.RecordError`, and `grpc.RpcError` if the service refuses all."""
        return None if value is None else self._column.loaded(value, self._pairs())

    def prepare(self, records: Iterable[Any]) -> None:
        """Encrypts the records that a flush is about to write. Raises EncryptionFailed."""
        try:
            self._column.prepare(records, self._pairs())
        except Exception as error:
            raise EncryptionFailed(error) from error

    def _pairs(self) -> Mapping[str, str]:
        return self.context.pairs() if isinstance(self.context, _Names) else dict(self.context)


class _Names:
    """The names of a column and of its table, which they have not yet when the type is made."""

    def __init__(self, column: Column[Any] | None) -> None:
        self.column = column

    def pairs(self) -> Mapping[str, str]:
        table = None if self.column is None else self.column.table
        if self.column is None or table is None:
            raise InvalidRequestError("an EncryptedRecord without a column of a table needs a context")
        return {"table": str(getattr(table, "name")), "column": self.column.name}  # noqa: B009 - of Table


@event.listens_for(EncryptedRecord, "after_parent_attach", propagate=True)
def _attached(kind: EncryptedRecord, column: Column[Any]) -> None:
    if not isinstance(kind.context, _Names):
        return
    other = kind.context.column
    if other is not None and other is not column and other.type is kind:
        raise ArgumentError("each column needs an EncryptedRecord of its own, or one with a context")
    kind.context = _Names(column)


def encrypt_at_flush(sessions: type[Session] | Session | sessionmaker[Any]) -> None:
    """Has sessions encrypt all that a flush writes with one call a column, for up to 1,000 values of marked fields.

    A flush raises EncryptionFailed before it writes. What `session.execute(insert(…))` writes is encrypted row by row.
    """
    event.listen(sessions, "before_flush", _prepare)
    event.listen(sessions, "after_flush", _forget)
    event.listen(sessions, "after_soft_rollback", _forget)


def _prepare(session: Session, *_: Any) -> None:
    forget()
    by_column: dict[int, tuple[EncryptedRecord, list[Any]]] = {}
    for instance in (*session.new, *session.dirty):
        state = inspect(instance)
        for attribute in state.mapper.column_attrs:
            kind = attribute.columns[0].type
            if not isinstance(kind, EncryptedRecord):
                continue
            history = state.attrs[attribute.key].history
            records = [record for record in history.added or () if record is not None]
            by_column.setdefault(id(kind), (kind, []))[1].extend(records)
    try:
        for kind, records in by_column.values():
            kind.prepare(records)
    except EncryptionFailed:
        forget()
        raise


def _forget(*_: Any) -> None:
    forget()
