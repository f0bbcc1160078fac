"""Makes rows.json, from nothing of this project: the rows of a store as they were in schema version 5, and what a service of version 6 writes
behind them. Each HMAC is SHA-256 under the store key over label, table, row version and values: null is 0x00; a whole number 0x01 and a double;
text 0x02, its length in four bytes, and UTF-8; bytes 0x03 likewise; big-endian. Columns that came later follow as name and value, unless null.
An audit row's HMAC also covers that of the row before it, which comes last. Run from this folder:

    python3 make.py
"""

import hashlib
import hmac
import json
import struct

STORE_KEY = bytes(range(32))
WRITER = "000102030405060708090a0b0c0d0e0f"
LATER_WRITER = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
FIRST_KEY = "00112233445566778899aabbccddeeff"
SECOND_KEY = "ffeeddccbbaa99887766554433221100"
AT = 1767323045678

KEY_COLUMNS = ["key_id", "tenant_id", "purpose", "version", "state", "provider", "provider_key_id", "wrapped", "public_key",
               "created_at", "activated_at", "retired_at", "compromised_at", "destroy_at", "previous_state"]
LATER_KEY_COLUMNS = ["destroy_by", "destroy_confirmed_by", "destroy_rule", "destroy_requested_at", "destroy_days"]
AUDIT_COLUMNS = ["writer_id", "sequence", "at", "actor", "action", "tenant_id", "purpose", "key_id", "outcome", "request_id", "count"]
LATER_AUDIT_COLUMNS = ["rule"]


def encoded(value):
    if value is None:
        return b"\0"
    if isinstance(value, int):
        return b"\1" + struct.pack(">d", value)
    data = value.encode() if isinstance(value, str) else value
    return (b"\2" if isinstance(value, str) else b"\3") + struct.pack(">I", len(data)) + data


def mac(table, values):
    parts = ["fluo-kms/v1/row", table, 1, *values]
    return hmac.new(STORE_KEY, b"".join(encoded(part) for part in parts), hashlib.sha256).digest()


def row(table, columns, values, later=(), named=None, previous=()):
    named = named or {}
    covered = [*values, *(part for column in later if column in named for part in (column, named[column])), *previous]
    return {**dict(zip(columns, values)), **named, "mac": mac(table, covered)}


def key(key_id, purpose, state, named=None, **changes):
    values = dict(zip(KEY_COLUMNS, [key_id, "acme", purpose, 1, state, "local", "local:00", bytes(60), bytes(32), AT, AT, None, None, None, None]))
    return row("kms_keys", KEY_COLUMNS, [*{**values, **changes}.values()], LATER_KEY_COLUMNS, named)


def trail(writer, events):
    rows, previous = [], b""
    for number, (actor, action, key_id, outcome, count, named) in enumerate(events, 1):
        purpose = {FIRST_KEY: "data", SECOND_KEY: "signing"}.get(key_id)
        values = [writer, number, AT + number, actor, action, "acme", purpose, key_id, outcome, "", count]
        rows.append(row("kms_audit", AUDIT_COLUMNS, values, LATER_AUDIT_COLUMNS, named, [previous]))
        previous = rows[-1]["mac"]
    return rows, row("kms_audit_writers", ["writer_id", "sequence", "head"], [writer, len(rows), previous])


def store(writers):
    columns = ["id", "store_id", "provider", "provider_key_id", "wrapped", "created_at", "writers"]
    return row("kms_store", columns, [1, "0f" * 16, "local", "local:00", bytes(60), AT, writers])


def shown(value):
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def tables(**rows):
    return {name: [{column: shown(value) for column, value in each.items()} for each in some] for name, some in rows.items()}


before, head = trail(WRITER, [
    ("anonymous", "create", FIRST_KEY, "OK", 1, None),
    ("anonymous", "create", SECOND_KEY, "OK", 1, None),
    ("anonymous", "encrypt_pii", FIRST_KEY, "OK", 21, None),
    ("anonymous", "decrypt_pii", "", "CIPHERTEXT_REJECTED", 2, None),
])
after, later_head = trail(LATER_WRITER, [
    ("jwt:sso:ann", "request_destruction", FIRST_KEY, "OK", 1, {"rule": "ops"}),
    ("token:bob", "schedule_destruction", SECOND_KEY, "OK", 1, {"rule": "destroyers"}),
    ("token:eve", "decrypt_pii", "", "PERMISSION_DENIED", 3, None),
    ("token:web", "encrypt_pii", FIRST_KEY, "OK", 4, {"rule": "web"}),
])
requested = {"destroy_by": "jwt:sso:ann", "destroy_rule": "ops", "destroy_requested_at": AT + 1, "destroy_days": 7}
confirmed = {"destroy_by": "jwt:sso:ann", "destroy_confirmed_by": "token:bob"}
scheduled = {"destroy_at": AT + 604800000, "previous_state": "ACTIVE"}

print(json.dumps({
    "storeKey": STORE_KEY.hex(),
    "version5": tables(
        kms_store=[store(1)],
        kms_keys=[key(FIRST_KEY, "data", "ACTIVE"), key(SECOND_KEY, "signing", "ACTIVE")],
        kms_audit=before,
        kms_audit_writers=[head],
    ),
    "version6": tables(
        kms_store=[store(2)],
        kms_keys=[key(FIRST_KEY, "data", "ACTIVE", requested), key(SECOND_KEY, "signing", "DESTROY_SCHEDULED", confirmed, **scheduled)],
        kms_audit=before + after,
        kms_audit_writers=[head, later_head],
    ),
}, indent=1), file=open("rows.json", "w"))
