"""Keeps customers in SQLite by Django, with their contacts encrypted.

A project has its settings and models in files of their own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.core.exceptions import FieldError  # noqa: E402 - models need the settings
from django.db import connection, models  # noqa: E402

from fluo_kms import KmsClient  # noqa: E402
from fluo_kms.django import EncryptedRecordField, EncryptedRecordQuerySet  # noqa: E402
from fluo_kms.records import Pii  # noqa: E402

kms = KmsClient(os.environ.get("FLUO_KMS_GRPC_ADDR", "localhost:9000"), insecure=True)


@dataclass(frozen=True)
class Contact:
    """How to reach a customer: the marked fields are encrypted, the country stays as it is."""

    country: str
    email: Annotated[str, Pii("email")]
    phone: Annotated[str | None, Pii("phone")] = None


class Customer(models.Model):
    """A row of the table."""

    contact = EncryptedRecordField(Contact, client=kms, tenant="acme")

    objects = EncryptedRecordQuerySet.as_manager()

    class Meta:
        """Of no app of its own."""

        app_label = "shop"
        db_table = "customers"


def main() -> None:
    """Writes three customers with one call of the service, reads one, and looks at what the table holds."""
    with connection.schema_editor() as editor:
        editor.create_model(Customer)

    names = ("ann", "bob", "cleo")
    Customer.objects.bulk_create(
        [Customer(contact=Contact("DE", f"{name}@example.com", "+49 30 123456")) for name in names]
    )
    ann = Customer.objects.get(pk=1)
    print(f"customer 1 is {ann.contact.email}, {ann.contact.phone}")

    with connection.cursor() as cursor:
        cursor.execute("SELECT contact FROM customers")
        stored = str(cursor.fetchall())
    assert "DE" in stored
    assert not any(clear in stored for clear in (*names, "+49"))
    print(f"the table holds {stored.count('fk1.')} tokens and no clear text")

    try:
        Customer.objects.filter(contact__email="ann@example.com").count()
    except FieldError as error:
        print(error)


with kms:
    main()
