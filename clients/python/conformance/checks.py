"""Counts what a command checks, and prints what fails."""

from __future__ import annotations

_MAX_PRINTED = 20


class Checks:
    """What passed and failed so far."""

    def __init__(self) -> None:
        self.passed = 0
        self.failures = 0

    def that(self, is_right: bool, what: str, why: object = "") -> None:
        """Counts a check; `why` says what was there if it fails."""
        if is_right:
            self.passed += 1
        else:
            self.failed(what, why)

    def equal(self, what: str, found: object, wanted: object) -> None:
        """Counts whether two values are the same."""
        self.that(found == wanted, what, f"got {found!r}, want {wanted!r}")

    def failed(self, what: str, why: object) -> None:
        """Counts and prints a failure, the first ones of many."""
        self.failures += 1
        if self.failures <= _MAX_PRINTED:
            print(f"FAIL {what}: {why}", flush=True)
