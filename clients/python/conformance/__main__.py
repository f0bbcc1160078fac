"""The conformance program of the Python client: `python clients/python/conformance COMMAND WORLD.json`."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from checks import Checks

COMMANDS = (
    "produce",
    "check",
    "identities",
    "pushback",
    "resume",
    "export",
    "flush",
    "judge",
    "seal-stream",
    "open-stream",
    "fake",
)


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] not in COMMANDS:
        print(f"usage: python conformance {'|'.join(COMMANDS)} WORLD.json", file=sys.stderr)
        return 2
    command, world = sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    checks = Checks()
    try:
        importlib.import_module(command.replace("-", "_")).run(world, checks)
    except Exception as error:
        checks.failed(command, f"{type(error).__name__}: {error}")
    print(f"{checks.passed} passed, {checks.failures} failed")
    return int(checks.failures > 0)


sys.exit(main())
