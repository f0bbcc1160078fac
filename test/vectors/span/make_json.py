"""Makes json.json and key-sets.json: texts of exports and key sets, each with what every reader says of it. Run as make.py says.

Each export is signed for what its text means, or, where the text is to be refused, for what a lenient reader would take it for: whoever
reads such a number loosely says OK.
"""

import base64
import json
import math

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from make import KEY_ID, PUBLIC_KEY, SPAN, TRACE, attributes, signed, span, span_with, vkey, write

REFUSED = object()
"""In the place of what is meant: the text is refused."""


def export(evidence, member="", attribute="", ids=None):
    """The text of an export of one span. `evidence` is a signed span, whose own attributes are put on it."""
    ids = ids or f'"traceId":"{TRACE.hex()}","spanId":"{SPAN.hex()}"'
    own = [
        json.dumps({"key": a.key, "value": {"stringValue": a.value.string_value}})
        for a in evidence.attributes
        if a.key in {"audit.integrity." + n for n in ("algorithm", "value", "key_id", "tenant", "signed_at")}
    ]
    listed = ",".join(([attribute] if attribute else []) + own)
    members = ",".join([ids, '"name":"n"'] + ([member] if member else []) + [f'"attributes":[{listed}]'])
    return f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{members}}}]}}]}}]}}'


def signed_span(**fields):
    return signed(span(**{"name": "n", **fields}), Resource(), InstrumentationScope())


