"""Encrypts the personal data of records: dataclasses, or models of pydantic 2.

    @dataclass
    class Customer:
        id: int
        email: Annotated[str, Pii("email")]

    stored = encrypt_record(kms, "acme", Customer(1, "ann@example.com"))
    customer = decrypt_record(kms, "acme", stored)

A marked field is `str` or `bytes`, or one of them or None. In the encrypted record it holds the token: as text, or as
its ASCII bytes. None stays None; an empty value is encrypted. Fields without a mark are left as they are. A model is
copied without its validators, since a token has not the form of what it stands for; load one that is stored with
`Model.model_construct`, or into a model without such validators. `fluo_kms.aio` has the twins for asyncio.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fluo_kms._client import KmsClient
from fluo_kms._records import Decryption, Encryption, Pii, Record, RecordError
from fluo_kms._twins import refuse_async

__all__ = ["Pii", "RecordError", "decrypt_record", "decrypt_records", "encrypt_record", "encrypt_records"]


def encrypt_record(client: KmsClient, tenant: str, record: Record, context: Mapping[str, str] | None = None) -> Record:
    """Returns the record with tokens in the place of its marked values.

    `context` are non-secret pairs that `decrypt_record` must be given again. Raises TypeError for a mark on a field of
    another type, and for a value of another type; ValueError for text that is no Unicode; and `grpc.RpcError` if the
    service refuses the whole.
    """
    refuse_async(client, "fluo_kms.records.encrypt_record")
    return encrypt_records(client, tenant, [record], context)[0]


def decrypt_record(client: KmsClient, tenant: str, record: Record, context: Mapping[str, str] | None = None) -> Record:
    """Returns the record that was encrypted. Raises RecordError, which names every field that cannot be opened.

    Raises TypeError and `grpc.RpcError` as `encrypt_record` does.
    """
    refuse_async(client, "fluo_kms.records.decrypt_record")
    work = Decryption(tenant, [record], context, lambda _, name: name)
    return work.results(client.service.DecryptPii(request) for request in work.requests)[0]


def encrypt_records(
    client: KmsClient, tenant: str, records: Sequence[Record], context: Mapping[str, str] | None = None
) -> list[Record]:
    """Returns records as `encrypt_record` does, with one call for up to 1,000 of their values."""
    refuse_async(client, "fluo_kms.records.encrypt_records")
    work = Encryption(tenant, records, context)
    return work.results(client.service.EncryptPii(request) for request in work.requests)


def decrypt_records(
    client: KmsClient, tenant: str, records: Sequence[Record], context: Mapping[str, str] | None = None
) -> list[Record]:
    """Returns records as `decrypt_record` does, with one call for up to 1,000 of their values.

    The fields of a RecordError are named by their records, as in `[3].email`.
    """
    refuse_async(client, "fluo_kms.records.decrypt_records")
    work = Decryption(tenant, records, context)
    return work.results(client.service.DecryptPii(request) for request in work.requests)
