"""A tenant's public keys: the JWKS (RFC 7517) that the service serves, with states, times and handovers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from fluo_kms.verify._encoding import (
    HASH_BYTES,
    PUBLIC_KEY_BYTES,
    canonical_base64,
    canonical_base64url,
    index_of,
)
from fluo_kms.verify._malformed import Malformed
from fluo_kms.verify._note import Checkpoint, Note, VerifierKey, parse_verifier_key, signers_of
from fluo_kms.verify._proof import LogEvidence, parse_log_evidence
from fluo_kms.verify._statement import canonical_signed_at, parse_handover, signed_at_ms
from fluo_kms.verify._strict_json import NotJson, parse_json
from fluo_kms.verify._tree import leaf_hash
from fluo_kms.verify.verdict import KEY_STATES, LogKey, VerifyingKey

T = TypeVar("T")

# RFC 8037's name, and RFC 9864's.
_ALGORITHMS = ("EdDSA", "Ed25519")
# Members of private keys (RFC 7518, 6; RFC 8037), of symmetric ones, and of those of RFC 9964.
_SECRET = ("d", "k", "priv")
# Digits behind the milliseconds, which are cut off.
_PAST_MILLISECONDS = re.compile(r"(\.[0-9]{3})[0-9]{1,6}(?![0-9])")


class KeySetError(ValueError):
    """The text is no key set that can be trusted. The message names the member that is wrong."""


@dataclass(frozen=True)
class Handover:
    """A log entry that names the next key, in a checkpoint that both keys signed. Nothing of it was verified yet."""

    to: VerifierKey
    leaf: bytes
    """The entry's leaf hash."""
    evidence: LogEvidence


@dataclass(frozen=True)
class UnusedHandover:
    """A log entry that names a key which then did not come into use: no proof leads to it."""

    origin: str
    index: int
    leaf: bytes
    """The entry's leaf hash."""


@dataclass(frozen=True)
class KeySet:
    """The keys that verify a tenant's spans."""

    keys: Mapping[str, VerifyingKey]
    """Keys by key id."""
    log_keys: tuple[LogKey, ...]
    """Each key by the name of each log that it may sign for."""
    handovers: tuple[Handover, ...]
    """Handovers in the order of the list, none verified yet."""
    unused_handovers: tuple[UnusedHandover, ...] = ()
    ended_logs: tuple[Checkpoint, ...] = ()
    """Heads of logs that a restored backup or an accepted loss ended: entries behind them are lost to the service."""
    passed_over: int = 0
    """How many keys are of a kind that is unknown here (RFC 7517, 5)."""

    @classmethod
    def parse(cls, jwks: str) -> KeySet:
        """Reads what `/api/kms/tenants/{tenant}/jwks.json` serves.

        Raises KeySetError for anything that could be read in two ways, for a page of a larger set, and for a private
        key.
        """
        return _read_key_set(jwks)

    def trusting(self, vkeys: Iterable[str]) -> KeySet:
        """Returns the keys that can be reached from `vkeys` by handovers, and trusts no others.

        `vkeys` are verifier keys as the key set has them, `NAME+ID+KEY`; one that the set lacks leads nowhere. A key
        that was marked as compromised hands over to nobody. Raises KeySetError for what is no verifier key.
        """
        first = [_public_key_of(vkey) for vkey in vkeys]
        trusted = [key for key in self.log_keys if key.public_key in first]
        proven = [(each.to.public_key, self._handing_over(each)) for each in self.handovers]
        while True:
            reached = [to for to, signers in proven if any(signer in trusted for signer in signers)]
            more = [key for key in self.log_keys if key in trusted or key.public_key in reached]
            if len(more) == len(trusted):
                break
            trusted = more
        ids = {key.key.key_id for key in trusted}
        return replace(self, log_keys=tuple(trusted), keys={id_: key for id_, key in self.keys.items() if id_ in ids})

    @property
    def origins(self) -> list[str]:
        """The names of the tenant's logs, in the order in which it had them. All but the last have ended."""
        return list(dict.fromkeys(key.name for key in self.log_keys))

    def log_signers(self, note: Note, checkpoint: Checkpoint) -> list[LogKey] | None:
        """The keys that signed a checkpoint; None if a signature of one of them does not hold."""
        return signers_of(note, [key for key in self.log_keys if key.name == checkpoint.origin])

    def _handing_over(self, handover: Handover) -> list[LogKey]:
        """The keys that hand over in a handover that holds, which the next key signed too; empty otherwise."""
        evidence, to = handover.evidence, handover.to
        signers = self.log_signers(evidence.note, evidence.checkpoint) or []
        is_signed = any(signer.public_key == to.public_key for signer in signers)
        if not is_signed or to.name != evidence.checkpoint.origin or not evidence.includes(handover.leaf):
            return []
        return [signer for signer in signers if signer.key.reason() == "OK"]


