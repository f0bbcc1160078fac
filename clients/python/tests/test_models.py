"""Models of pydantic as records."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import pytest
import vectors
from pydantic import BaseModel, ConfigDict, Field, field_validator

from fluo_kms import KmsClient
from fluo_kms.records import Pii, decrypt_record, decrypt_records, encrypt_record, encrypt_records


class Customer(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: int
    email: Annotated[str, Pii("email"), Field(alias="e-mail", max_length=20)]
    note: Annotated[bytes | None, Pii("note")] = None
    _seen: int = 0

    @field_validator("email")
    @classmethod
    def _has_an_at_sign(cls, value: str) -> str:
        if "@" not in value:
            raise ValueError("no e-mail address")
        return value


class Number(BaseModel):
    number: Annotated[int, Pii("number")]


ANN = Customer(**{"id": 1, "e-mail": "ann@example.com", "note": b"\xff"})


def test_encrypts_models_that_are_frozen_and_have_aliases_and_validators(kms):
    stored = encrypt_record(kms, "models", ANN, {"table": "a"})
    assert isinstance(stored, Customer)
    assert stored.id == 1
    assert stored.email.startswith("fk1.")
    assert stored.note.startswith(b"fk1.")
    assert ANN.email == "ann@example.com"
    assert decrypt_record(kms, "models", stored, {"table": "a"}) == ANN
    dumped = stored.model_dump(by_alias=True)
    loaded = Customer.model_construct(id=dumped["id"], email=dumped["e-mail"], note=dumped["note"])
    assert decrypt_record(kms, "models", loaded, {"table": "a"}) == ANN


def test_encrypts_many_records_with_few_calls(kms, monkeypatch):
    sizes = []
    call = kms.service.EncryptPii

    def counted(request):
        sizes.append(len(request.fields))
        return call(request)

    monkeypatch.setattr(kms.service, "EncryptPii", counted)
    many = [ANN.model_copy(update={"id": i}) for i in range(700)]
    stored = encrypt_records(kms, "models", many)
    assert sizes == [1000, 400]
    assert len({each.email for each in stored}) == 700
    assert decrypt_records(kms, "models", stored) == many
    assert encrypt_records(kms, "models", []) == []


def test_refuses_a_mark_on_another_type():
    with KmsClient("127.0.0.1:1", insecure=True) as nobody:
        for wrong in (Number(number=1), Number):
            with pytest.raises(TypeError):
                encrypt_record(nobody, "models", wrong)


def test_does_not_import_pydantic_by_itself():
    program = (
        "import sys, fluo_kms.records, fluo_kms.aio; fluo_kms.aio.encrypt_record; sys.exit('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, env=vectors.ENVIRONMENT).returncode == 0
