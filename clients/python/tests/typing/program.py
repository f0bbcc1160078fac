"""Every call of each service, with threads and with asyncio: checked by mypy and pyright, and never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from fluo.kms.v1 import (
    audit_pb2,
    data_key_pb2,
    key_admin_pb2,
    log_pb2,
    operations_pb2,
    pii_pb2,
    public_key_pb2,
    rewrap_pb2,
    rollback_pb2,
    rotation_pb2,
    signing_pb2,
)
from fluo_kms import AsyncKmsClient, KmsClient

if TYPE_CHECKING:
    from typing_extensions import assert_type


def with_threads(kms: KmsClient) -> None:
    assert_type(
        kms.service.GenerateDataKey(data_key_pb2.GenerateDataKeyRequest(), timeout=1),
        data_key_pb2.GenerateDataKeyResponse,
    )
    assert_type(
        kms.service.DecryptDataKey(data_key_pb2.DecryptDataKeyRequest(), timeout=1), data_key_pb2.DecryptDataKeyResponse
    )
    assert_type(kms.service.EncryptPii(pii_pb2.EncryptPiiRequest(), timeout=1), pii_pb2.EncryptPiiResponse)
    assert_type(kms.service.DecryptPii(pii_pb2.DecryptPiiRequest(), timeout=1), pii_pb2.DecryptPiiResponse)
    assert_type(kms.service.ReEncryptPii(pii_pb2.ReEncryptPiiRequest(), timeout=1), pii_pb2.ReEncryptPiiResponse)
    assert_type(kms.service.SignSpan(signing_pb2.SignSpanRequest(), timeout=1), signing_pb2.SignSpanResponse)
    for answer in kms.service.SignSpans(iter([signing_pb2.SignSpansRequest()])):
        assert_type(answer, signing_pb2.SignSpansResponse)
    assert_type(kms.service.VerifySpan(signing_pb2.VerifySpanRequest(), timeout=1), signing_pb2.VerifySpanResponse)
    assert_type(
        kms.service.GetPublicKeys(public_key_pb2.GetPublicKeysRequest(), timeout=1),
        public_key_pb2.GetPublicKeysResponse,
    )
    assert_type(kms.service.Rotate(rotation_pb2.RotateRequest(), timeout=1), rotation_pb2.RotateResponse)
    assert_type(kms.service.Validate(operations_pb2.ValidateRequest(), timeout=1), operations_pb2.ValidateResponse)
    assert_type(kms.service.Status(operations_pb2.StatusRequest(), timeout=1), operations_pb2.StatusResponse)
    assert_type(kms.log.GetCheckpoint(log_pb2.GetCheckpointRequest(), timeout=1), log_pb2.GetCheckpointResponse)
    assert_type(
        kms.log.GetInclusionProof(log_pb2.GetInclusionProofRequest(), timeout=1), log_pb2.GetInclusionProofResponse
    )
    assert_type(
        kms.log.GetConsistencyProof(log_pb2.GetConsistencyProofRequest(), timeout=1),
        log_pb2.GetConsistencyProofResponse,
    )
    assert_type(kms.admin.ListKeys(key_admin_pb2.ListKeysRequest(), timeout=1), key_admin_pb2.ListKeysResponse)
    assert_type(kms.admin.DisableKey(key_admin_pb2.DisableKeyRequest(), timeout=1), key_admin_pb2.DisableKeyResponse)
    assert_type(kms.admin.EnableKey(key_admin_pb2.EnableKeyRequest(), timeout=1), key_admin_pb2.EnableKeyResponse)
    assert_type(
        kms.admin.MarkKeyCompromised(key_admin_pb2.MarkKeyCompromisedRequest(), timeout=1),
        key_admin_pb2.MarkKeyCompromisedResponse,
    )
    assert_type(
        kms.admin.ScheduleKeyDestruction(key_admin_pb2.ScheduleKeyDestructionRequest(), timeout=1),
        key_admin_pb2.ScheduleKeyDestructionResponse,
    )
    assert_type(
        kms.admin.CancelKeyDestruction(key_admin_pb2.CancelKeyDestructionRequest(), timeout=1),
        key_admin_pb2.CancelKeyDestructionResponse,
    )
    assert_type(kms.admin.RewrapKeys(rewrap_pb2.RewrapKeysRequest(), timeout=1), rewrap_pb2.RewrapKeysResponse)
    assert_type(
        kms.admin.ListAuditEvents(audit_pb2.ListAuditEventsRequest(), timeout=1), audit_pb2.ListAuditEventsResponse
    )
    assert_type(kms.admin.VerifyAudit(audit_pb2.VerifyAuditRequest(), timeout=1), audit_pb2.VerifyAuditResponse)
    assert_type(
        kms.admin.AcceptRollback(rollback_pb2.AcceptRollbackRequest(), timeout=1), rollback_pb2.AcceptRollbackResponse
    )
    assert_type(kms.service.Status.future(operations_pb2.StatusRequest()).result(), operations_pb2.StatusResponse)
    response, call = kms.service.Status.with_call(operations_pb2.StatusRequest())
    assert_type(response, operations_pb2.StatusResponse)
    assert_type(call.details(), str)
    assert_type(kms.iter_keys(key_admin_pb2.ListKeysRequest()), Iterator[key_admin_pb2.Key])


async def with_asyncio(kms: AsyncKmsClient) -> None:
    assert_type(
        await kms.service.GenerateDataKey(data_key_pb2.GenerateDataKeyRequest(), timeout=1),
        data_key_pb2.GenerateDataKeyResponse,
    )
    assert_type(
        await kms.service.DecryptDataKey(data_key_pb2.DecryptDataKeyRequest(), timeout=1),
        data_key_pb2.DecryptDataKeyResponse,
    )
    assert_type(await kms.service.EncryptPii(pii_pb2.EncryptPiiRequest(), timeout=1), pii_pb2.EncryptPiiResponse)
    assert_type(await kms.service.DecryptPii(pii_pb2.DecryptPiiRequest(), timeout=1), pii_pb2.DecryptPiiResponse)
    assert_type(await kms.service.ReEncryptPii(pii_pb2.ReEncryptPiiRequest(), timeout=1), pii_pb2.ReEncryptPiiResponse)
    assert_type(await kms.service.SignSpan(signing_pb2.SignSpanRequest(), timeout=1), signing_pb2.SignSpanResponse)
    stream = kms.service.SignSpans()
    await stream.write(signing_pb2.SignSpansRequest())
    await stream.done_writing()
    async for answer in stream:
        assert_type(answer, signing_pb2.SignSpansResponse)
    assert_type(
        await kms.service.VerifySpan(signing_pb2.VerifySpanRequest(), timeout=1), signing_pb2.VerifySpanResponse
    )
    assert_type(
        await kms.service.GetPublicKeys(public_key_pb2.GetPublicKeysRequest(), timeout=1),
        public_key_pb2.GetPublicKeysResponse,
    )
    assert_type(await kms.service.Rotate(rotation_pb2.RotateRequest(), timeout=1), rotation_pb2.RotateResponse)
    assert_type(
        await kms.service.Validate(operations_pb2.ValidateRequest(), timeout=1), operations_pb2.ValidateResponse
    )
    assert_type(await kms.service.Status(operations_pb2.StatusRequest(), timeout=1), operations_pb2.StatusResponse)
    assert_type(await kms.log.GetCheckpoint(log_pb2.GetCheckpointRequest(), timeout=1), log_pb2.GetCheckpointResponse)
    assert_type(
        await kms.log.GetInclusionProof(log_pb2.GetInclusionProofRequest(), timeout=1),
        log_pb2.GetInclusionProofResponse,
    )
    assert_type(
        await kms.log.GetConsistencyProof(log_pb2.GetConsistencyProofRequest(), timeout=1),
        log_pb2.GetConsistencyProofResponse,
    )
    assert_type(await kms.admin.ListKeys(key_admin_pb2.ListKeysRequest(), timeout=1), key_admin_pb2.ListKeysResponse)
    assert_type(
        await kms.admin.DisableKey(key_admin_pb2.DisableKeyRequest(), timeout=1), key_admin_pb2.DisableKeyResponse
    )
    assert_type(await kms.admin.EnableKey(key_admin_pb2.EnableKeyRequest(), timeout=1), key_admin_pb2.EnableKeyResponse)
    assert_type(
        await kms.admin.MarkKeyCompromised(key_admin_pb2.MarkKeyCompromisedRequest(), timeout=1),
        key_admin_pb2.MarkKeyCompromisedResponse,
    )
    assert_type(
        await kms.admin.ScheduleKeyDestruction(key_admin_pb2.ScheduleKeyDestructionRequest(), timeout=1),
        key_admin_pb2.ScheduleKeyDestructionResponse,
    )
    assert_type(
        await kms.admin.CancelKeyDestruction(key_admin_pb2.CancelKeyDestructionRequest(), timeout=1),
        key_admin_pb2.CancelKeyDestructionResponse,
    )
    assert_type(await kms.admin.RewrapKeys(rewrap_pb2.RewrapKeysRequest(), timeout=1), rewrap_pb2.RewrapKeysResponse)
    assert_type(
        await kms.admin.ListAuditEvents(audit_pb2.ListAuditEventsRequest(), timeout=1),
        audit_pb2.ListAuditEventsResponse,
    )
    assert_type(await kms.admin.VerifyAudit(audit_pb2.VerifyAuditRequest(), timeout=1), audit_pb2.VerifyAuditResponse)
    assert_type(
        await kms.admin.AcceptRollback(rollback_pb2.AcceptRollbackRequest(), timeout=1),
        rollback_pb2.AcceptRollbackResponse,
    )
    call = kms.service.Status(operations_pb2.StatusRequest())
    assert_type(await call.details(), str)
    assert_type(call.cancel(), bool)
    assert_type(kms.iter_keys(key_admin_pb2.ListKeysRequest()), AsyncIterator[key_admin_pb2.Key])
