"""Records with asyncio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fluo_kms._records import Decryption, Encryption, Record
from fluo_kms._twins import refuse_sync
from fluo_kms.aio._client import AsyncKmsClient


async def encrypt_record(
    client: AsyncKmsClient, tenant: str, record: Record, context: Mapping[str, str] | None = None
) -> Record:
    """Returns the record with tokens in the place of its marked values, as `fluo_kms.records.encrypt_record` does."""
    refuse_sync(client, "fluo_kms.records.encrypt_record")
    return (await encrypt_records(client, tenant, [record], context))[0]


async def decrypt_record(
    client: AsyncKmsClient, tenant: str, record: Record, context: Mapping[str, str] | None = None
) -> Record:
    """Returns the record that was encrypted, as `fluo_kms.records.decrypt_record` does."""
    refuse_sync(client, "fluo_kms.records.decrypt_record")
    work = Decryption(tenant, [record], context, lambda _, name: name)
    return work.results([await client.service.DecryptPii(request) for request in work.requests])[0]


async def encrypt_records(
    client: AsyncKmsClient, tenant: str, records: Sequence[Record], context: Mapping[str, str] | None = None
) -> list[Record]:
    """Returns records with tokens, as `fluo_kms.records.encrypt_records` does."""
    refuse_sync(client, "fluo_kms.records.encrypt_records")
    work = Encryption(tenant, records, context)
    return work.results([await client.service.EncryptPii(request) for request in work.requests])


async def decrypt_records(
    client: AsyncKmsClient, tenant: str, records: Sequence[Record], context: Mapping[str, str] | None = None
) -> list[Record]:
    """Returns the records that were encrypted, as `fluo_kms.records.decrypt_records` does."""
    refuse_sync(client, "fluo_kms.records.decrypt_records")
    work = Decryption(tenant, records, context)
    return work.results([await client.service.DecryptPii(request) for request in work.requests])
