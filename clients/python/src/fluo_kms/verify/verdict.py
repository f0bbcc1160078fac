"""What is said of a span, and the keys it is said by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from fluo_kms.verify._note import Checkpoint, VerifierKey

Reason = Literal[
    "OK",
    "SIGNATURE_MISMATCH",
    "SPAN_MISMATCH",
    "UNKNOWN_KEY",
    "KEY_STATE",
    "KEY_COMPROMISED",
    "PROOF_INVALID",
    "MALFORMED",
]
"""Why a span verifies or does not: `fluo.kms.v1.VerifyReason` without its prefix."""

KeyState = Literal["PENDING", "ACTIVE", "RETIRED", "DISABLED", "COMPROMISED", "DESTROY_SCHEDULED", "DESTROYED"]
"""State of a key: `fluo.kms.v1.KeyState` without its prefix."""

KEY_STATES: tuple[KeyState, ...] = get_args(KeyState)

# Replicas' clocks may differ by this much, so a signature may be that much older than its key.
_CLOCK_TOLERANCE_MS = 60_000

EXPLANATIONS: dict[Reason, str] = {
    "OK": "",
    "SIGNATURE_MISMATCH": "the span or its signature was altered",
    "SPAN_MISMATCH": "the statement is about another span",
    "UNKNOWN_KEY": "no such key of this tenant in the keys file",
    "KEY_STATE": "the key was not in use when the span says it was signed",
    "KEY_COMPROMISED": "the key is marked compromised",
    "PROOF_INVALID": "the log proof does not hold: the span or its proof was altered",
    "MALFORMED": "the span carries no signature, or not in its form",
}
"""What each reason says to people, when nothing more is known."""


def counted(count: int, one: str, many: str) -> str:
    """Returns `1 entry` or `2 entries`, say."""
    return f"{count} {one if count == 1 else many}"


@dataclass(frozen=True)
class Verdict:
    """Whether a span is as it was when it was signed."""

    reason: Reason
    """Why or why not."""
    key_id: str | None = None
    """The key that the evidence names."""
    key_state: KeyState | None = None
    """State of that key if it is known. A DISABLED key's signatures verify."""
    signed_at: str | None = None
    """RFC 3339 UTC with milliseconds, in this form however the span spells it."""
    trace_id: str | None = None
    """32 lower-case hex digits; None if the span cannot be read."""
    span_id: str | None = None
    """16 lower-case hex digits; None if the span cannot be read."""
    log: str | None = None
    """Origin of the log that the evidence names."""
    leaf_index: int | None = None
    """Index of the span's entry in that log."""
    message: str | None = None
    """What is wrong, for people, when more is known than the reason says. The text may change."""

    @property
    def verified(self) -> bool:
        """Whether the reason is OK."""
        return self.reason == "OK"


@dataclass(frozen=True)
class VerifyingKey:
    """A public key as it is published."""

    key_id: str
    public_key: bytes
    """32 bytes, Ed25519."""
    state: KeyState
    valid_from_ms: int | None
    """Milliseconds since 1970; None: unbounded on that side."""
    valid_until_ms: int | None
    is_marked: bool
    """Whether it was marked as compromised, in whatever state it is now."""

    def reason(self) -> Reason:
        """What the state alone makes of a signature that holds: OK, KEY_STATE or KEY_COMPROMISED."""
        if self.state == "PENDING":
            return "KEY_STATE"
        return "KEY_COMPROMISED" if self.state == "COMPROMISED" or self.is_marked else "OK"

    def is_valid_at(self, ms: int) -> bool:
        """Whether the key was in use at a time, in milliseconds since 1970."""
        if self.valid_from_ms is not None and ms < self.valid_from_ms - _CLOCK_TOLERANCE_MS:
            return False
        return self.valid_until_ms is None or ms <= self.valid_until_ms


@dataclass(frozen=True)
class LogKey(VerifierKey):
    """A key of the tenant by the name of one of its logs: a key that signs for several stands there for each."""

    key: VerifyingKey
    compromised_log: Checkpoint | None
    """How far that log went when this key was marked as compromised."""
