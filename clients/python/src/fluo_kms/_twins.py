"""Which client a helper takes. One that is given the other would fail later, and say something of coroutines."""

from __future__ import annotations

from fluo_kms._client import KmsClient
from fluo_kms.aio._client import AsyncKmsClient


def refuse_async(client: object, helper: str) -> None:
    """Raises TypeError for the client of asyncio, and names the twin of a helper of `fluo_kms`."""
    if isinstance(client, AsyncKmsClient):
        name = helper.rpartition(".")[2]
        raise TypeError(f"{helper} takes a KmsClient; for an AsyncKmsClient there is fluo_kms.aio.{name}")


def refuse_sync(client: object, helper: str) -> None:
    """Raises TypeError for the client of threads, and names the twin of a helper of `fluo_kms.aio`."""
    if isinstance(client, KmsClient):
        name = helper.rpartition(".")[2]
        raise TypeError(f"fluo_kms.aio.{name} takes an AsyncKmsClient; for a KmsClient there is {helper}")
