"""Columns of SQLAlchemy and fields of Django, with the fake and with SQLite."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Annotated

import django
import grpc
import pytest
from django.conf import settings
from pydantic import BaseModel
from pydantic import Field as ModelField
from sqlalchemy import JSON, Column, MetaData, Table, create_engine, event, literal, null, select, text, type_coerce
from sqlalchemy.exc import ArgumentError, IntegrityError, InvalidRequestError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from fluo_kms._columns import _prepared
from fluo_kms.records import Pii, RecordError
from fluo_kms.sqlalchemy import EncryptedRecord, EncryptionFailed, encrypt_at_flush
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
from django.db.models.functions import Cast  # noqa: E402
from django.forms import modelform_factory  # noqa: E402

from fluo_kms.django import EncryptedRecordField, EncryptedRecordQuerySet  # noqa: E402

CALLS: list[tuple[str, int]] = []
TENANT = ["acme"]
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
def _as_before():
    CALLS.clear()
    TENANT[:] = ["acme"]
    yield
    FAKE.allow("EncryptPii")
    assert _prepared.get() is None


@dataclass(frozen=True)
class Contact:
    country: str
    email: Annotated[str, Pii("email")]
    phone: Annotated[str | None, Pii("phone")] = None
    photo: Annotated[bytes | None, Pii("photo")] = None
    label: str = field(init=False, default="made, not stored")


class Address(BaseModel):
    city: str = ModelField(alias="City")
    street: Annotated[str, Pii("street")]


def contact(i: int) -> Contact:
    return Contact("DE", f"ann-{i}@example.com", f"+49 {i}", b"\xff\x00")


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    contact: Mapped[Contact | None] = mapped_column(EncryptedRecord(Contact, lambda: KMS, lambda: TENANT[0]))
    second: Mapped[Contact | None] = mapped_column(EncryptedRecord(Contact, lambda: KMS, "acme"))
    address: Mapped[Address | None] = mapped_column(EncryptedRecord(Address, lambda: KMS, lambda: "acme"))


@dataclass
class Note:
    note: Annotated[str, Pii("note")]


class Row(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[Note] = mapped_column(EncryptedRecord(Note, lambda: KMS, "acme"))


@pytest.fixture
def engine():
    made = create_engine("sqlite://")
    Base.metadata.create_all(made)
    yield made
    made.dispose()


def test_sqlalchemy_stores_tokens_and_loads_records(engine):
    with Session(engine) as session:
        session.add(Customer(id=1, contact=contact(1), address=Address(City="Bonn", street="Am Markt 1")))
        session.add(Customer(id=2))
        session.commit()
        assert CALLS == [("EncryptPii", 3), ("EncryptPii", 1)]
        raw = str(session.execute(text("select * from customers")).all())
        assert "DE" in raw
        assert "Bonn" in raw
        for clear in ("ann-1", "+49", "Markt"):
            assert clear not in raw
        row = session.scalars(select(Customer).where(Customer.id == 1)).one()
        assert (row.contact, row.address) == (contact(1), Address(City="Bonn", street="Am Markt 1"))
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


def test_sqlalchemy_opens_many_rows_with_one_call(engine):
    sessions = sessionmaker(engine)
    encrypt_at_flush(sessions)
    with sessions() as session:
        session.add_all([Customer(id=i, contact=contact(i)) for i in range(500)])
        session.commit()
        stored = session.scalars(select(type_coerce(Customer.contact, JSON)).order_by(Customer.id)).all()
        CALLS.clear()
        kind = Customer.__table__.c.contact.type
        assert kind.open_all(stored) == [contact(i) for i in range(500)]
        assert CALLS == [("DecryptPii", 1000), ("DecryptPii", 500)]
        swapped = [*stored[:3], stored[3] | {"email": stored[3]["phone"]}]
        with pytest.raises(RecordError) as refusal:
            kind.open_all(swapped)
        assert refusal.value.fields == {"[3].email": "INVALID_ARGUMENT"}
        german = type_coerce(Customer.contact, JSON)["country"].as_string() == "DE"
        assert len(session.scalars(select(Customer.id).where(german)).all()) == 500


def test_sqlalchemy_opens_no_value_that_was_moved(engine):
    with Session(engine) as session:
        session.add(Customer(id=1, contact=contact(1)))
        session.add(Customer(id=2, contact=contact(2)))
        session.commit()
        # Rows of a column may be exchanged: what is stored is bound to tenant, table and column.
        session.execute(
            text("update customers set contact = (select contact from customers where id = 2) where id = 1")
        )
        assert session.get(Customer, 1).contact == contact(2)
        session.execute(text("update customers set second = contact where id = 1"))
        session.expire_all()
        with pytest.raises(RecordError) as refusal:
            session.get(Customer, 1)
        assert refusal.value.fields == dict.fromkeys(("email", "phone", "photo"), "INVALID_ARGUMENT")
        TENANT[:] = ["other"]
        with pytest.raises(RecordError):
            session.scalar(select(Customer.contact).where(Customer.id == 2))


def test_sqlalchemy_names_the_field_that_does_not_open(engine):
    with Session(engine) as session:
        session.add(Customer(id=1, contact=contact(1)))
        session.commit()
        raw = json.loads(session.execute(text("select contact from customers")).scalar_one())
        raw["email"] = raw["phone"]
        session.execute(text("update customers set contact = :c"), {"c": json.dumps(raw)})
        with pytest.raises(RecordError) as refusal:
            session.scalars(select(Customer)).one()
        assert refusal.value.fields == {"email": "INVALID_ARGUMENT"}


@pytest.mark.parametrize("is_at_flush", [False, True])
def test_sqlalchemy_shows_no_value_in_errors(engine, is_at_flush):
    sessions = sessionmaker(engine)
    if is_at_flush:
        encrypt_at_flush(sessions)
    FAKE.refuse("EncryptPii", "PERMISSION_DENIED")
    with sessions() as session:
        session.add(Customer(id=1, contact=contact(1)))
        with pytest.raises(EncryptionFailed, match="not encrypted: _InactiveRpcError") as failure:
            session.flush()
    assert "ann-1" not in repr(failure.value)
    assert isinstance(failure.value.orig, grpc.RpcError)
    assert failure.value.orig.code() is grpc.StatusCode.PERMISSION_DENIED
    FAKE.allow("EncryptPii")
    with sessions() as session:
        session.add(Customer(id=1))
        session.commit()
    with sessions() as session:
        session.add(Customer(id=1, contact=contact(1)))
        with pytest.raises(IntegrityError, match="fk1") as refusal:
            session.flush()
    assert "ann-1" not in str(refusal.value)
    with sessions() as session:
        session.add(Customer(id=2, contact={"email": "ann-2"}))
        with pytest.raises(EncryptionFailed, match="records of Contact, not of dict") as failure:
            session.flush()
        assert "ann-2" not in str(failure.value)


def test_sqlalchemy_writes_for_the_tenant_of_now_what_another_prepared(engine):
    sessions = sessionmaker(engine)
    encrypt_at_flush(sessions)
    shared = contact(1)

    def write_as(tenant, number):
        TENANT[:] = [tenant]
        with sessions() as session:
            session.add(Customer(id=number, contact=shared))
            session.commit()

    with sessions() as session:
        session.add(Customer(id=1, contact=shared))

        @event.listens_for(session, "after_flush", insert=True)
        def _in_the_middle(*_):
            write_as("other", 2)
            TENANT[:] = ["acme"]

        session.flush()
        session.rollback()
    TENANT[:] = ["other"]
    with sessions() as session:
        assert session.get(Customer, 2).contact == shared


def test_sqlalchemy_writes_a_record_as_it_is_when_it_is_written(engine):
    sessions = sessionmaker(engine)
    encrypt_at_flush(sessions)

    @event.listens_for(Row, "before_insert")
    def _changed(mapper, connection, row):
        row.note.note = "changed"

    with sessions() as session:
        session.add(Row(id=1, note=Note("first")))
        session.commit()
        assert session.get(Row, 1).note == Note("changed")


def test_sqlalchemy_refuses_queries_by_value():
    for query in (
        lambda: Customer.contact == contact(1),
        lambda: Customer.contact.in_([contact(1)]),
        lambda: Customer.contact["email"],
        lambda: contact(1) == Customer.contact,
        lambda: Customer.contact.desc(),
    ):
        with pytest.raises(InvalidRequestError, match="None alone"):
            query()
    assert CALLS == []
    for query in (Customer.contact.is_(None), Customer.contact == None, Customer.contact.is_not(null())):  # noqa: E711
        assert "NULL" in str(query)


def test_sqlalchemy_binds_values_to_their_column_unless_told_otherwise(engine):
    shared = EncryptedRecord(Contact, lambda: KMS, "acme")
    with pytest.raises(ArgumentError, match="of its own"):
        Table("two", MetaData(), Column("a", shared), Column("b", shared))
    told = EncryptedRecord(Contact, lambda: KMS, "acme", {"purpose": "mail"})
    table = Table("two", MetaData(), Column("a", told), Column("b", told))
    copied = Customer.__table__.to_metadata(MetaData(), name="others")
    for made in (table, copied):
        made.create(engine)
    with engine.begin() as writing:
        writing.execute(table.insert(), [{"a": contact(1), "b": contact(2)}, {"a": contact(3), "b": None}])
        writing.execute(text("update two set b = a"))
        assert writing.execute(select(table.c.b)).scalars().all() == [contact(1), contact(3)]
        writing.execute(copied.insert(), {"id": 1, "contact": contact(1)})
        assert writing.execute(select(copied.c.contact)).scalar_one() == contact(1)
        writing.execute(text("insert into customers (id, contact) select id, contact from others"))
        with pytest.raises(RecordError):
            writing.execute(select(Customer.contact)).scalar_one()
    with pytest.raises(EncryptionFailed) as failure:
        create_engine("sqlite://").connect().execute(select(literal(contact(1), EncryptedRecord(Contact, KMS, "a"))))
    assert isinstance(failure.value.orig, InvalidRequestError)


def test_columns_keep_absent_and_empty_apart(engine, people):
    with Session(engine) as session:
        session.add(Customer(id=1, contact=Contact("", "", None)))
        session.commit()
        raw = json.loads(session.execute(text("select contact from customers")).scalar_one())
        assert raw["email"].startswith("fk1.")
        assert (raw["country"], raw["phone"], raw["photo"], len(raw)) == ("", None, None, 4)
        assert session.get(Customer, 1).contact == Contact("", "", None)
    people.create(contact=Contact("", "", None))
    assert people.get().contact == Contact("", "", None)


def test_columns_refuse_records_without_marks():
    @dataclass
    class Plain:
        email: str

    with pytest.raises(TypeError, match="Plain marks no field"):
        EncryptedRecord(Plain, KMS, "acme")
    with pytest.raises(TypeError, match="Plain marks no field"):
        EncryptedRecordField(Plain, client=KMS, tenant="acme")


class Person(models.Model):
    contact = EncryptedRecordField(Contact, client=lambda: KMS, tenant=lambda: TENANT[0], null=True)
    second = EncryptedRecordField(Contact, client=lambda: KMS, tenant="acme", null=True)
    same = EncryptedRecordField(Contact, client=lambda: KMS, tenant="acme", context={}, null=True)

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
    stored_now = list(people.order_by("pk").values_list(Cast("contact", models.JSONField()), flat=True))
    CALLS.clear()
    assert Person._meta.get_field("contact").open_all(stored_now) == [row.contact for row in rows]
    assert CALLS == [("DecryptPii", 150)]


def test_django_opens_no_value_that_was_moved(people):
    people.create(contact=contact(1), same=contact(3))
    people.create(contact=contact(2))
    with connection.cursor() as cursor:
        cursor.execute("update tests_person set contact = (select contact from tests_person where id = 2) where id = 1")
        # Rows of a column may be exchanged: what is stored is bound to tenant, table and column.
        assert people.defer("second").get(pk=1).contact == contact(2)
        cursor.execute("update tests_person set second = contact, contact = same")
    with pytest.raises(RecordError) as refusal:
        people.only("second").get(pk=1)
    assert refusal.value.fields == dict.fromkeys(("email", "phone", "photo"), "INVALID_ARGUMENT")
    with pytest.raises(RecordError):
        people.only("contact").get(pk=1)
    assert people.only("same").get(pk=1).same == contact(3)
    TENANT[:] = ["other"]
    people.filter(pk=2).update(contact=contact(4))
    assert people.only("contact").get(pk=2).contact == contact(4)
    TENANT[:] = ["acme"]
    with pytest.raises(RecordError):
        people.only("contact").get(pk=2)


def test_django_writes_nothing_that_is_not_encrypted(people):
    FAKE.refuse("EncryptPii", "PERMISSION_DENIED")
    with pytest.raises(grpc.RpcError) as refusal:
        people.bulk_create([Person(contact=contact(1))])
    assert "ann-1" not in str(refusal.value)
    with pytest.raises(TypeError, match="records of Contact, not of str"):
        people.create(contact="ann-1")
    assert stored() == []


def test_django_leaves_the_field_out_of_forms():
    assert "contact" not in modelform_factory(Person, fields="__all__").base_fields
    assert Person._meta.get_field("contact").clone().editable is False


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
