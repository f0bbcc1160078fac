"""Verifies evidence of the service by what others wrote, without anything of the service's own. One check a call: its name is the argument,
what it is about is JSON on standard input. Prints what it learned as JSON; ends with 1 and the reason where it does not verify."""

import json
import sys

import rfc8785
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


checks = {"envelope": envelope, "canonical": canonical}

try:
    print(json.dumps(checks[sys.argv[1]](json.load(sys.stdin))))
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