def number_cases():
    """(field, token as in the text, what it means or is taken for, whether it is refused)"""
    same = {
        17: ["17", '"17"', "17.0", '"17.0"', "1.7e1", '"1.7E+1"', "170e-1", "0.00000000000000000017e+20", "17e0"],
        0: ["-0", '"-0"', "0.0", "0e99999999999999999999", "-0.00e-7"],
        1764243203000000050: [
            "1764243203000000050",
            '"1764243203000000050"',
            "1.76424320300000005e18",
            '"1.76424320300000005e18"',
            "1764243203000000050.000",
            "17642432030000000500e-1",
        ],
        9007199254740993: ["9007199254740993", '"9007199254740993"', "9.007199254740993E15"],
    }
    loose = {
        17: ['" 17"', '"17 "', '"17\\n"', '"+17"', '"0x11"', '"0b10001"', '"0o21"', '"017"', '"1_7"', '"17n"', '"17."']
        + ['"\\u0661\\u0667"', '"\\uff11\\uff17"', '"17\\u0000"', "[17]", '{"value":17}', "17.5", '"17.5"', '"17,0"', '"1 7"'],
        0: ['""', '" "', '"-"', '"0x"', '"NaN"', "false", "1e-1", "1e-400", "1e-99999999999", '"null"', "{}", "[]"],
        1: ["true", '"true"', '"1e"', '"1e+"', '"1.e0"'],
        1764243203000000000: ["1764243203000000000.5", "1.7642432030000000005e18", '"1764243203000000000.000001"'],
    }
    signed_only = {
        -17: ["-17", '"-17"', "-1.7e1"],
        2**63 - 1: ["9223372036854775807", "9223372036854775807.0", "9.223372036854775807e18"],
        -(2**63): ["-9223372036854775808", '"-9223372036854775808"', "-9223372036854775808.0", "-9.223372036854775808e18"],
    }
    too_large = ["9223372036854775808", '"9223372036854775808"', "9223372036854775808.0", "1e19", "1e400", "1e99999999999"]
    for token, meant, refused in (
        [(t, n, False) for n, ts in {**same, **signed_only}.items() for t in ts]
        + [(t, n, True) for n, ts in loose.items() for t in ts]
        + [(t, 2**63 - 1, True) for t in too_large]
        + [(t, -(2**63), True) for t in ("-9223372036854775809", "-9223372036854775808.5", "-1e19")]
    ):
        yield "intValue", token, meant, refused
    unsigned_only = {
        2**63: ["9223372036854775808", "9223372036854775808.0", "9.223372036854775808e18"],
        2**64 - 1: ["18446744073709551615", '"18446744073709551615"', "18446744073709551615.0", "1.8446744073709551615e19"],
    }
    for token, meant, refused in (
        [(t, n, False) for n, ts in {**same, **unsigned_only}.items() for t in ts]
        + [(t, n, True) for n, ts in loose.items() for t in ts]
        + [(t, 2**64 - 1, True) for t in ("18446744073709551616", "18446744073709551615.5", "1e20", "-1", '"-1"', "1e99999999999")]
    ):
        yield "startTimeUnixNano", token, meant, refused
    for token, meant, refused in [
        *[(t, 3, False) for t in ("3", '"3"', "3.0", '"3.0"', "3e0", "0.3e1", "30e-1")],
        *[(t, 2**32 - 1, False) for t in ("4294967295", '"4294967295"', "4.294967295e9")],
        *[(t, 3, True) for t in ('" 3"', '"3 "', '"+3"', '"0x3"', '"03"', "3.5", '"3."', '"\\u0663"', "[3]")],
        *[(t, 0, True) for t in ('""', "-1", "4294967296", '"4294967296"', "0.1", "false", '"NaN"', "1e-9", "1e99999999999")],
        *[(t, 1, True) for t in ("true", "4294967297", '".1e1"')],
    ]:
        yield "droppedEventsCount", token, meant, refused
        yield "flags", token, meant, refused
    for token, meant, refused in [
        *[(t, 2, False) for t in ("2", "2.0", "0.2e1", '"SPAN_KIND_SERVER"')],
        *[(t, 2, True) for t in ('"2"', '" SPAN_KIND_SERVER"', '"SERVER"', '"span_kind_server"', "2.5", "[2]", "4294967298")],
        *[(t, 0, True) for t in ("6", "-1", '""', "false", "2147483648", "1e99999999999")],
    ]:
        yield "kind", token, meant, refused
    for token, meant, refused in [
        *[(t, 2, False) for t in ("2", "2e0", '"STATUS_CODE_ERROR"')],
        *[(t, 2, True) for t in ('"2"', '"ERROR"', "2.5")],
        ("3", 0, True),
    ]:
        yield "code", token, meant, refused
    for token, meant, refused in [
        *[(t, 1.5, False) for t in ("1.5", '"1.5"', "15e-1", '"0.15E+1"')],
        *[(t, 17.0, False) for t in ("17", '"17"', "17" + "0" * 900 + "e-900", "0." + "0" * 20000 + "17e20002")],
        ("17" + "0" * 900 + "e-800", 17e100, False),
        *[(t, 0.1, False) for t in ("0.1", "0.1000000000000000055511151231257827021181583404541015625", "0.10000000000000000000001")],
        *[(t, 9007199254740992.0, False) for t in ("9007199254740992", "9007199254740993", '"9007199254740993"')],
        *[(t, 0.0, False) for t in ("-0.0", '"-0"', "1e-400", "1e-99999999999", "0e99999999999")],
        *[(t, 5e-324, False) for t in ("5e-324", "4e-324", "2.5e-324")],
        *[(t, 1.7976931348623157e308, False) for t in ("1.7976931348623157e308", "1.7976931348623158e308")],
        ('"NaN"', math.nan, False),
        ('"Infinity"', math.inf, False),
        ('"-Infinity"', -math.inf, False),
        *[(t, math.inf, True) for t in ("1e400", '"1e400"', "1.7976931348623159e308", "1e99999999999", '"+Infinity"', '"inf"')],
        *[(t, math.inf, True) for t in ('"INFINITY"', '" Infinity"')],
        *[(t, math.nan, True) for t in ('"nan"', '"NAN"', '"-NaN"', '" NaN"')],
        *[(t, 1.5, True) for t in ('"+1.5"', '" 1.5"', '"1.5 "', '"01.5"', '"1.5d"', '"1.5f"', '"0x1.8p0"', '"1_0.5"', '"1,5"', "[1.5]")],
        *[(t, 0.5, True) for t in ('".5"', '"-.5"')],
        *[(t, 5.0, True) for t in ('"5."', '"5.e0"', '"\\u0665"')],
        *[(t, 0.0, True) for t in ('""', '" "', "false", "{}", '"null"')],
        ("true", 1.0, True),
    ]:
        yield "doubleValue", token, meant, refused


