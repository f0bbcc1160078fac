"""The five attributes on a span that carry its signature or log proof.

They are strings, are not part of the canonical form, and do not count against the limit of a list: a span with the most
attributes there can be must still verify once they are on it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from fluo_kms.verify._malformed import Malformed

PREFIX = "audit.integrity."
RESERVED = f"{PREFIX}fluo."
"""How names begin that no span may have yet."""

_FORMS = {
    "algorithm": "must be EdDSA or c2sp.org/tlog-proof@v1",
    "value": "must be the base64 of a signature, which has 64 bytes, or of a log proof",
    "key_id": "must be 32 lower-case hex digits, and must not be there beside a log proof",
    "tenant": "must be the tenant in whose name the span was signed",
    "signed_at": "must be a time of RFC 3339 in UTC, without parts of a millisecond, such as 2026-01-02T03:04:05.678Z",
}


@dataclass(slots=True)
class Integrity:
    """The attributes of the signature as they are on a span; None for one that is not there."""

    algorithm: str | None = None
    value: str | None = None
    """Base64 of the signature, or of the proof's text."""
    key_id: str | None = None
    tenant: str | None = None
    signed_at: str | None = None

    def take(self, key: str, value: object) -> bool:
        """Keeps one of the five, and returns whether it is one. `value` is the canonical object of its AnyValue."""
        if key.startswith(RESERVED):
            raise Malformed(f"names that begin with {RESERVED} are reserved; name it otherwise", "key")
        name = key[len(PREFIX) :]
        if not key.startswith(PREFIX) or name not in _FORMS:
            return False
        if getattr(self, name) is not None:
            raise Malformed("another attribute has the same key; keep one", "key")
        if not isinstance(value, dict) or "stringValue" not in value:
            raise Malformed("an attribute of the signature is a string", "value")
        setattr(self, name, value["stringValue"])
        return True

    @property
    def is_there(self) -> bool:
        """Whether one of the five at least is on the span."""
        return any(getattr(self, field.name) is not None for field in fields(self))

    def fault(self, name: str) -> str:
        """Says of one of the five that it is missing or malformed, and how it must be. Never shows what it is."""
        if not self.is_there:
            return "the span carries no evidence: put the attributes on it that signing gave"
        missing = "is missing: it " if getattr(self, name) is None else ""
        return f"{PREFIX}{name} {missing}{_FORMS[name]}"
