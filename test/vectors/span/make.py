"""Makes accepted.json, refused.json and exported.json, from nothing of this project: OTLP's own generated messages encode the spans, rfc8785 writes the
canonical form and the statement, cryptography signs. Run from this folder:

    python3 -m venv venv && venv/bin/pip install opentelemetry-proto==1.45.2 rfc8785==0.1.4 cryptography==50.0.2
    venv/bin/python make.py && venv/bin/python make_json.py
"""

import base64
import hashlib
import json
import math
import struct

import rfc8785
from google.protobuf.json_format import MessageToJson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

TRACE = bytes.fromhex("5b8efff798038103d269b633813fc60c")
SPAN = bytes.fromhex("eee19b7ec3c1b174")
SEED = bytes(range(32))
KEY = Ed25519PrivateKey.from_private_bytes(SEED)
PUBLIC_KEY = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
KEY_ID = "00112233445566778899aabbccddeeff"
TENANT = "acme"
SIGNED_AT = "2026-01-02T03:04:05.678Z"
SIGNED_AT_MS = 1767323045678
PAYLOAD_TYPE = b"application/vnd.in-toto+json"
INTEGRITY = {"audit.integrity." + name for name in ("algorithm", "value", "key_id", "tenant", "signed_at")}


def value(v):
    """An AnyValue of a Python value; None has no member."""
    match v:
        case None:
            return AnyValue()
        case AnyValue():
            return v
        case bool():
            return AnyValue(bool_value=v)
        case str():
            return AnyValue(string_value=v)
        case int():
            return AnyValue(int_value=v)
        case float():
            return AnyValue(double_value=v)
        case bytes():
            return AnyValue(bytes_value=v)
        case list():
            return AnyValue(array_value=ArrayValue(values=[value(x) for x in v]))
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=attributes(v)))


def attributes(entries):
    return [KeyValue(key=k, value=value(v)) for k, v in entries.items()]


def canonical_value(v):
    match v.WhichOneof("value"):
        case None:
            return None
        case "string_value":
            return {"stringValue": v.string_value}
        case "bool_value":
            return {"boolValue": v.bool_value}
        case "int_value":
            return {"intValue": str(v.int_value)}
        case "double_value":
            return {"doubleValue": canonical_double(v.double_value)}
        case "array_value":
            return {"arrayValue": [canonical_value(x) for x in v.array_value.values]}
        case "kvlist_value":
            return {"kvlistValue": canonical_attributes(v.kvlist_value.values)}
        case "bytes_value":
            return {"bytesValue": base64.b64encode(v.bytes_value).decode()}


def canonical_double(d):
    if math.isnan(d):
        return "NaN"
    if math.isinf(d):
        return "Infinity" if d > 0 else "-Infinity"
    return d


def canonical_attributes(entries):
    keys = [e.key for e in entries]
    assert len(set(keys)) == len(keys)
    return {e.key: canonical_value(e.value) for e in entries}


def without_defaults(fields):
    """Leaves out what is at its default; a list's own elements are never looked into."""
    return {k: v for k, v in fields.items() if v not in ("", 0, [], {})}


def hex_id(i):
    return i.hex() if any(i) else ""


def nanos(n):
    return str(n) if n else ""


def canonical_event(e):
    return without_defaults(
        {
            "timeUnixNano": nanos(e.time_unix_nano),
            "name": e.name,
            "attributes": canonical_attributes(e.attributes),
            "droppedAttributesCount": e.dropped_attributes_count,
        }
    )


def canonical_link(link):
    return without_defaults(
        {
            "traceId": hex_id(link.trace_id),
            "spanId": hex_id(link.span_id),
            "traceState": link.trace_state,
            "attributes": canonical_attributes(link.attributes),
            "droppedAttributesCount": link.dropped_attributes_count,
        }
    )


def canonical(span, resource, scope):
    form = {
        "resource": without_defaults({"attributes": canonical_attributes(resource.attributes)}),
        "scope": without_defaults(
            {"name": scope.name, "version": scope.version, "attributes": canonical_attributes(scope.attributes)}
        ),
        "span": without_defaults(
            {
                "traceId": hex_id(span.trace_id),
                "spanId": hex_id(span.span_id),
                "traceState": span.trace_state,
                "parentSpanId": hex_id(span.parent_span_id),
                "name": span.name,
                "kind": span.kind,
                "startTimeUnixNano": nanos(span.start_time_unix_nano),
                "endTimeUnixNano": nanos(span.end_time_unix_nano),
                "attributes": canonical_attributes([a for a in span.attributes if a.key not in INTEGRITY]),
                "droppedAttributesCount": span.dropped_attributes_count,
                "events": [canonical_event(e) for e in span.events],
                "droppedEventsCount": span.dropped_events_count,
                "links": [canonical_link(link) for link in span.links],
                "droppedLinksCount": span.dropped_links_count,
                "status": without_defaults({"message": span.status.message, "code": span.status.code}),
            }
        ),
    }
    return rfc8785.dumps(without_defaults(form))