def number_texts():
    for field, token, meant, refused in number_cases():
        attribute = member = ""
        if field in ("intValue", "doubleValue"):
            v = AnyValue(int_value=meant) if field == "intValue" else AnyValue(double_value=meant)
            evidence, attribute = signed_span(attributes=attributes({"a": v})), f'{{"key":"a","value":{{"{field}":{token}}}}}'
        elif field == "code":
            evidence, member = signed_span(status=Status(code=meant)), f'"status":{{"code":{token}}}'
        else:
            known = {"startTimeUnixNano": "start_time_unix_nano", "droppedEventsCount": "dropped_events_count"}
            evidence, member = signed_span(**{known.get(field, field): meant}), f'"{field}":{token}'
        said = "MALFORMED" if refused else "OK"
        yield f"{field} {token}", export(evidence, member, attribute), [said]


def value_texts():
    """Values of other types, ids and base64."""
    plain = signed_span()
    for member, fields in [
        ('"traceState":17', {"trace_state": "17"}),
        ('"traceState":9007199254740993', {"trace_state": "9007199254740993"}),
        ('"traceState":true', {"trace_state": "true"}),
        ('"traceState":null', {}),
    ]:
        yield member, export(signed_span(**fields), member), ["OK" if "null" in member else "MALFORMED"]
    yield (
        "a name that is a number past 2^53",
        export(signed_span(name="9007199254740993")).replace('"name":"n"', '"name":9007199254740993'),
        ["MALFORMED"],
    )
    for value, meant, said in [
        ('{"stringValue":9007199254740993}', "9007199254740993", "MALFORMED"),
        ('{"stringValue":"9007199254740993"}', "9007199254740993", "OK"),
        ('{"boolValue":"true"}', True, "MALFORMED"),
        ('{"boolValue":1}', True, "MALFORMED"),
        ('{"boolValue":0}', False, "MALFORMED"),
        ('{"boolValue":true}', True, "OK"),
        ('{"intValue":"1","doubleValue":1}', 1, "MALFORMED"),
        ('{"intValue":null}', None, "OK"),
        ("{}", None, "OK"),
        ("null", None, "OK"),
        *[(f'{{"bytesValue":"{text}"}}', b"\xfb\xff\xfe\x01", "OK") for text in ("+//+AQ==", "+//+AQ", "-__-AQ==", "-__-AQ")],
        *[
            (f'{{"bytesValue":"{text}"}}', b"\xfb\xff\xfe\x01", "MALFORMED")
            for text in ("+//+AR==", "+//+AQ=", "+//+AQ===", " +//+AQ==", "+//+\\nAQ==", "+//+AQ==AA==", "+w==//4B", "+//+AQ==*")
        ],
        ('{"doubleValue":17%se-900}' % ("0" * 900), 1.7e-101, "SIGNATURE_MISMATCH"),
        ('{"bytesValue":"fbfffe01"}', b"\xfb\xff\xfe\x01", "SIGNATURE_MISMATCH"),
        ('{"bytesValue":""}', b"", "OK"),
        ('{"bytesValue":"="}', b"", "MALFORMED"),
        ('{"bytesValue":"A"}', b"", "MALFORMED"),
        ('{"bytesValue":null}', None, "OK"),
    ]:
        yield value, export(signed_span(attributes=attributes({"a": meant})), "", f'{{"key":"a","value":{value}}}'), [said]
    trace, own = base64.b64encode(TRACE).decode(), base64.b64encode(SPAN).decode()
    for trace_id, span_id, said in [
        (TRACE.hex().upper(), SPAN.hex().upper(), "OK"),
        (trace, own, "OK"),
        (trace.rstrip("="), own.rstrip("="), "OK"),
        (trace.replace("+", "-").replace("/", "_"), own, "OK"),
        (trace[:-1], own, "MALFORMED"),
        (trace + "=", own, "MALFORMED"),
        (" " + TRACE.hex(), SPAN.hex(), "MALFORMED"),
        ("0x" + TRACE.hex()[2:], SPAN.hex(), "MALFORMED"),
        (TRACE.hex()[:-1] + "\uff10", SPAN.hex(), "MALFORMED"),
        (trace, own[:-2] + "R=", "MALFORMED"),
        ("", SPAN.hex(), "MALFORMED"),
    ]:
        ids = f'"traceId":{json.dumps(trace_id)},"spanId":{json.dumps(span_id)}'
        yield f"ids {trace_id} and {span_id}", export(plain, ids=ids), [said]


