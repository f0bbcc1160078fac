"""Verifies what the backend has, by the tenant's public keys and nothing else of fluo-kms."""

from __future__ import annotations

import urllib.request

from fluo_kms.verify import KeySet, verify_export


def audit(http_address: str, tenant: str, export: bytes) -> None:
    """Prints what there is to say of each span, and of the same spans with one of them changed."""
    with urllib.request.urlopen(f"{http_address}/api/kms/tenants/{tenant}/jwks.json") as answer:
        keys = KeySet.parse(answer.read().decode("utf-8"))
    verdicts = verify_export(keys, export, tenant)
    print(f"the backend got {len(verdicts)} spans")
    for verdict in verdicts:
        print(f"{verdict.trace_id}/{verdict.span_id}  {verdict.reason}  entry {verdict.leaf_index}")
    assert all(verdict.verified for verdict in verdicts)

    (changed, *_) = verify_export(keys, export.replace(b"decide-loan", b"refuse-loan", 1), tenant)
    print(f"a changed span is {changed.reason}: {changed.message}")
    assert not changed.verified
