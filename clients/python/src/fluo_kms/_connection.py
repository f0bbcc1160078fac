"""How a client reaches the service: TLS unless said otherwise, a token for each call, keepalive, and retries."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Both ways; the service takes no more."""

DEFAULT_TIMEOUT = 10.0
"""Seconds that a unary call may take that names no timeout of its own."""

# Calls that may be repeated, one by one: those that read, and those whose repetition changes nothing. SignSpans,
# Rotate, Validate and VerifyAudit are not among them, nor what changes a key.
_REPEATABLE = {
    "KmsService": (
        "GenerateDataKey",
        "DecryptDataKey",
        "EncryptPii",
        "DecryptPii",
        "ReEncryptPii",
        "SignSpan",
        "VerifySpan",
        "GetPublicKeys",
        "Status",
    ),
    "LogService": ("GetCheckpoint", "GetInclusionProof", "GetConsistencyProof"),
    "KeyAdminService": ("ListKeys", "ListAuditEvents"),
}
_SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [
                    {"service": f"fluo.kms.v1.{service}", "method": method}
                    for service, methods in _REPEATABLE.items()
                    for method in methods
                ],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "2s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
                },
            }
        ]
    }
)
_OPTIONS = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # A stream that waits for an answer sends nothing; without this, keepalive would end after two pings.
    ("grpc.http2.max_pings_without_data", 0),
)

_TOKEN = re.compile(r"[\x21-\x7e]+")
_PORT = re.compile(r":[0-9]{1,5}$")

Option = tuple[str, Any]


@dataclass(frozen=True)
class Connection:
    """The place of the service, and what a caller shows it. Raises ValueError for what contradicts itself."""

    target: str
    """`host:port`, or another target of gRPC."""
    insecure: bool = False
    """Whether to do without TLS."""
    ca_file: str | Path | None = None
    """PEM of the authorities to trust; those of the system unless given."""
    certificate_file: str | Path | None = None
    """PEM of the client's certificate and what it was issued by."""
    key_file: str | Path | None = None
    """PEM of the private key of that certificate."""
    has_token: bool = False
    """Whether calls show a token."""
    options: tuple[Option, ...] = ()
    """gRPC's channel options, which come after those of this module and so win."""

    def __post_init__(self) -> None:
        files = {"ca_file": self.ca_file, "certificate_file": self.certificate_file, "key_file": self.key_file}
        given = [name for name, file in files.items() if file is not None]
        if self.insecure and given:
            raise ValueError(f"{given[0]} is for TLS: leave it out, or leave out insecure")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together: give both, or neither")
        if self.insecure and self.has_token and not is_loopback(self.target):
            raise ValueError(
                "without TLS anybody on the way could read the token: "
                "leave out insecure, or connect to a loopback address"
            )

    def channel_options(self) -> list[Option]:
        """Returns gRPC's options. Without TLS no proxy is used, which could read what is meant for this machine."""
        direct = [("grpc.enable_http_proxy", 0)] if self.insecure else []
        return [*_OPTIONS, *direct, *self.options]

    def credentials(self) -> grpc.ChannelCredentials | None:
        """Reads the files; None without TLS. A renewed certificate takes effect when the client is opened again."""
        if self.insecure:
            return None
        return grpc.ssl_channel_credentials(
            root_certificates=_read(self.ca_file),
            private_key=_read(self.key_file),
            certificate_chain=_read(self.certificate_file),
        )


def is_loopback(target: str) -> bool:
    """Whether all addresses of a gRPC target are this machine by their text: no name but `localhost` is looked up."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    if target.startswith(("ipv4:", "ipv6:")):
        return all(_is_loopback_host(address) for address in target.partition(":")[2].split(","))
    if target.startswith("dns:"):
        target = target.removeprefix("dns:").rpartition("/")[2]
    return _is_loopback_host(target)


def authorization(token: object) -> str:
    """The value of the metadata `authorization`. Raises ValueError, without the token, for what cannot be one."""
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise ValueError(
            "the token function must return a token: visible ASCII characters, without spaces or line feeds"
        )
    return f"Bearer {token}"


def with_authorization(metadata: Iterable[tuple[str, Any]] | None, token: object) -> list[tuple[str, Any]]:
    """Adds the token to the metadata of a call."""
    return [*(metadata or ()), ("authorization", authorization(token))]


def _is_loopback_host(address: str) -> bool:
    host = _PORT.sub("", address) if address.count(":") == 1 or address.startswith("[") else address
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _read(file: str | Path | None) -> bytes | None:
    return None if file is None else Path(file).read_bytes()


TokenFunction = Callable[[], str]
"""Returns the token to show; asked for each call, so that it can be renewed. It may block."""
