"""Verifies evidence of the service by what others wrote, without anything of the service's own. One check a call: its name is the argument,
what it is about is JSON on standard input. Prints what it learned as JSON; ends with 1 and the reason where it does not verify."""

import json
import sys
from datetime import datetime, timedelta, timezone

import rfc8785
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey


def envelope(given):
    """A DSSE envelope by a key: 32 bytes in hex."""
    key = SSlibKey(given["keyId"], "ed25519", "ed25519", {"public": given["publicKey"]})
    return {"accepted": list(Envelope.from_dict(given["envelope"]).verify([key], 1))}


def canonical(given):
    """Which of these texts are not the canonical form of what they say, by their places. All numbers of RFC 8785 are doubles."""
    forms = [rfc8785.dumps(json.loads(text, parse_int=float)) for text in given["texts"]]
    return {"others": [i for i, text in enumerate(given["texts"]) if forms[i] != text.encode()]}


def instants(given):
    """Each instant, in milliseconds since 1970, as protobuf's JSON and Python's datetime spell it."""
    return {"spellings": [spellings(ms) for ms in given["instants"]]}


def spellings(ms):
    at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=ms)
    timestamp = Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)
    micros = f"{at:%m-%dT%H:%M:%S.%fZ}"
    return [MessageToDict(timestamp), at.isoformat(), at.isoformat(timespec="milliseconds"), f"{at.year:04}-{micros}"]


checks = {"envelope": envelope, "canonical": canonical, "instants": instants}

try:
    print(json.dumps(checks[sys.argv[1]](json.load(sys.stdin))))
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
