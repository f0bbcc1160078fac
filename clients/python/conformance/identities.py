"""Shows certificates and tokens to a service that asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from checks import Checks

from fluo.kms.v1.data_key_pb2 import GenerateDataKeyRequest
from fluo_kms import KmsClient


def run(world: dict[str, Any], checks: Checks) -> None:
    tls = world["tls"]
    first, second, bad = world["tokens"]

    def code(kms: KmsClient) -> str:
        return _code(lambda: kms.service.GenerateDataKey(GenerateDataKeyRequest(tenant_id=world["tenant"])))

    service, ca = tls["service"], tls["ca"]
    with KmsClient(service, ca_file=ca, certificate_file=tls["certificate"], key_file=tls["key"]) as kms:
        checks.equal("a certificate", code(kms), "OK")
    shown = iter([first, bad, second])
    with KmsClient(service, ca_file=ca, token=lambda: next(shown)) as kms:
        checks.equal("the first token", code(kms), "OK")
        checks.equal("a bad token", code(kms), "UNAUTHENTICATED")
        checks.equal("the second token", code(kms), "OK")
    with KmsClient(service, ca_file=ca) as kms:
        checks.equal("no credential", code(kms), "UNAUTHENTICATED")
    with KmsClient(service, ca_file=tls["otherCa"], token=lambda: first) as kms:
        checks.equal("another authority", code(kms), "UNAVAILABLE")
    _cleartext(world, first, checks)


def _cleartext(world: dict[str, Any], token: str, checks: Checks) -> None:
    asked: list[str] = []

    def give() -> str:
        asked.append("asked")
        return token

    try:
        KmsClient("192.0.2.1:9000", insecure=True, token=give)
        checks.failed("a token without TLS", "it was taken")
    except ValueError as refusal:
        checks.that("TLS" in str(refusal), "a token without TLS is refused with what to do", refusal)
    checks.equal("the token function is not asked then", asked, [])
    request = GenerateDataKeyRequest(tenant_id=world["tenant"])
    with KmsClient(world.get("service", "127.0.0.1:1"), insecure=True, token=give) as kms:
        if "service" in world:
            code = _code(lambda: kms.service.GenerateDataKey(request))
            checks.equal("a token to a loopback address", code, "OK")
            checks.equal("the token function is asked", asked, ["asked"])


def _code(call: Callable[[], Any]) -> str:
    try:
        call()
    except grpc.RpcError as error:
        name: str = error.code().name
        return name
    return "OK"
