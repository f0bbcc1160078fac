"""Seals and opens files as streams, and says how much memory that took."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from checks import Checks

from fluo_kms import KmsClient
from fluo_kms.files import open_stream, seal_stream

_BUFFER_BYTES = 64 * 1024
_WARM_UP_BYTES = 100_000
_STATUS = Path("/proc/self/status")


def run(world: dict[str, Any], checks: Checks, work: Callable[..., None]) -> None:
    tenant, context = world["tenant"], world["context"]
    with KmsClient(world["service"], insecure=True) as kms:
        sealed = io.BytesIO()
        seal_stream(kms, tenant, io.BytesIO(os.urandom(_WARM_UP_BYTES)), sealed, context)
        sealed.seek(0)
        open_stream(kms, tenant, sealed, io.BytesIO(), context)
        with _buffered(world["from"], "rb") as source, _buffered(world["to"], "wb") as target:
            resident = _reset_peak()
            work(kms, tenant, source, target, context)
            growth = max(0, _kilobytes("VmHWM") - resident) * 1024
    result = {"language": "python", "peakGrowthBytes": growth}
    Path(world["out"]).write_text(json.dumps(result), encoding="utf-8")
    checks.passed += 1


def _buffered(path: str, mode: str) -> BinaryIO:
    return open(path, mode, buffering=_BUFFER_BYTES)  # type: ignore[return-value]  # noqa: PTH123


def _reset_peak() -> int:
    """Makes the peak start from now, if the system allows it. Returns what is resident, or the peak so far, in KiB."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return _kilobytes("VmHWM")
    return _kilobytes("VmRSS")


def _kilobytes(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"))
    if found is None:
        raise RuntimeError(f"{_STATUS} has no {name}")
    return int(found[1])
