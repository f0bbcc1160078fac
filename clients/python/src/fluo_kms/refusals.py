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


class Heard:
    """Findings in the log of a thread during an export."""

    def __init__(self) -> None:
        self.refusal: str | None = None
        """The line of a final refusal."""


class _Listener(logging.Filter):
    """Hears the lines of the threads that listen, and passes all on."""

    def __init__(self) -> None:
        super().__init__()
        self._threads = threading.local()

    @contextmanager
    def heard(self) -> Iterator[Heard]:
        heard = self._threads.heard = Heard()
        try:
            yield heard
        finally:
            self._threads.heard = None

    def filter(self, record: logging.LogRecord) -> bool:
        heard: Heard | None = getattr(self._threads, "heard", None)
        if heard is not None and _is_refusal(record):
            heard.refusal = record.getMessage()
        return True


_LISTENER = _Listener()

heard = _LISTENER.heard


def listen_to(delegate: object) -> None:
    """Has the loggers of a delegate heard if it is one of OpenTelemetry's own, or derived from one."""
    for module in {each.__module__ for each in type(delegate).__mro__}:
        logger = logging.getLogger(module)
        if module.startswith(_EXPORTERS) and _LISTENER not in logger.filters:
            # Before the filter by which some of these leave out what they said a short time ago.
            logger.filters.insert(0, _LISTENER)


def _is_refusal(record: logging.LogRecord) -> bool:
    template = str(record.msg)
    before, has_code, _ = template.partition(_CODE)
    if not template.startswith(_LINE) or not has_code or not isinstance(record.args, tuple):
        return False
    code: Any = record.args[before.count("%s")]
    if isinstance(code, int):
        return code not in _REPEATED_STATUSES
    name = getattr(code, "name", None)  # of grpc.StatusCode
    return name is not None and name not in _REPEATED_CODES
