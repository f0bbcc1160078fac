"""A short run of the fuzz, with what must come out of it."""

from __future__ import annotations

from fuzz_verify import fuzz


def test_has_a_verdict_or_a_named_error_for_whatever_comes():
    came = fuzz(2_000, 1)
    verdicts = {"OK", "MALFORMED", "SIGNATURE_MISMATCH", "SPAN_MISMATCH", "PROOF_INVALID", "UNKNOWN_KEY"}
    logs = {"a whole log", "a log with findings", "LogError"}
    assert verdicts | logs | {"key set", "UnreadableExport", "KeySetError"} <= set(came)
