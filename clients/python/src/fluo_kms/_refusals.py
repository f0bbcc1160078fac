"""Refusals of a backend that are final: OTLP forbids to send the same again.

OpenTelemetry's exporters return success or failure and no more, and name the response's code in a line of their log. So
that line is read, on its way through their logger.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_REPEATED_STATUSES = frozenset({429, 502, 503, 504})
# RESOURCE_EXHAUSTED is final without RetryInfo, of which the line says nothing.
_REPEATED_CODES = frozenset(
    {
        "CANCELLED",
        "DEADLINE_EXCEEDED",
        "RESOURCE_EXHAUSTED",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNAVAILABLE",
        "DATA_LOSS",
    }
)
_EXPORTERS = "opentelemetry.exporter."
_LINE = "Failed to export "
_CODE = "code: %s"


class Refusal:
    """The outcome of an export, as its log says it."""

    def __init__(self) -> None:
        self.line: str | None = None
        """The line of a final refusal; None without one."""


class _Listener(logging.Filter):
    """Looks for refusals in the lines of threads that export, and passes all lines on."""

    def __init__(self) -> None:
        super().__init__()
        self._threads = threading.local()

    @contextmanager
    def logged_refusal(self) -> Iterator[Refusal]:
        """Collects the refusal that this thread logs within the context."""
        refusal = self._threads.refusal = Refusal()
        try:
            yield refusal
        finally:
            self._threads.refusal = None

    def filter(self, record: logging.LogRecord) -> bool:
        refusal: Refusal | None = getattr(self._threads, "refusal", None)
        if refusal is not None and _is_refusal(record):
            refusal.line = record.getMessage()
        return True


_LISTENER = _Listener()

logged_refusal = _LISTENER.logged_refusal


def listen_to(delegate: object) -> None:
    """Listens to the loggers of a delegate that is one of OpenTelemetry's own, or derived from one."""
    for module in {each.__module__ for each in type(delegate).__mro__}:
        logger = logging.getLogger(module)
        if module.startswith(_EXPORTERS) and _LISTENER not in logger.filters:
            # It stands before the filter by which some of these drop lines that they logged a short time ago.
            logger.filters.insert(0, _LISTENER)


def _is_refusal(record: logging.LogRecord) -> bool:
    template = str(record.msg)
    before, has_code, _ = template.partition(_CODE)
    at = before.count("%s")
    if not template.startswith(_LINE) or not has_code or not isinstance(record.args, tuple) or at >= len(record.args):
        return False
    code: Any = record.args[at]
    if isinstance(code, int):
        return code not in _REPEATED_STATUSES
    name = getattr(code, "name", None)  # of grpc.StatusCode
    return name is not None and name not in _REPEATED_CODES