def statement(span, digest):
    return rfc8785.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": f"{span.trace_id.hex()}/{span.span_id.hex()}", "digest": {"sha256": digest}}],
            "predicateType": "https://fluo.dev/kms/compliance-span/v1",
            "predicate": {"tenant": TENANT, "keyId": KEY_ID, "signedAt": SIGNED_AT},
        }
    )


def pae(payload):
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE, len(payload), payload)


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def nested(levels):
    """A value at level 1 that holds others down to `levels`."""
    v = value("x")
    for i in range(levels - 1):
        v = value([v]) if i % 2 else AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="k", value=v)]))
    return v


def span(**fields):
    return Span(**{"trace_id": TRACE, "span_id": SPAN, **fields})


def span_with(entries):
    return span(attributes=attributes(entries))


FULL = span(
    trace_state="vendor=1,other=2",
    parent_span_id=bytes.fromhex("00f067aa0ba902b7"),
    name="POST /v1/decisions/{id}",
    kind=Span.SPAN_KIND_SERVER,
    start_time_unix_nano=1767323045000000001,
    end_time_unix_nano=1767323045678000002,
    attributes=attributes({"http.request.method": "POST", "approved": False, "http.response.status_code": 200}),
    dropped_attributes_count=1,
    events=[
        Span.Event(time_unix_nano=7, name="decided", attributes=attributes({"score": 0.5}), dropped_attributes_count=2),
        Span.Event(),
    ],
    dropped_events_count=3,
    links=[
        Span.Link(
            trace_id=TRACE[::-1],
            span_id=SPAN[::-1],
            trace_state="a=b",
            attributes=attributes({"why": "retry"}),
            dropped_attributes_count=4,
            flags=1,
        ),
        Span.Link(trace_id=bytes(16), span_id=bytes(8)),
    ],
    dropped_links_count=4294967295,
    status=Status(message="no", code=Status.STATUS_CODE_ERROR),
    flags=257,
)
RESOURCE = Resource(
    attributes=attributes({"service.name": "décisions", "host.id": "h1"}),
    dropped_attributes_count=9,
    entity_refs=[EntityRef(schema_url="https://e", type="service", id_keys=["service.name"], description_keys=["host.id"])],
)
SCOPE = InstrumentationScope(name="fluo", version="1.2.3", attributes=attributes({"x": 1}), dropped_attributes_count=5)

