"""Columns of SQLAlchemy and fields of Django, with the fake and with SQLite."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import django
import pytest
from django.conf import settings
from pydantic import BaseModel
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from fluo_kms.records import Pii, RecordError
from fluo_kms.sqlalchemy import EncryptedRecord, encrypt_at_flush
from fluo_kms.testing import FakeKms

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[],
    USE_TZ=True,
)
django.setup()

from django.core.exceptions import FieldError  # noqa: E402 - after the settings
from django.db import connection, models  # noqa: E402
from django.db.migrations.writer import MigrationWriter  # noqa: E402

from fluo_kms.django import EncryptedRecordField, EncryptedRecordQuerySet  # noqa: E402

CALLS: list[tuple[str, int]] = []
FAKE = FakeKms()


@pytest.fixture(autouse=True, scope="module")
def _ended():
    yield
    FAKE.close()


def counting_client():
    client = FAKE.client()
    for name in ("EncryptPii", "DecryptPii"):
        setattr(client.service, name, counted(name, getattr(client.service, name)))
    return client


def counted(name, call):
    def counting(request):
        CALLS.append((name, len(request.fields)))
        return call(request)

    return counting


KMS = counting_client()


@pytest.fixture(autouse=True)
def _no_calls():
    CALLS.clear()


@dataclass(frozen=True)
class Contact:
    country: str
    email: Annotated[str, Pii("email")]
    phone: Annotated[str | None, Pii("phone")] = None
    photo: Annotated[bytes | None, Pii("photo")] = None


class Address(BaseModel):
    city: str
    street: Annotated[str, Pii("street")]


def contact(i: int) -> Contact:
    return Contact("DE", f"ann-{i}@example.com", f"+49 {i}", b"\xff\x00")


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    contact: Mapped[Contact | None] = mapped_column(
        EncryptedRecord(Contact, lambda: KMS, "acme", {"table": "customers"})
    )
    address: Mapped[Address | None] = mapped_column(EncryptedRecord(Address, lambda: KMS, lambda: "acme"))


@pytest.fixture
def engine():
    made = create_engine("sqlite://")
    Base.metadata.create_all(made)
    yield made
    made.dispose()


def test_sqlalchemy_stores_tokens_and_loads_records(engine):
    with Session(engine) as session:
        session.add(Customer(id=1, contact=contact(1), address=Address(city="Bonn", street="Am Markt 1")))
        session.add(Customer(id=2))
        session.commit()
        assert CALLS == [("EncryptPii", 3), ("EncryptPii", 1)]
        raw = str(session.execute(text("select * from customers")).all())
        assert "DE" in raw
        assert "Bonn" in raw
        for clear in ("ann-1", "+49", "Markt"):
            assert clear not in raw
        row = session.scalars(select(Customer).where(Customer.id == 1)).one()
        assert (row.contact, row.address) == (contact(1), Address(city="Bonn", street="Am Markt 1"))
        row.contact = contact(2)
        session.commit()
        assert row.contact == contact(2)
        assert session.get(Customer, 2).contact is None


def test_sqlalchemy_encrypts_a_flush_with_one_call(engine):
    sessions = sessionmaker(engine)
    encrypt_at_flush(sessions)
    with sessions() as session:
        session.add_all([Customer(id=i, contact=contact(i)) for i in range(200)])
        session.commit()
        assert CALLS == [("EncryptPii", 600)]
        rows = session.scalars(select(Customer).order_by(Customer.id)).all()
        assert [row.contact for row in rows] == [contact(i) for i in range(200)]
        assert CALLS[1:] == [("DecryptPii", 3)] * 200
        CALLS.clear()
        for row in rows[:10]:
            row.contact = contact(1000 + row.id)
        session.flush()
        session.rollback()
        assert CALLS == [("EncryptPii", 30)]
    kind = Customer.__table__.c.contact.type
    assert kind.column._ready == {}


def test_sqlalchemy_opens_no_value_that_was_moved(engine):
    with Session(engine) as session:
        session.add(Customer(id=1, contact=contact(1)))
        session.commit()
        raw = json.loads(session.execute(text("select contact from customers")).scalar_one())
        raw["email"] = raw["phone"]
        session.execute(text("update customers set contact = :c"), {"c": json.dumps(raw)})
        with pytest.raises(RecordError) as refusal:
            session.scalars(select(Customer)).one()
        assert refusal.value.fields == {"email": "INVALID_ARGUMENT"}


class Person(models.Model):
    contact = EncryptedRecordField(Contact, client=lambda: KMS, tenant="acme", context={"table": "person"}, null=True)

    objects = EncryptedRecordQuerySet.as_manager()

    class Meta:
        app_label = "tests"


@pytest.fixture
def people():
    with connection.schema_editor() as editor:
        editor.create_model(Person)
    yield Person.objects
    with connection.schema_editor() as editor:
        editor.delete_model(Person)


def stored() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("select contact from tests_person order by id")
        return [row[0] for row in cursor.fetchall()]


def test_django_stores_tokens_and_loads_records(people):
    made = people.create(contact=contact(1))
    people.create(contact=None)
    assert CALLS == [("EncryptPii", 3)]
    first, second = stored()
    assert second is None
    assert json.loads(first)["country"] == "DE"
    assert "ann-1" not in first
    assert people.get(pk=made.pk).contact == contact(1)
    made.contact = contact(2)
    made.save()
    made.refresh_from_db()
    assert made.contact == contact(2)
    assert people.filter(contact__isnull=True).count() == 1


def test_django_encrypts_a_bulk_with_one_call(people):
    rows = people.bulk_create([Person(contact=contact(i)) for i in range(50)])
    assert CALLS == [("EncryptPii", 150)]
    assert [row.contact for row in people.order_by("pk")] == [contact(i) for i in range(50)]
    CALLS.clear()
    for row in rows:
        row.contact = contact(100 + row.pk)
    people.bulk_update(rows, ["contact"])
    assert CALLS == [("EncryptPii", 150)]
    assert people.get(pk=rows[3].pk).contact == contact(100 + rows[3].pk)
    assert Person._meta.get_field("contact").record_column._ready == {}


def test_django_refuses_queries_by_value_and_indexes(people):
    for query in ({"contact": contact(1)}, {"contact__email": "a"}, {"contact__contains": "a"}):
        with pytest.raises(FieldError, match="encrypted"):
            people.filter(**query).count()
    with pytest.raises(FieldError, match="unique"):
        EncryptedRecordField(Contact, client=KMS, tenant="acme", unique=True)


def test_django_writes_migrations_without_the_records():
    name, path, args, options = Person._meta.get_field("contact").deconstruct()
    assert (name, path, list(args), options) == ("contact", "django.db.models.JSONField", [], {"null": True})
    written, _ = MigrationWriter.serialize(Person._meta.get_field("contact"))
    assert written == "models.JSONField(null=True)"


def test_columns_refuse_other_records(engine):
    with Session(engine) as session:
        session.add(Customer(id=1, contact={"email": "a"}))
        with pytest.raises(Exception, match="Contact"):
            session.commit()
