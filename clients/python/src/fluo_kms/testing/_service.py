"""The rpcs of the fake, from the bytes of a request to a response."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.message import DecodeError, Message

from fluo.kms.v1.data_key_pb2 import (
    DecryptDataKeyRequest,
    DecryptDataKeyResponse,
    GenerateDataKeyRequest,
    GenerateDataKeyResponse,
    KeySpec,
)
from fluo.kms.v1.item_error_pb2 import ItemError
from fluo.kms.v1.key_pb2 import KeyState
from fluo.kms.v1.pii_pb2 import (
    DecryptedField,
    DecryptPiiRequest,
    DecryptPiiResponse,
    EncryptedField,
    EncryptPiiRequest,
    EncryptPiiResponse,
)
from fluo.kms.v1.signing_pb2 import SignSpanResponse, VerifyReason, VerifySpanResponse
from fluo_kms.testing._envelope import (
    KEY_ID,
    MAX_VALUE_BYTES,
    canonical_context,
    envelope_of,
    seal,
    token_of,
    unseal,
)
from fluo_kms.testing._refusals import Refused, invalid
from fluo_kms.verify import KeySet
from fluo_kms.verify._canonical import ReadSpan, read_span, resource_text, scope_text
from fluo_kms.verify._judge import Evidence, Judge, LogProof, SignedStatement
from fluo_kms.verify._malformed import Malformed
from fluo_kms.verify._messages import read_fields
from fluo_kms.verify._statement import SpanStatement, pre_authentication_encoding
from fluo_kms.verify.verdict import EXPLANATIONS

SIGNING_SEED = bytes.fromhex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")

_TENANT = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_TENANT_FORM = "must match ^[a-z0-9][a-z0-9._-]{0,62}$: lower-case ASCII, at most 63 characters"
_MAX_FIELDS, _MAX_NAME_BYTES, _MAX_TOTAL_BYTES = 1_000, 256, 2 * 1024 * 1024
_MAX_VIOLATIONS = 100
_SPEC_BYTES = {KeySpec.KEY_SPEC_UNSPECIFIED: 32, KeySpec.KEY_SPEC_AES_256: 32, KeySpec.KEY_SPEC_AES_128: 16}

Request = TypeVar("Request", bound=Message)
Clock = Callable[[], datetime]


class FakeService:
    """Answers as the service does, for any tenant, under one key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._signing_key = Ed25519PrivateKey.from_private_bytes(SIGNING_SEED)
        self._keys = KeySet.parse(self.key_set())
        self.methods: dict[str, Callable[[bytes], Message]] = {
            "GenerateDataKey": self._generate_data_key,
            "DecryptDataKey": self._decrypt_data_key,
            "EncryptPii": self._encrypt_pii,
            "DecryptPii": self._decrypt_pii,
            "SignSpan": self._sign_span,
            "VerifySpan": self._verify_span,
        }

    def key_set(self) -> str:
        """The public key as the service serves it in `jwks.json`."""
        public = self._signing_key.public_key().public_bytes_raw()
        key: dict[str, Any] = {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": base64.urlsafe_b64encode(public).decode("ascii").rstrip("="),
            "kid": KEY_ID,
            "alg": "EdDSA",
            "use": "sig",
            "state": "ACTIVE",
            "valid_from": "1970-01-01T00:00:00.000Z",
            "valid_until": None,
            "compromised_at": None,
            "vkeys": [],
            "compromised_log": None,
        }
        return json.dumps({"keys": [key], "handovers": []})

    def _generate_data_key(self, data: bytes) -> Message:
        request = _read(GenerateDataKeyRequest(), data)
        tenant = _tenant(request.tenant_id)
        if request.key_spec not in _SPEC_BYTES:
            raise invalid(("key_spec", "is not a known KeySpec"))
        context = canonical_context(tenant, "", request.encryption_context)
        plaintext = os.urandom(_SPEC_BYTES[request.key_spec])
        response = GenerateDataKeyResponse(ciphertext_blob=seal("data-key", context, plaintext), key_id=KEY_ID)
        if not request.without_plaintext:
            response.plaintext = plaintext
        return response

    def _decrypt_data_key(self, data: bytes) -> Message:
        request = _read(DecryptDataKeyRequest(), data)
        context = canonical_context(_tenant(request.tenant_id), "", request.encryption_context)
        return DecryptDataKeyResponse(plaintext=unseal("data-key", context, request.ciphertext_blob), key_id=KEY_ID)

    def _encrypt_pii(self, data: bytes) -> Message:
        request = _read(EncryptPiiRequest(), data)
        tenant = _tenant(request.tenant_id)
        _check_names([field.name for field in request.fields])
        _check_values([field.value for field in request.fields])
        pairs = request.encryption_context
        sealed = [
            EncryptedField(
                name=field.name, token=token_of(seal("pii", canonical_context(tenant, field.name, pairs), field.value))
            )
            for field in request.fields
        ]
        return EncryptPiiResponse(fields=sealed, key_id=KEY_ID)

    def _decrypt_pii(self, data: bytes) -> Message:
        request = _read(DecryptPiiRequest(), data)
        tenant = _tenant(request.tenant_id)
        _check_names([field.name for field in request.fields])
        canonical_context(tenant, "", request.encryption_context)  # refuses the whole call
        response = DecryptPiiResponse()
        for index, field in enumerate(request.fields):
            context = canonical_context(tenant, field.name, request.encryption_context)
            try:
                opened = DecryptedField(name=field.name, value=unseal("pii", context, envelope_of(field.token)))
            except Refused as refused:
                error = ItemError(code=refused.code, field=f"fields[{index}].token", message=refused.message)
                opened = DecryptedField(name=field.name, error=error)
            response.fields.append(opened)
        return response

    def _sign_span(self, data: bytes) -> Message:
        tenant, span, _ = _read_span_request(data, takes_evidence=False)
        _tenant(tenant)
        now = self._clock().astimezone(timezone.utc)
        ms = int(now.timestamp() * 1000 + 0.0005)
        signed_at = f"{now:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"
        statement = SpanStatement(span.trace_id, span.span_id, span.digest, tenant, signed_at, KEY_ID).text()
        signature = self._signing_key.sign(pre_authentication_encoding(statement))
        response = SignSpanResponse(statement=statement, signature=signature, key_id=KEY_ID)
        response.signed_at.FromMilliseconds(ms)
        for name, value in (
            ("algorithm", "EdDSA"),
            ("value", base64.b64encode(signature).decode("ascii")),
            ("key_id", KEY_ID),
            ("tenant", tenant),
            ("signed_at", signed_at),
        ):
            response.attributes.add(key=f"audit.integrity.{name}").value.string_value = value
        return response

    def _verify_span(self, data: bytes) -> Message:
        tenant, span, evidence = _read_span_request(data, takes_evidence=True)
        verdict = Judge(self._keys).span(span, _tenant(tenant), evidence).verdict
        response = VerifySpanResponse(
            verified=verdict.verified,
            reason=VerifyReason.Value(f"VERIFY_REASON_{verdict.reason}"),
            key_id=verdict.key_id or "",
            message=verdict.message or EXPLANATIONS[verdict.reason],
        )
        if verdict.key_state is not None:
            response.key_state = KeyState.Value(f"KEY_STATE_{verdict.key_state}")
        if verdict.signed_at is not None:
            response.signed_at.FromJsonString(verdict.signed_at)
        return response


