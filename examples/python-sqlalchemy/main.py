"""Keeps customers in SQLite by SQLAlchemy, with their contacts encrypted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from fluo_kms import KmsClient
from fluo_kms.records import Pii
from fluo_kms.sqlalchemy import EncryptedRecord, encrypt_at_flush

kms = KmsClient(os.environ.get("FLUO_KMS_GRPC_ADDR", "localhost:9000"), insecure=True)


@dataclass(frozen=True)
class Contact:
    """How to reach a customer: the marked fields are encrypted, the country stays as it is."""

    country: str
    email: Annotated[str, Pii("email")]
    phone: Annotated[str | None, Pii("phone")] = None


class Base(DeclarativeBase):
    """The tables of this program."""


class Customer(Base):
    """A row of the table."""

    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    contact: Mapped[Contact] = mapped_column(EncryptedRecord(Contact, kms, "acme"))


def main() -> None:
    """Writes three customers with one call of the service, reads one, and looks at what the table holds."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    sessions = sessionmaker(engine)
    encrypt_at_flush(sessions)

    names = ("ann", "bob", "cleo")
    with sessions() as session:
        for name in names:
            session.add(Customer(contact=Contact("DE", f"{name}@example.com", "+49 30 123456")))
        session.commit()

    with sessions() as session:
        stored = str(session.execute(text("SELECT contact FROM customers")).all())
        ann = session.scalars(select(Customer).where(Customer.id == 1)).one()
        print(f"customer 1 is {ann.contact.email}, {ann.contact.phone}")
    assert "DE" in stored
    assert not any(clear in stored for clear in (*names, "+49"))
    print(f"the table holds {stored.count('fk1.')} tokens and no clear text")


with kms:
    main()