ACCEPTED = {
    "the two ids and nothing else": (span(), None, None),
    "every field of every message": (FULL, RESOURCE, SCOPE),
    "an empty resource, scope and status": (span(status=Status()), Resource(), InstrumentationScope()),
    "a resource of which nothing is covered": (span(), Resource(dropped_attributes_count=1), None),
    "values at their defaults": (span_with({"s": "", "b": False, "i": 0, "d": 0.0, "a": [], "m": {}, "y": b""}), None, None),
    "values that are missing or have no member": (
        span(attributes=[KeyValue(key="missing"), KeyValue(key="empty", value=AnyValue()), KeyValue(value=value(1))]),
        None,
        None,
    ),
    "texts that look like defaults": (
        span(name="0", trace_state="null", status=Status(message="[]"), events=[Span.Event(name="0")]),
        None,
        InstrumentationScope(name="{}", version="0"),
    ),
    "integers at the ends of int64": (
        span_with({"min": -(2**63), "max": 2**63 - 1, "minus": -1, "past double": 2**53 + 1, "u32": 2**32}),
        None,
        None,
    ),
    "times at the ends of fixed64": (span(start_time_unix_nano=2**64 - 1, end_time_unix_nano=1_000_000_000), None, None),
    "doubles as ECMAScript writes them": (
        span_with(
            {
                f"d{i}": d
                for i, d in enumerate(
                    [-0.0, 1.0, 1e21, 1e20, 1e-6, 1e-7, 5e-324, 1.7976931348623157e308, 0.1, 333333333.33333329, 4.5]
                    + [math.nan, math.inf, -math.inf, struct.unpack("<d", bytes.fromhex("010000000000f8ff"))[0]]
                )
            }
        ),
        None,
        None,
    ),
    "strings with everything that JSON escapes": (
        span(name='"\\/\b\f\n\r\t\u0000\u001f\u007f\u2028\u2029<>&', attributes=attributes({'k"\n': "é€😂\ufeff"})),
        None,
        None,
    ),
    "keys in the order of UTF-16 code units": (
        span_with({"\ufb33": 1, "😂": 2, "\u20ac": 3, "\r": 4, "1": 5, "\u0080": 6, "ö": 7, "": 8, "a": 9, "aa": 10, "A": 11}),
        None,
        None,
    ),
    "keys that JavaScript objects would not keep": (
        span_with({"__proto__": "x", "constructor": 1, "10": 1, "9": 2, "toString": {"__proto__": {"__proto__": 1}}}),
        None,
        None,
    ),
    "128 attributes": (span_with({f"k{i}": i for i in range(128)}), None, None),
    "arrays and maps within one another": (
        span_with({"v": [1, [None, "x", {"b": [b"\x00\xff"], "a": {}}], {"": None}, "audit.integrity.x"]}),
        None,
        None,
    ),
    "values at 32 levels": (span(attributes=[KeyValue(key="deep", value=nested(32))]), None, None),
    "the signature's attributes, which are not covered": (
        span(
            attributes=attributes(
                {
                    "b": 1,
                    "audit.integrity.value": "dmFsdWU=",
                    "audit.integrity.algorithm": "EdDSA",
                    "audit.integrity.key_id": KEY_ID,
                    "audit.integrity.tenant": TENANT,
                    "audit.integrity.signed_at": SIGNED_AT,
                    "audit.integrityx": "covered",
                }
            )
        ),
        None,
        None,
    ),
    "attributes of others that begin like the signature's, which are covered": (
        span_with({"audit.integrity.x": "y", "audit.integrity.": True, "audit.integrity.Value": 1, "audit.integrity.fluo": {"a": "b"}}),
        None,
        None,
    ),
    "128 attributes, one of which begins like the signature's": (
        span_with({**{f"k{i}": i for i in range(127)}, "audit.integrity.note": "n"}),
        None,
        None,
    ),
    "the prefix on resource, scope, event and link, where it means nothing": (
        span(
            events=[Span.Event(attributes=attributes({"audit.integrity.value": 1}))],
            links=[Span.Link(attributes=attributes({"audit.integrity.fluo.other": 2}))],
        ),
        Resource(attributes=attributes({"audit.integrity.value": "r"})),
        InstrumentationScope(attributes=attributes({"audit.integrity.x": "s"})),
    ),
}

BARE = span().SerializeToString()
ATTRIBUTE = KeyValue(key="a", value=value(1)).SerializeToString()
REFUSED = {
    "an unknown field": (BARE + field(17, b""), "span"),
    "a name twice": (BARE + field(5, b"a") + field(5, b"a"), "span.name"),
    "a name that is not UTF-8": (BARE + field(5, b"\xff"), "span.name"),
    "an encoded surrogate": (BARE + field(5, b"\xed\xa0\x80"), "span.name"),
    "an over-long encoding of UTF-8": (BARE + field(5, b"\xc0\x80"), "span.name"),
    "an attribute key twice": (BARE + field(9, ATTRIBUTE) * 2, "span.attributes[1].key"),
    "129 attributes": (span_with({f"k{i}": i for i in range(129)}).SerializeToString(), "span.attributes[128]"),
    "values at 33 levels": (span(attributes=[KeyValue(key="deep", value=nested(33))]).SerializeToString(), None),
    "an id in hex where base64 was due": (span(trace_id=base64.b64decode(TRACE.hex())).SerializeToString(), "span.trace_id"),
    "a trace id of zeros": (span(trace_id=bytes(16)).SerializeToString(), "span.trace_id"),
    "an unknown kind": (span(kind=6).SerializeToString(), "span.kind"),
    "a negative kind": (span(kind=-1).SerializeToString(), "span.kind"),
    "an attribute of a reserved name": (span_with({"audit.integrity.fluo.x": "y"}).SerializeToString(), "span.attributes[0].key"),
    "a reserved name without more": (span_with({"audit.integrity.fluo.": "y"}).SerializeToString(), "span.attributes[0].key"),
    "128 attributes, and one that begins like the signature's": (
        span_with({**{f"k{i}": i for i in range(128)}, "audit.integrity.x": "y"}).SerializeToString(),
        "span.attributes[128]",
    ),
    "a signature's attribute twice": (
        span(attributes=attributes({"audit.integrity.value": "a"}) * 2).SerializeToString(),
        "span.attributes[1].key",
    ),
    "a signature's attribute that is no string": (span_with({"audit.integrity.value": 1}).SerializeToString(), "span.attributes[0].value"),
}


