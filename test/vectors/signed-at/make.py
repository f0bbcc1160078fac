"""Makes vectors.json: spellings of audit.integrity.signed_at by what clients in other languages have, and texts that are none. Run from this
folder, with Go and Java on the PATH:

    python3 -m venv venv && venv/bin/pip install protobuf==7.36.2
    venv/bin/python make.py
"""

import json
import subprocess
from datetime import datetime, timedelta, timezone

from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
SECONDS = ["0001-01-01T00:00:00", "1969-12-31T23:59:59", "2024-02-29T12:00:00", "2026-01-02T03:04:05", "9999-12-31T23:59:59"]
MILLISECONDS = [0, 1, 10, 100, 120, 123, 500, 678, 900, 999]
INSTANTS = [EPOCH.fromisoformat(second + "+00:00") + timedelta(milliseconds=ms) for second in SECONDS for ms in MILLISECONDS]


def ms_since_epoch(at):
    return (at - EPOCH) // timedelta(milliseconds=1)


def protobuf(at):
    ms = ms_since_epoch(at)
    return MessageToDict(Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000))


def spelled_by(*command):
    lines = "".join(f"{ms_since_epoch(at)}\n" for at in INSTANTS)
    output = subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in output.splitlines()]


accepted = []
for at, go, java in zip(INSTANTS, spelled_by("go", "run", "spell.go"), spelled_by("java", "Spell.java"), strict=True):
    spellings = {
        "protobuf's JSON": protobuf(at),
        "Python's isoformat": at.isoformat(),
        "Python's isoformat, in milliseconds": at.isoformat(timespec="milliseconds"),
        "Go's RFC3339Nano": go[0],
        "Go, in nanoseconds with an offset": go[1],
        "Java's Instant": java[0],
        "Java's ISO_OFFSET_DATE_TIME": java[1],
        "RFC 3339 in lower case": at.isoformat().replace("+00:00", "z"),
    }
    canonical = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    accepted += [{"by": by, "spelling": spelling, "canonical": canonical} for by, spelling in spellings.items()]

refused = {
    "nothing": "",
    "no zone": "2026-01-02T03:04:05.678",
    "another offset": "2026-01-02T04:04:05.678+01:00",
    "an unknown offset": "2026-01-02T03:04:05.678-00:00",
    "an offset without a colon": "2026-01-02T03:04:05.678+0000",
    "parts of a millisecond": "2026-01-02T03:04:05.678001Z",
    "ten digits": "2026-01-02T03:04:05.6780000000Z",
    "a point without digits": "2026-01-02T03:04:05.Z",
    "a comma": "2026-01-02T03:04:05,678Z",
    "no seconds": "2026-01-02T03:04Z",
    "a space for the T": "2026-01-02 03:04:05.678Z",
    "a lower-case t": "2026-01-02t03:04:05.678Z",
    "a day that is not there": "2026-02-29T03:04:05.678Z",
    "a month that is not there": "2026-13-01T03:04:05.678Z",
    "hour 24": "2026-01-02T24:00:00Z",
    "second 60": "2026-12-31T23:59:60Z",
    "the year 0": "0000-01-02T03:04:05.678Z",
    "five digits of a year": "12026-01-02T03:04:05.678Z",
    "a sign before the year": "+2026-01-02T03:04:05.678Z",
    "a space behind it": "2026-01-02T03:04:05.678Z ",
    "a line feed behind it": "2026-01-02T03:04:05.678Z\n",
    "digits of another script": "\uff12026-01-02T03:04:05.678Z",
    "a date in words": "Fri, 02 Jan 2026 03:04:05 GMT",
    "milliseconds since 1970": "1767323045678",
}

with open("vectors.json", "w") as out:
    rest = [{"what": what, "spelling": spelling} for what, spelling in refused.items()]
    json.dump({"accepted": accepted, "refused": rest}, out, indent=2)
    out.write("\n")