def document_texts():
    good, pretty = export(signed_span()), json.dumps(json.loads(export(signed_span())), indent=2)
    mark = "\ufeff"
    yield "one document", good, ["OK"]
    yield "one document over many lines", pretty, ["OK"]
    yield "a byte order mark in front", mark + good, ["OK"]
    yield "a byte order mark in front of many lines", mark + pretty, ["OK"]
    yield "a byte order mark in front of two documents", f"{mark}{good}\n{good}\n", ["OK", "OK"]
    yield "two byte order marks", mark + mark + good, "unreadable"
    yield "a byte order mark behind a space", f" {mark}{good}", "unreadable"
    yield "a byte order mark behind the document", good + mark, "unreadable"
    yield "a byte order mark in front of the second document", f"{good}\n{mark}{good}", "unreadable"
    yield "a byte order mark alone on a line", f"{good}\n{mark}\n{good}", "unreadable"
    yield "a byte order mark alone", mark, []
    yield "white space alone", " \t\r\n \n", []
    yield "blank lines of JSON's white space", f"\n \t\r\n{good}\r\n\t\n{good}\n", ["OK", "OK"]
    for name, char in [("no-break space", "\xa0"), ("ideographic space", "\u3000"), ("line separator", "\u2028"), ("form feed", "\f"), ("vertical tab", "\v")]:
        yield f"a line of a {name}", f"{good}\n{char}\n{good}", "unreadable"
        yield f"a {name} behind the document", good + char, "unreadable"
    yield "a member twice", good.replace('"name":"n"', '"name":"m","name":"n"'), ["MALFORMED"]
    yield "a member twice, once escaped", good.replace('"name":"n"', '"n\\u0061me":"m","name":"n"'), ["MALFORMED"]
    yield "a member by both its names", good.replace('"traceId":', f'"trace_id":"{TRACE.hex()}","traceId":'), ["MALFORMED"]
    yield "an unknown member", good.replace('"name":"n"', '"name":"n","names":"n"'), ["MALFORMED"]
    yield "a name with half of a surrogate pair", good.replace('"name":"n"', '"name":"\\ud800"'), ["MALFORMED"]
    yield "another document's member", good.replace('{"resourceSpans"', '{"more":1,"resourceSpans"'), "unreadable"
    for name, text in [("a comma too many", good[:-1] + ",}"), ("a comment", "//\n" + good), ("single quotes", good.replace('"', "'"))]:
        yield name, text, "unreadable"
    for token in ("017", "+17", "0x11", ".5", "5.", "NaN", "Infinity", "-", "1e", "1_7", "True"):
        yield f"a bare {token}", good.replace('"name":"n"', f'"name":"n","droppedEventsCount":{token}'), "unreadable"


