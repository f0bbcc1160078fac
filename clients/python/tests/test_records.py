"""Records of personal data with a real service."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Optional

import grpc
import pytest

from fluo_kms import KmsClient
from fluo_kms.records import Pii, RecordError, decrypt_record, encrypt_record


@dataclass(frozen=True)
class Customer:
    id: str
    email: Annotated[str, Pii("email")]
    note: Annotated[bytes, Pii("note")]
    alias: Annotated[str, Pii("alias")] = ""
    phone: Annotated[Optional[str], Pii("phone")] = None  # noqa: UP045 the older spelling, too
    fax: Annotated[bytes | None, Pii("fax")] = None
    tags: list[str] = field(default_factory=list)


ANN = Customer("17", "ann@example.com", b"\x00\xff", tags=["a"])


def test_puts_tokens_in_the_place_of_marked_values(kms):
    stored = encrypt_record(kms, "records", ANN, {"table": "customers"})
    assert stored.email.startswith("fk1.")
    assert stored.note.startswith(b"fk1.")
    assert stored.alias.startswith("fk1.")
    assert (stored.id, stored.phone, stored.fax, stored.tags) == ("17", None, None, ["a"])
    assert decrypt_record(kms, "records", stored, {"table": "customers"}) == ANN


def test_names_every_field_that_does_not_open(kms):
    stored = encrypt_record(kms, "records", ANN)
    moved = replace(stored, email=stored.alias, note=b"no token", phone="é")
    with pytest.raises(RecordError) as refusal:
        decrypt_record(kms, "records", moved)
    assert refusal.value.fields == dict.fromkeys(("email", "note", "phone"), "INVALID_ARGUMENT")
    assert "ann@example.com" not in str(refusal.value)
    with pytest.raises(RecordError):
        decrypt_record(kms, "records", stored, {"table": "customers"})


def test_refuses_a_text_that_was_bytes(kms):
    stored = encrypt_record(kms, "records", ANN)

    @dataclass
    class Note:
        note: Annotated[str, Pii("note")]

    with pytest.raises(RecordError, match="note: DATA_LOSS"):
        decrypt_record(kms, "records", Note(stored.note.decode()))


def test_raises_what_the_service_refuses_as_a_whole(kms):
    with pytest.raises(grpc.RpcError):
        encrypt_record(kms, "Not A Tenant", ANN)


@dataclass
class Numbered:
    number: Annotated[int, Pii("number")]


@dataclass
class Mixed:
    either: Annotated[str | bytes, Pii("either")]


@dataclass
class Nested:
    names: list[Annotated[str, Pii("name")]]


@dataclass
class Computed:
    name: Annotated[str, Pii("name")] = field(init=False, default="")


@pytest.mark.parametrize("record", [Numbered(1), Mixed("a"), Nested(["a"]), Computed(), Customer, "text"])
def test_refuses_a_mark_on_another_type_before_any_call(record):
    with KmsClient("127.0.0.1:1", insecure=True) as nobody, pytest.raises(TypeError):
        encrypt_record(nobody, "records", record)


def test_refuses_a_value_of_another_type_and_half_of_a_surrogate_pair():
    with KmsClient("127.0.0.1:1", insecure=True) as nobody:
        with pytest.raises(TypeError, match="email"):
            encrypt_record(nobody, "records", replace(ANN, email=5))
        with pytest.raises(ValueError, match="email") as refusal:
            encrypt_record(nobody, "records", replace(ANN, email="secret\ud800"))
        assert "secret" not in repr(refusal.value)
        assert refusal.value.__cause__ is None


def test_makes_no_call_for_a_record_without_values():
    @dataclass
    class Absent:
        email: Annotated[str | None, Pii("email")] = None

    with KmsClient("127.0.0.1:1", insecure=True) as nobody:
        assert encrypt_record(nobody, "records", Absent()) == Absent()


@dataclass
class Plain:
    email: str


@dataclass
class MarkedByTheClass:
    email: Annotated[str, Pii]


@pytest.mark.parametrize(
    ("record", "says"),
    [(Plain("ann@example.com"), "marks no field"), (MarkedByTheClass("ann@example.com"), 'Pii\\("email"\\)')],
)
def test_leaves_no_record_in_clear_whose_marks_were_forgotten(record, says):
    with KmsClient("127.0.0.1:1", insecure=True) as nobody, pytest.raises(TypeError, match=says):
        encrypt_record(nobody, "records", record)
