"""A column type of SQLAlchemy for records whose personal data is encrypted.

    class Customer(Base):
        __tablename__ = "customers"
        id: Mapped[int] = mapped_column(primary_key=True)
        contact: Mapped[Contact] = mapped_column(EncryptedRecord(Contact, kms, "acme", {"table": "customers"}))

    encrypt_at_flush(Session)  # one call for all rows of a flush

`Contact` is a dataclass or a model of pydantic, with fields marked by `fluo_kms.records.Pii`. The column is JSON with
tokens in the place of their values: one call of the service encrypts a value with all its fields, or all values of a
flush. What it cannot: a token is another each time, so that no query finds a value, no index is unique, and rows that
are loaded are opened by one call each, which blocks. Needs the extra `sqlalchemy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

try:
    from sqlalchemy import JSON, Dialect, event, inspect
    from sqlalchemy.orm import Session, sessionmaker
    from sqlalchemy.types import TypeDecorator
except ImportError as missing:  # pragma: no cover
    raise ImportError('the column type needs its extra: pip install "fluo-kms[sqlalchemy]"') from missing

from fluo_kms._columns import ClientSource, RecordColumn, TenantSource

__all__ = ["EncryptedRecord", "encrypt_at_flush"]


class EncryptedRecord(TypeDecorator[Any]):
    """A column of records. A record counts as changed when another is assigned, so frozen ones are the best."""

    impl = JSON
    cache_ok = True

    def __init__(
        self,
        record_type: type,
        client: ClientSource,
        tenant: TenantSource,
        context: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    ) -> None:
        """Makes a column of `record_type`, whose values `tenant` encrypts with `context`.

        `client` and `tenant` may be functions, which are asked when a value is written or read. `context` are
        non-secret pairs, such as the name of the table; change them, and what is stored opens no more.
        """
        super().__init__(none_as_null=True)
        # SQLAlchemy copies a type by these attributes, and tells statements apart by them.
        self.record_type = record_type
        self.client = client
        self.tenant = tenant
        self.context = tuple(sorted(dict(context or ()).items()))
        self.column = _column(record_type, client, tenant, self.context)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Encrypts a record. Raises `grpc.RpcError` if the service refuses it."""
        return None if value is None else self.column.stored(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Opens a record. Raises `fluo_kms.records.RecordError`, and `grpc.RpcError` if the service refuses all."""
        return None if value is None else self.column.loaded(value)


def encrypt_at_flush(sessions: type[Session] | Session | sessionmaker[Any]) -> None:
    """Has sessions encrypt all that a flush writes with one call a column, for up to 1,000 values of marked fields."""
    event.listen(sessions, "before_flush", _prepare)
    event.listen(sessions, "after_flush", _forget)
    event.listen(sessions, "after_soft_rollback", _forget)


@cache
def _column(
    record_type: type, client: ClientSource, tenant: TenantSource, context: tuple[tuple[str, str], ...]
) -> RecordColumn[Any]:
    """One column for all copies of a type, so that what is prepared for one is there for the others."""
    return RecordColumn(record_type, client, tenant, dict(context))


_PENDING = "fluo_kms.sqlalchemy.pending"


def _prepare(session: Session, *_: Any) -> None:
    by_column: dict[int, tuple[RecordColumn[Any], list[Any]]] = {}
    for instance in (*session.new, *session.dirty):
        state = inspect(instance)
        for attribute in state.mapper.column_attrs:
            kind = attribute.columns[0].type
            if not isinstance(kind, EncryptedRecord):
                continue
            history = state.attrs[attribute.key].history
            records = [record for record in history.added or () if record is not None]
            by_column.setdefault(id(kind.column), (kind.column, []))[1].extend(records)
    pending = session.info.setdefault(_PENDING, [])
    for column, records in by_column.values():
        pending.append((column, records))
        column.prepare(records)


def _forget(session: Session, *_: Any) -> None:
    for column, records in session.info.pop(_PENDING, ()):
        column.forget(records)