def nested_texts():
    """Lists in a member that is unknown, within seven lists and objects of the export itself."""
    good = export(signed_span())
    for lists, said in [(1, ["MALFORMED"]), (504, ["MALFORMED"]), (505, ["MALFORMED"]), (506, "unreadable"), (507, "unreadable"), (3000, "unreadable")]:
        for inner in ("", "1"):
            text = good.replace('"name":"n"', f'"name":"n","x":{"[" * lists}{inner}{"]" * lists}')
            yield f"{lists} lists around {inner or 'nothing'}", text, said
            yield f"{lists} lists around {inner or 'nothing'}, and what is no JSON", text + "x", "unreadable"


def attribute_texts():
    foreign = signed_span(attributes=attributes({"audit.integrity.x": "y"}))
    listed = '{"key":"audit.integrity.x","value":{"stringValue":"%s"}}'
    yield "somebody else's audit.integrity.x", export(foreign, "", listed % "y"), ["OK"]
    yield "somebody else's audit.integrity.x, changed", export(foreign, "", listed % "z"), ["SIGNATURE_MISMATCH"]
    yield "somebody else's audit.integrity.x, removed", export(foreign), ["SIGNATURE_MISMATCH"]
    yield "an audit.integrity.x that came later", export(signed_span(), "", listed % "y"), ["SIGNATURE_MISMATCH"]
    for key in ("audit.integrity.fluo.", "audit.integrity.fluo.x", "audit.integrity.fluo.value"):
        evidence = signed_span(attributes=attributes({key: "y"}))
        yield f"the reserved name {key}", export(evidence, "", '{"key":"%s","value":{"stringValue":"y"}}' % key), ["MALFORMED"]
    fluo = signed_span(attributes=attributes({"audit.integrity.fluo": "y"}))
    yield "audit.integrity.fluo, which is not reserved", export(fluo, "", '{"key":"audit.integrity.fluo","value":{"stringValue":"y"}}'), ["OK"]


def jwk(**more):
    x = base64.urlsafe_b64encode(PUBLIC_KEY).decode().rstrip("=")
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": KEY_ID, "alg": "EdDSA", "use": "sig", "state": "ACTIVE", **more}


def key_set(*keys, **more):
    return json.dumps({"keys": list(keys), **more})


