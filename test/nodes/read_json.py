"""Reads a request in JSON a line, in base64 behind the name of its message, and prints the digest of its value, or `refused`."""

import base64
import hashlib
import json
import struct
import sys


def written(value):
    if value is None:
        return "n"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, float):
        return "d" + struct.pack(">d", value).hex()
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, list):
        return "[" + "".join(map(written, value)) + "]"
    return "{" + "".join(sorted(text_of(name) + written(inner) for name, inner in value.items())) + "}"


def text_of(text):
    return "s" + text.encode("utf-16-be", "surrogatepass").hex() + ";"


def members(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member is there twice")
    return found


def refuse(word):
    raise ValueError(word)


def digest(line):
    try:
        text = base64.b64decode(line.split()[1]).decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=members, parse_int=float, parse_constant=refuse)
    except (ValueError, IndexError, RecursionError):
        return "refused"
    return hashlib.sha256(written(value).encode()).hexdigest()[:16]


for each in sys.stdin:
    print(digest(each))