def _public_key_of(vkey: str) -> bytes:
    key = parse_verifier_key(vkey)
    if key is None:
        raise KeySetError("a verifier key is NAME+ID+KEY, as the key set has them")
    return key.public_key


def _read_key_set(text: str) -> KeySet:
    try:
        members = parse_json(text.removeprefix("\ufeff"), number=float)
    except NotJson:
        raise KeySetError("the key set is not JSON; save what /api/kms/tenants/{tenant}/jwks.json answers") from None
    except Malformed as fault:
        raise KeySetError(f"the key set has a member twice, or too many levels: {fault}") from None
    listed = members.get("keys") if isinstance(members, dict) else None
    if not isinstance(listed, list):
        raise KeySetError('the key set has no list "keys"; it must be a JWKS')
    if _is_page(members, len(listed)):
        raise KeySetError("the key set is one page of the tenant's keys; save all of them, as jwks.json serves them")
    keys: dict[str, VerifyingKey] = {}
    log_keys: list[LogKey] = []
    passed_over = 0
    for i, entry in enumerate(listed):
        jwk = _jwk(entry, f"keys[{i}]")
        if _is_of_another_kind(jwk):
            passed_over += 1
            continue
        key, in_logs = _read_key(jwk, f"keys[{i}]")
        if key.key_id in keys:
            raise KeySetError(f"keys[{i}].kid is there twice; keep one")
        keys[key.key_id] = key
        log_keys += in_logs
    handovers = _each(members, "handovers", _read_handover)
    unused = _each(members, "unused_handovers", _read_unused_handover)
    return KeySet(
        keys,
        tuple(log_keys),
        handovers=tuple(each for each in handovers if isinstance(each, Handover)),
        unused_handovers=(*(each for each in handovers if isinstance(each, UnusedHandover)), *unused),
        ended_logs=tuple(_each(members, "ended_logs", _read_head)),
        passed_over=passed_over,
    )


def _each(members: Mapping[str, Any], name: str, read: Callable[[Any, str], T]) -> list[T]:
    return [read(each, f"{name}[{i}]") for i, each in enumerate(_list(members.get(name), name))]


def _is_page(members: Mapping[str, Any], keys: int) -> bool:
    """Whether the set says that there are more keys. Spans of the others would look as if they were forged."""
    token = _either(members, "next_page_token", "nextPageToken")
    total = _either(members, "total_keys", "totalKeys")
    is_whole = total is _MISSING or (isinstance(total, float) and total == keys)
    return (token is not _MISSING and token is not None and token != "") or not is_whole


_MISSING = object()


def _either(members: Mapping[str, Any], name: str, other: str) -> Any:
    value = members.get(name)
    return members.get(other, _MISSING) if value is None else value


def _jwk(entry: Any, at: str) -> Mapping[str, Any]:
    """An entry of any kind of key, as long as it is public."""
    jwk = _members(entry, at)
    secret = next((name for name in _SECRET if name in jwk), None)
    if secret is not None:
        raise KeySetError(
            f"{at} HAS A PRIVATE KEY ({secret}): whoever has read this file can sign with it. "
            "Replace the key, destroy the file, and verify by public keys"
        )
    return jwk


def _is_of_another_kind(jwk: Mapping[str, Any]) -> bool:
    """Whether the key is of a kind that may be yet to come: it must not end the others."""
    kty, crv = jwk.get("kty"), jwk.get("crv")
    return isinstance(kty, str) and (kty != "OKP" or (isinstance(crv, str) and crv != "Ed25519"))


def _read_key(jwk: Mapping[str, Any], at: str) -> tuple[VerifyingKey, list[LogKey]]:
    public_key = _read_public_key(jwk, at)
    key_id = jwk.get("kid")
    if not isinstance(key_id, str) or key_id == "":
        raise KeySetError(f"{at}.kid is missing")
    state = next((known for known in KEY_STATES if known == jwk.get("state")), None)
    if state is None:
        raise KeySetError(f"{at}.state must be one of {', '.join(KEY_STATES)}")
    key = VerifyingKey(
        key_id=key_id,
        public_key=public_key,
        state=state,
        valid_from_ms=_date(jwk.get("valid_from"), f"{at}.valid_from"),
        valid_until_ms=_date(jwk.get("valid_until"), f"{at}.valid_until"),
        is_marked=_date(jwk.get("compromised_at"), f"{at}.compromised_at") is not None,
    )
    marked = jwk.get("compromised_log")
    head = None if marked is None else _read_head(marked, f"{at}.compromised_log")
    names = [
        _read_name(vkey, public_key, f"{at}.vkeys[{i}]")
        for i, vkey in enumerate(_list(jwk.get("vkeys"), f"{at}.vkeys"))
    ]
    return key, [LogKey(name, public_key, key, head) for name in names]


