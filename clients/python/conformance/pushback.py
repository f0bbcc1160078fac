"""Holds the client's retries to what a stand-in of the service asks for."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import grpc
from checks import Checks

from fluo.kms.v1.audit_pb2 import VerifyAuditRequest
from fluo.kms.v1.key_admin_pb2 import DisableKeyRequest, ListKeysRequest
from fluo.kms.v1.log_pb2 import GetCheckpointRequest
from fluo.kms.v1.operations_pb2 import StatusRequest, ValidateRequest
from fluo.kms.v1.rotation_pb2 import RotateRequest
from fluo_kms import FieldViolation, KmsClient, details_of

_HUNG_SECONDS = 60
_PUSHBACK_SECONDS = 1.5


def run(world: dict[str, Any], checks: Checks) -> None:
    with KmsClient(world["service"], insecure=True, timeout=_HUNG_SECONDS) as kms:

        def status(tenant: str) -> grpc.RpcError | None:
            return _error_of(lambda: kms.service.Status(StatusRequest(tenant_id=tenant)))

        def ends(what: str, call: Callable[[], Any], code: str) -> None:
            error = _error_of(call)
            checks.equal(what, "OK" if error is None else error.code().name, code)

        checks.equal("Status, unavailable twice", status("unavailable-twice"), None)
        before = time.monotonic()
        checks.equal("Status, exhausted once", status("exhausted-once"), None)
        checks.that(time.monotonic() - before >= _PUSHBACK_SECONDS, "pushback is waited for")
        for tenant, code in (("never", "UNAVAILABLE"), ("always", "UNAVAILABLE"), ("invalid", "INVALID_ARGUMENT")):
            ends(f"Status, {tenant}", lambda tenant=tenant: kms.service.Status(StatusRequest(tenant_id=tenant)), code)
        details = details_of(status("details") or RuntimeError())
        checks.equal("reason", details.reason, "QUOTA")
        checks.equal("fields", details.fields, (FieldViolation("a.b", "too many"),))
        checks.equal("retry after", details.retry_after, timedelta(seconds=7.5))
        checkpoint, keys = (
            GetCheckpointRequest(tenant_id="unavailable-twice"),
            ListKeysRequest(tenant_id="unavailable-twice"),
        )
        ends("GetCheckpoint, unavailable twice", lambda: kms.log.GetCheckpoint(checkpoint), "OK")
        ends("ListKeys, unavailable twice", lambda: kms.admin.ListKeys(keys), "OK")
        ends("Rotate", lambda: kms.service.Rotate(RotateRequest(tenant_id="always")), "UNAVAILABLE")
        ends("Validate", lambda: kms.service.Validate(ValidateRequest(tenant_id="always")), "UNAVAILABLE")
        ends("VerifyAudit", lambda: kms.admin.VerifyAudit(VerifyAuditRequest()), "UNAVAILABLE")
        ends("DisableKey", lambda: kms.admin.DisableKey(DisableKeyRequest(tenant_id="always")), "UNAVAILABLE")


def _error_of(call: Callable[[], Any]) -> grpc.RpcError | None:
    try:
        call()
    except grpc.RpcError as error:
        return error
    return None
