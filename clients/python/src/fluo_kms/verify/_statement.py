"""What is signed of a span: in-toto Statements v1 in RFC 8785 form, and the times in them.

A statement is rebuilt from its parts, or parsed: bytes that cannot have been built are none. The statement of an
individual signature names its key, and is signed in the DSSE pre-authentication encoding. The statement of a log entry
names no key, because a key signs for it by a checkpoint. A handover names the signing key that follows another.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone

from fluo_kms.verify._note import VerifierKey, parse_verifier_key

_PAYLOAD_TYPE = b"application/vnd.in-toto+json"
_MAX_STATEMENT_BYTES = 1024
_MAX_ENTRY_BYTES = 4096

_TENANT = "[a-z0-9][a-z0-9._-]{0,62}"
_KEY_ID = "[0-9a-f]{32}"
_HEAD = '{"_type":"https://in-toto.io/Statement/v1","predicate":{'
_SPAN_TYPE = "https://fluo.dev/kms/compliance-span/v1"
_HANDOVER_TYPE = "https://fluo.dev/kms/key-handover/v1"


@dataclass(frozen=True, slots=True)
class SpanStatement:
    """The parts of a statement about a span."""

    trace_id: str
    """32 lower-case hex digits."""
    span_id: str
    """16 lower-case hex digits."""
    digest: str
    """SHA-256 of the canonical form, in lower-case hex."""
    tenant: str
    signed_at: str
    """The time, as `canonical_signed_at` writes it."""
    key_id: str | None = None
    """The key of an individual signature; None in a log entry."""

    def text(self) -> bytes:
        """The exact text that is signed, or that is the log's entry."""
        if self.key_id is None:
            predicate = f'"signedAt":"{self.signed_at}","tenant":"{self.tenant}"'
        else:
            tenant = json.dumps(self.tenant, ensure_ascii=False)
            predicate = f'"keyId":"{self.key_id}","signedAt":"{self.signed_at}","tenant":{tenant}'
        subject = f'{{"digest":{{"sha256":"{self.digest}"}},"name":"{self.trace_id}/{self.span_id}"}}'
        text = f'{_HEAD}{predicate}}},"predicateType":"{_SPAN_TYPE}","subject":[{subject}]}}'
        return text.encode("utf-8")


def parse_statement(statement: bytes) -> SpanStatement | None:
    """The parts of an individual signature's statement; None for bytes that cannot have been built."""
    return _parse_span(_STATEMENT, statement, _MAX_STATEMENT_BYTES)


def parse_log_statement(entry: bytes) -> SpanStatement | None:
    """The parts of a log entry about a span; None for bytes that cannot have been built."""
    return _parse_span(_LOG_STATEMENT, entry, _MAX_ENTRY_BYTES)


def parse_handover(entry: bytes) -> VerifierKey | None:
    """The key that an entry hands over to; None for bytes that cannot have been built, or whose digest is another's."""
    match = _match(_HANDOVER, entry, _MAX_ENTRY_BYTES)
    to = parse_verifier_key(match["to_vkey"]) if match else None
    if match is None or to is None or hashlib.sha256(to.public_key).hexdigest() != match["to_key_digest"]:
        return None
    return to


def _parse_span(form: re.Pattern[str], statement: bytes, most: int) -> SpanStatement | None:
    match = _match(form, statement, most)
    return SpanStatement(**match.groupdict()) if match else None


def _match(form: re.Pattern[str], statement: bytes, most: int) -> re.Match[str] | None:
    if len(statement) > most:
        return None
    match = form.fullmatch(statement.decode("latin-1"))
    return match if match and signed_at_ms(match["signed_at"]) is not None else None


def _form(predicate: str, predicate_type: str, subject: str) -> re.Pattern[str]:
    fixed = re.escape(f'}},"predicateType":"{predicate_type}","subject":[{{"digest":{{"sha256":"')
    return re.compile(f"{re.escape(_HEAD)}{predicate}{fixed}{subject}{re.escape('}]}')}")


_SIGNED_AT_PART = '"signedAt":"(?P<signed_at>[0-9TZ:.-]{24})"'
_SPAN_SUBJECT = '(?P<digest>[0-9a-f]{64})"},"name":"(?P<trace_id>[0-9a-f]{32})/(?P<span_id>[0-9a-f]{16})"'
_STATEMENT = _form(
    f'"keyId":"(?P<key_id>{_KEY_ID})",{_SIGNED_AT_PART},"tenant":"(?P<tenant>{_TENANT})"', _SPAN_TYPE, _SPAN_SUBJECT
)
_LOG_STATEMENT = _form(f'{_SIGNED_AT_PART},"tenant":"(?P<tenant>{_TENANT})"', _SPAN_TYPE, _SPAN_SUBJECT)
_HANDOVER = _form(
    f'"fromKeyId":"{_KEY_ID}",{_SIGNED_AT_PART},"tenant":"{_TENANT}","toKeyId":"(?P<to_key_id>{_KEY_ID})",'
    r'"toVkey":"(?P<to_vkey>[!#-\[\]-~]+)"',
    _HANDOVER_TYPE,
    '(?P<to_key_digest>[0-9a-f]{64})"},"name":"(?P=to_key_id)"',
)


def pre_authentication_encoding(payload: bytes) -> bytes:
    """DSSE v1.0: "DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload, lengths in ASCII decimal."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE, len(payload), payload)


_CANONICAL_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\.([0-9]{3})Z")
_SPELLING = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,3}0{0,6}))?(?:[Zz]|\+00:00)"
)


def signed_at_ms(text: str) -> int | None:
    """Milliseconds since 1970 of a time in exactly the canonical form; None for anything else, 23:59:60 too."""
    match = _CANONICAL_TIME.fullmatch(text)
    if match is None:
        return None
    try:
        moment = datetime(*map(int, re.split("[T:-]", match[1])), tzinfo=timezone.utc)  # type: ignore[misc, arg-type]
    except ValueError:
        return None  # a time that does not exist
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + int(match[2])


def canonical_signed_at(text: str) -> str | None:
    """RFC 3339 in UTC with three fraction digits and `Z`, of any spelling of the same instant.

    Protobuf's JSON, Go, Python and Java write 0 to 9 fraction digits, and `Z`, `z` or `+00:00`. None for anything else,
    and for parts of a millisecond.
    """
    match = _SPELLING.fullmatch(text)
    if match is None:
        return None
    canonical = f"{match[1]}.{(match[2] or '')[:3]:0<3}Z"
    return canonical if signed_at_ms(canonical) is not None else None


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