def _read_public_key(jwk: Mapping[str, Any], at: str) -> bytes:
    """An Ed25519 public key that is for signatures, as RFC 8037 and RFC 7517 have it."""
    if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
        raise KeySetError(f"{at} is not an Ed25519 key (kty OKP, crv Ed25519)")
    if "alg" in jwk and jwk["alg"] not in _ALGORITHMS:
        raise KeySetError(f"{at}.alg must be one of {', '.join(_ALGORITHMS)}, or left out")
    if "use" in jwk and jwk["use"] != "sig":
        raise KeySetError(f"{at}.use must be sig, or left out")
    if "key_ops" in jwk and jwk["key_ops"] != ["verify"]:
        raise KeySetError(f'{at}.key_ops must be ["verify"], or left out')
    encoded = jwk.get("x")
    public_key = canonical_base64url(encoded) if isinstance(encoded, str) else None
    if public_key is None or len(public_key) != PUBLIC_KEY_BYTES:
        raise KeySetError(f"{at}.x must be {PUBLIC_KEY_BYTES} bytes in base64url, without padding")
    return public_key


def _read_name(vkey: Any, public_key: bytes, at: str) -> str:
    key = parse_verifier_key(_text(vkey, at))
    if key is None or key.public_key != public_key:
        raise KeySetError(f"{at} must be a verifier key of the same key")
    return key.name


def _read_head(value: Any, at: str) -> Checkpoint:
    members = _members(value, at)
    root = _base64(members.get("root"), f"{at}.root")
    if len(root) != HASH_BYTES:
        raise KeySetError(f"{at}.root must be {HASH_BYTES} bytes")
    return Checkpoint(_text(members.get("origin"), f"{at}.origin"), _index(members.get("size"), f"{at}.size"), root)


def _read_handover(value: Any, at: str) -> Handover | UnusedHandover:
    """Releases of 0.1 list a handover that was not used among the others, with an empty proof."""
    members = _members(value, at)
    entry = _base64(members.get("entry"), f"{at}.entry")
    proof = _text(members.get("proof"), f"{at}.proof")
    if proof == "":
        return _read_unused_handover(value, at)
    to, evidence = parse_handover(entry), parse_log_evidence(proof)
    if to is None or evidence is None:
        raise KeySetError(f"{at} is not a handover's entry and its log proof")
    return Handover(to, leaf_hash(entry), evidence)


def _read_unused_handover(value: Any, at: str) -> UnusedHandover:
    members = _members(value, at)
    entry = _base64(members.get("entry"), f"{at}.entry")
    if parse_handover(entry) is None:
        raise KeySetError(f"{at} is not a handover's entry")
    origin, index = _text(members.get("origin"), f"{at}.origin"), _index(members.get("leaf_index"), f"{at}.leaf_index")
    return UnusedHandover(origin, index, leaf_hash(entry))


def _members(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise KeySetError(f"{at} must be an object")
    return value


def _list(value: Any, at: str) -> list[Any]:
    """Empty if it is missing."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise KeySetError(f"{at} must be a list")
    return value


def _text(value: Any, at: str) -> str:
    if not isinstance(value, str):
        raise KeySetError(f"{at} must be text")
    return value


def _base64(value: Any, at: str) -> bytes:
    data = canonical_base64(_text(value, at))
    if data is None:
        raise KeySetError(f"{at} must be base64")
    return data


def _index(value: Any, at: str) -> int:
    index = index_of(value)
    if index is None:
        raise KeySetError(f"{at} must be a whole number, not below 0")
    return index


def _date(value: Any, at: str) -> int | None:
    """Milliseconds since 1970; None if missing. The forms are those of signed_at, with up to 9 digits of a fraction."""
    if value is None:
        return None
    text = canonical_signed_at(_PAST_MILLISECONDS.sub(r"\1", value)) if isinstance(value, str) else None
    if text is None:
        raise KeySetError(f"{at} must be a date of RFC 3339 in UTC, or null")
    return signed_at_ms(text)