def accepted(name, s, resource, scope):
    form = canonical(s, resource or Resource(), scope or InstrumentationScope())
    digest = hashlib.sha256(form).hexdigest()
    payload = statement(s, digest)
    request = field(1, TENANT.encode()) + field(2, s.SerializeToString())
    if resource is not None:
        request += field(3, resource.SerializeToString())
    if scope is not None:
        request += field(4, scope.SerializeToString())
    exported = ResourceSpans(resource=resource, scope_spans=[ScopeSpans(scope=scope, spans=[s])], schema_url="https://x")
    return {
        "name": name,
        "signSpanRequest": request.hex(),
        "resourceSpans": exported.SerializeToString().hex(),
        "canonical": form.decode(),
        "statement": payload.decode(),
        "preAuthenticationEncoding": pae(payload).hex(),
        "signature": KEY.sign(pae(payload)).hex(),
    }


def signed(s, resource, scope):
    """The span with the attributes of its signature, as SignSpan would put them on it."""
    digest = hashlib.sha256(canonical(s, resource, scope)).hexdigest()
    entries = {
        "audit.integrity.algorithm": "EdDSA",
        "audit.integrity.value": base64.b64encode(KEY.sign(pae(statement(s, digest)))).decode(),
        "audit.integrity.key_id": KEY_ID,
        "audit.integrity.tenant": TENANT,
        "audit.integrity.signed_at": SIGNED_AT,
    }
    out = Span()
    out.CopyFrom(s)
    out.attributes.extend(attributes(entries))
    return out


def signed_export():
    """Signed spans with and without resource, scope, parent, events and links, in two ResourceSpans."""
    doubles, values = (ACCEPTED[name][0] for name in ("doubles as ECMAScript writes them", "arrays and maps within one another"))
    bare = span(span_id=SPAN[::-1])
    with_scope = [signed(s, RESOURCE, SCOPE) for s in (FULL, doubles)]
    without = [signed(s, Resource(), InstrumentationScope()) for s in (values, bare)]
    return TracesData(
        resource_spans=[
            ResourceSpans(resource=RESOURCE, scope_spans=[ScopeSpans(scope=SCOPE, spans=with_scope)], schema_url="https://x"),
            ResourceSpans(scope_spans=[ScopeSpans(spans=[s]) for s in without]),
        ]
    )


def write(path, content):
    with open(path, "w", encoding="utf-8") as out:
        json.dump(content, out, indent=1, ensure_ascii=True)
        out.write("\n")


def vkey(name):
    encoded = b"\x01" + PUBLIC_KEY
    key_hash = hashlib.sha256(name.encode() + b"\n" + encoded).digest()[:4]
    return f"{name}+{key_hash.hex()}+{base64.b64encode(encoded).decode()}"


if __name__ == "__main__":
    write(
        "accepted.json",
        {
            "seed": SEED.hex(),
            "publicKey": PUBLIC_KEY.hex(),
            "keyId": KEY_ID,
            "tenant": TENANT,
            "signedAt": SIGNED_AT,
            "signedAtMs": SIGNED_AT_MS,
            "vkey": {"name": "kms.example.com/acme", "text": vkey("kms.example.com/acme")},
            "spans": [accepted(name, *parts) for name, parts in ACCEPTED.items()],
        },
    )
    write("refused.json", [{"name": n, "span": b.hex(), "field": f} for n, (b, f) in REFUSED.items()])
    EXPORT = signed_export()
    write(
        "exported.json",
        {
            "protobuf": EXPORT.SerializeToString().hex(),
            "json": {
                "MessageToJson": MessageToJson(EXPORT),
                "preserving_proto_field_name": MessageToJson(EXPORT, preserving_proto_field_name=True),
                "use_integers_for_enums": MessageToJson(EXPORT, use_integers_for_enums=True),
                "indent=None": MessageToJson(EXPORT, indent=None),
            },
        },
    )