def _read(request: Request, data: bytes) -> Request:
    try:
        request.ParseFromString(data)
    except DecodeError:
        raise Refused("INVALID_ARGUMENT", "the request is no protobuf message of its type") from None
    return request


def _tenant(tenant: str) -> str:
    if not _TENANT.fullmatch(tenant):
        raise invalid(("tenant_id", _TENANT_FORM if tenant else "is required"))
    return tenant


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise invalid(("fields", "at least one field is required"))
    if len(names) > _MAX_FIELDS:
        raise invalid(("fields", f"at most {_MAX_FIELDS} fields a call, not {len(names)}: split the call"))
    violations = []
    for index, name in enumerate(names):
        if name == "":
            violations.append((f"fields[{index}].name", "is required: the token opens only under the same name"))
        elif len(name.encode()) > _MAX_NAME_BYTES:
            violations.append((f"fields[{index}].name", f"at most {_MAX_NAME_BYTES} bytes"))
    if violations:
        raise invalid(*violations[:_MAX_VIOLATIONS])


def _check_values(values: Sequence[bytes]) -> None:
    violations = [
        (f"fields[{index}].value", f"at most {MAX_VALUE_BYTES} bytes")
        for index, value in enumerate(values)
        if len(value) > MAX_VALUE_BYTES
    ]
    if not violations and sum(map(len, values)) > _MAX_TOTAL_BYTES:
        violations = [("fields", f"values are at most {_MAX_TOTAL_BYTES} bytes together: split the call")]
    if violations:
        raise invalid(*violations[:_MAX_VIOLATIONS])


def _read_span_request(data: bytes, *, takes_evidence: bool) -> tuple[str, ReadSpan, Evidence | None]:
    """Tenant, span and evidence of a request about a span. Raises Refused for what could be read in two ways."""
    try:
        found = read_fields("VerifySpanRequest", data, _evidence_of)
        statement, proof = found.get("signed_statement"), found.get("log_proof")
        if not takes_evidence and (statement or proof):
            raise Malformed("is no field of the request", "signed_statement" if statement else "log_proof")
        if statement and proof:
            raise Malformed("the evidence has a second member; it is one of them", "request")
        if "span" not in found:
            raise Malformed("is missing; give the span", "span")
        span = read_span(found["span"], resource_text(found.get("resource")), scope_text(found.get("scope")))
    except Malformed as fault:
        raise invalid((fault.field or "request", fault.description)) from None
    return found.get("tenant_id", ""), span, statement or proof


def _evidence_of(message: str, data: bytes) -> Any:
    match message:
        case "SignedStatement":
            found = read_fields(message, data, _evidence_of)
            return SignedStatement(found.get("statement", b""), found.get("signature", b""))
        case "LogProof":
            found = read_fields(message, data, _evidence_of)
            return LogProof(found.get("statement", b""), found.get("proof", ""))
    return data