def key_sets():
    """(name, text, ids of the keys that are read, or None where the text is refused)"""
    good = key_set(jwk())
    unknown = {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "other", "state": "UNHEARD-OF", "valid_from": 7, "vkeys": 7}
    mark = "\ufeff"
    yield "the key alone", good, [KEY_ID]
    yield "its vkey", key_set(jwk(vkeys=[vkey("kms.example.com/acme")])), [KEY_ID]
    yield "a byte order mark in front", mark + good, [KEY_ID]
    yield "two byte order marks", mark + mark + good, None
    yield "a byte order mark behind", good + mark, None
    yield "a byte order mark behind a space", f" {mark}{good}", None
    yield "a no-break space behind", good + "\xa0", None
    yield "a post-quantum key beside it", key_set(jwk(), unknown), [KEY_ID]
    yield "a post-quantum key before it", key_set(unknown, jwk()), [KEY_ID]
    yield "a post-quantum key of the same id", key_set(jwk(), {**unknown, "kid": KEY_ID}), [KEY_ID]
    yield "a post-quantum key alone", key_set(unknown), []
    yield "an EC key beside it", key_set(jwk(), {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}), [KEY_ID]
    yield "an RSA key with nothing in it", key_set(jwk(), {"kty": "RSA"}), [KEY_ID]
    yield "a kty that is no name at all", key_set(jwk(), {"kty": ""}), [KEY_ID]
    yield "kty in small letters", key_set(jwk(), jwk(kty="okp")), [KEY_ID]
    yield "an Ed448 key beside it", key_set(jwk(), jwk(crv="Ed448", kid="other")), [KEY_ID]
    yield "an X25519 key beside it", key_set(jwk(), {"kty": "OKP", "crv": "X25519", "x": "AAAA", "use": "enc"}), [KEY_ID]
    yield "as many keys as are said, one of them unknown", key_set(jwk(), unknown, total_keys=2), [KEY_ID]
    yield "fewer keys than are said, without the unknown one", key_set(jwk(), unknown, total_keys=1), None
    yield "no keys", key_set(), []
    yield "no kty", key_set({**unknown, "kty": None}), None
    yield "a kty that is a number", key_set(jwk(), {**unknown, "kty": 7}), None
    yield "an OKP key without crv", key_set(jwk(crv=None)), None
    yield "a crv that is a number", key_set(jwk(crv=7)), None
    yield "a key that is null", key_set(jwk(), None), None
    yield "a key that is a list", key_set(jwk(), []), None
    for date in (
        *("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.1Z", "2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.999999999z"),
        *("2026-01-02T03:04:05+00:00", "2024-02-29T00:00:00.000Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", None),
    ):
        yield f"the date {date}", key_set(jwk(valid_from=date)), [KEY_ID]
    for date in (
        *("2026-01-02", "2026-01-02T03:04Z", "2026-01-02T03:04:05", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05.1234567890Z"),
        *("2026-01-02T03:04:05,1Z", "2026-01-02t03:04:05Z", "2026-01-02 03:04:05Z", "2026-01-02T03:04:05-00:00", "2026-01-02T03:04:05+01:00"),
        *("2026-01-02T03:04:05+0000", "2026-02-30T03:04:05Z", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-02T24:00:00Z"),
        *("2026-01-02T03:04:60Z", "0000-01-01T00:00:00Z", "+002026-01-02T03:04:05Z", " 2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z\n", ""),
        *("2026-01-02T03:04:05.\u0661Z", "Fri, 02 Jan 2026 03:04:05 GMT", "1767323045678", 1767323045678, True, [], {}),
    ):
        yield f"the date {json.dumps(date)}", key_set(jwk(valid_from=date)), None
    for member in ("d", "k", "priv"):
        yield f"{member} on the key", key_set(jwk(**{member: "AAAA"})), None
        yield f"{member} on an unknown key", key_set(jwk(), {**unknown, member: "AAAA"}), None
        yield f"{member} that is null", key_set(jwk(), {**unknown, member: None}), None
    yield "a member twice on an unknown key", good.replace("}]", '},{"kty":"AKP","kid":"a","kid":"b"}]'), None
    yield "the key twice", key_set(jwk(), jwk()), None
    yield "half of a surrogate pair twice, in two spellings", good.replace("{", '{"\\ud83d":1,"\\uD83D":2,', 1), None
    yield "two halves of surrogate pairs", good.replace("{", '{"\\ud83d":1,"\\ude00":2,', 1), [KEY_ID]
    yield "key_ops verify", key_set(jwk(key_ops=["verify"])), [KEY_ID]
    yield "key_ops in two lists", key_set(jwk(key_ops=[["verify"]])), None
    for count in ("1" + "0" * 900 + "e-900", "0." + "0" * 20000 + "1e20001"):
        yield f"total_keys of {len(count)} characters", key_set(jwk(), total_keys=0).replace(": 0}", f": {count}}}"), [KEY_ID]
    yield "a vkey whose name has half of a surrogate pair", key_set(jwk(vkeys=[vkey("\ufffd").replace("\ufffd", "\ud800")])), None
    yield "an unknown alg on the key", key_set(jwk(alg="ML-DSA-44")), None


if __name__ == "__main__":
    cases = [*number_texts(), *value_texts(), *document_texts(), *nested_texts(), *attribute_texts()]
    names = [name for name, _, _ in cases]
    assert len(set(names)) == len(names), [n for n in names if names.count(n) > 1]
    write(
        "json.json",
        {"jwks": key_set(jwk()), "cases": [{"name": n, "text": t, "reasons": r} for n, t, r in cases]},
    )
    write("key-sets.json", [{"name": n, "text": t, "keyIds": ids} for n, t, ids in key_sets()])
