"""The command `open-stream`."""

from __future__ import annotations

from typing import Any

import streams
from checks import Checks

from fluo_kms.files import open_stream


def run(world: dict[str, Any], checks: Checks) -> None:
    streams.run(world, checks, open_stream)
