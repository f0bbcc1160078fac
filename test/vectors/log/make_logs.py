"""Makes logs.json: spans of a log as somebody hands them over, and what `verify --log` finds, from nothing of this project: the tree of RFC 6962, C2SP's
checkpoints and proofs, and OTLP's generated messages, as in ../span/make.py, whose environment it needs. What is found is written by hand. Run from this folder:

    PYTHONPATH=../span ../span/venv/bin/python make_logs.py
"""

import base64
import hashlib
import json

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from make import attributes, canonical, signed, span, write

ORIGIN = "kms.example.com/acme"
TENANT = "acme"
SIGNED_AT = "2026-01-02T03:04:05.678Z"
STATEMENT = "https://in-toto.io/Statement/v1"


class Key:
    def __init__(self, number):
        self.private = Ed25519PrivateKey.from_private_bytes(bytes([number] * 32))
        self.public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = f"{number:032x}"
        encoded = b"\x01" + self.public
        self.hash = hashlib.sha256(ORIGIN.encode() + b"\n" + encoded).digest()[:4]
        self.vkey = f"{ORIGIN}+{self.hash.hex()}+{base64.b64encode(encoded).decode()}"

    def jwk(self, **more):
        x = base64.urlsafe_b64encode(self.public).decode().rstrip("=")
        return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.key_id, "state": "ACTIVE", "vkeys": [self.vkey], **more}


A, B, C = Key(1), Key(2), Key(3)


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node(root(leaves[:split]), root(leaves[split:]))


def path(index, leaves):
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*path(index, leaves[:split]), root(leaves[split:])]
    return [*path(index - split, leaves[split:]), root(leaves[:split])]


def note(text, *keys):
    lines = [f"— {ORIGIN} {base64.b64encode(key.hash + key.private.sign(text.encode())).decode()}\n" for key in keys]
    return text + "\n" + "".join(lines)


def checkpoint(leaves, *keys):
    return note(f"{ORIGIN}\n{len(leaves)}\n{base64.b64encode(root(leaves)).decode()}\n", *keys)


def proof(index, leaves, *keys):
    hashes = "".join(base64.b64encode(each).decode() + "\n" for each in path(index, leaves))
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n{hashes}\n" + checkpoint(leaves, *keys)


def leaf(entry):
    return hashlib.sha256(b"\x00" + entry).digest()


def plain(number, amount):
    return span(span_id=(number + 1).to_bytes(8, "big"), name="pay", attributes=attributes({"amount": amount}))


def span_entry(s):
    digest = hashlib.sha256(canonical(s, Resource(), InstrumentationScope())).hexdigest()
    return rfc8785.dumps(
        {
            "_type": STATEMENT,
            "subject": [{"name": f"{s.trace_id.hex()}/{s.span_id.hex()}", "digest": {"sha256": digest}}],
            "predicateType": "https://fluo.dev/kms/compliance-span/v1",
            "predicate": {"tenant": TENANT, "signedAt": SIGNED_AT},
        }
    )


def handover_entry(old, new):
    return rfc8785.dumps(
        {
            "_type": STATEMENT,
            "subject": [{"name": new.key_id, "digest": {"sha256": hashlib.sha256(new.public).hexdigest()}}],
            "predicateType": "https://fluo.dev/kms/key-handover/v1",
            "predicate": {
                "tenant": TENANT,
                "fromKeyId": old.key_id,
                "toKeyId": new.key_id,
                "toVkey": new.vkey,
                "signedAt": SIGNED_AT,
            },
        }
    )


def carrying(s, proof_text):
    out = Span()
    out.CopyFrom(s)
    evidence = {
        "audit.integrity.algorithm": "c2sp.org/tlog-proof@v1",
        "audit.integrity.value": base64.b64encode(proof_text.encode()).decode(),
        "audit.integrity.tenant": TENANT,
        "audit.integrity.signed_at": SIGNED_AT,
    }
    out.attributes.extend(attributes(evidence))
    return out


class Log:
    """Entries 0 and 1 by A; 2 hands over to B; 3 names C, which never came into use; 4 to 6 and 7 by B. Amounts make another history of it."""

    def __init__(self, changed=None):
        self.plain = {i: plain(i, 1_000 if i == changed else i) for i in (0, 1, 4, 5, 6, 7)}
        self.entries = [span_entry(self.plain[i]) if i in self.plain else b"" for i in range(8)]
        self.entries[2], self.entries[3] = handover_entry(A, B), handover_entry(B, C)
        self.leaves = [leaf(each) for each in self.entries]
        batches = {0: (2, A), 1: (2, A), 4: (7, B), 5: (7, B), 6: (7, B), 7: (8, B)}
        self.spans = {i: carrying(s, proof(i, self.leaves[: batches[i][0]], batches[i][1])) for i, s in self.plain.items()}
        self.kept = {size: checkpoint(self.leaves[:size], key) for size, key in ((2, A), (7, B), (8, B))}

    def handover(self, **more):
        text = proof(2, self.leaves[:3], A, B)
        return {"log": 1, "origin": ORIGIN, "leaf_index": 2, "entry": base64.b64encode(self.entries[2]).decode(), "proof": text, **more}

    def unused(self):
        return {"log": 1, "origin": ORIGIN, "leaf_index": 3, "entry": base64.b64encode(self.entries[3]).decode()}

    def key_set(self, a=None, b=None, **more):
        members = {"keys": [A.jwk(**a or {}), B.jwk(**b or {})], "handovers": [self.handover()], "unused_handovers": [self.unused()]}
        return json.dumps({**members, **more})


LOG, OTHER, ANEW = Log(), Log(changed=5), Log(changed=4)
ALL = [LOG.spans[i] for i in (0, 1, 4, 5, 6, 7)]
APART = signed(plain(20, 20), Resource(), InstrumentationScope())
APART_KEY = {"kty": "OKP", "crv": "Ed25519", "kid": "00112233445566778899aabbccddeeff", "state": "ACTIVE"}
APART_KEY["x"] = base64.urlsafe_b64encode(
    Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
).decode().rstrip("=")


def name_of(number):
    return f"{LOG.plain[0].trace_id.hex()}/{number + 1:016x}"


def finding(what, index, span_number=None, count=1):
    return {"what": what, "leaf_index": index, "count": count, "span": None if span_number is None else name_of(span_number)}


def found(*findings, start=0, end=8, spans=6, handovers=1, announced=1, checkpoints=(), apart=0, **more):
    """`checkpoints` are pairs of size and whether it agrees, in the order of the case's own."""
    listed = [{"file": f"checkpoint-{i}", "size": size, "agrees": agrees} for i, (size, agrees) in enumerate(checkpoints)]
    log = {"origin": ORIGIN, **more, "from": start, "to": end, "spans": spans, "handovers": handovers, "announced": announced}
    log |= {"checkpoints": listed, "findings": list(findings)}
    return {"ok": not findings and spans > 0, "logs": [log], "signed_apart": apart}


def changed(number, **fields):
    out = Span()
    out.CopyFrom(LOG.spans[number])
    for field_name, value in fields.items():
        setattr(out, field_name, value)
    return out


def without_evidence(number):
    return LOG.plain[number]


FORGED = carrying(LOG.plain[5], proof(5, LOG.leaves[:7], C))
MOVED = carrying(LOG.plain[5], proof(5, LOG.leaves[:7], B).replace("index 5", "index 4"))
K2, K7, K8 = LOG.kept[2], LOG.kept[7], LOG.kept[8]
HEAD = {"origin": ORIGIN, "size": 2, "root": base64.b64encode(root(LOG.leaves[:2])).decode()}
GOOD = LOG.key_set()


def case(name, spans, want, keys=GOOD, vkeys=None, tenant=None, **log):
    """`log`: checkpoints, from_ and to, anyOrder."""
    if "from_" in log:
        log["from"] = log.pop("from_")
    export = TracesData(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[s])]) for s in spans]).SerializeToString()
    more = {name: value for name, value in (("vkeys", vkeys), ("tenant", tenant)) if value is not None}
    return {"name": name, "jwks": keys, **more, "export": base64.b64encode(export).decode(), "log": log, "want": want}


def but(*numbers):
    return [LOG.spans[i] for i in (0, 1, 4, 5, 6, 7) if i not in numbers]


def replaced(number, by):
    return [by if i == number else LOG.spans[i] for i in (0, 1, 4, 5, 6, 7)]


CASES = [
    case("all of a log", ALL, found()),
    case("all of a log, from its first key", ALL, found(), vkeys=[A.vkey]),
    case("checkpoints that were kept", ALL, found(checkpoints=[(2, True), (7, True), (8, True)]), checkpoints=[K2, K7, K8]),
    case("several checkpoints in one file", ALL, {**found(), "logs": [{**found()["logs"][0], "checkpoints": [{"file": "checkpoint-0", "size": n, "agrees": True} for n in (2, 7, 8)]}]}, checkpoints=[K2 + "\n" + K7 + K8]),
    case("a checkpoint with the line ends and the mark of Windows", ALL, found(checkpoints=[(8, True)]), checkpoints=["\ufeff" + K8.replace("\n", "\r\n")]),
    case("a span removed", but(5), found(finding("missing", 5), spans=5)),
    case("three spans removed", but(4, 5, 6), found(finding("missing", 4, count=3), spans=3)),
    case("the last one removed, without a checkpoint", but(7), found(end=7, spans=5)),
    case("the last one removed, with a checkpoint", but(7), found(finding("missing", 7), spans=5, checkpoints=[(8, None)]), checkpoints=[K8]),
    case("the first ones removed, without a checkpoint", but(0, 1), found(start=4, spans=4, handovers=0, announced=0)),
    case("the first ones removed, with a bound", but(0, 1), found(finding("missing", 0, count=2), spans=4), from_=0),
    case("a part, by its bounds", ALL, found(start=4, end=7, spans=3, handovers=0, announced=0), from_=4, to=7),
    case("a bound past the end", ALL, found(finding("missing", 8, count=2), end=10), to=10),
    case("a span changed", replaced(5, changed(5, name="other")), found(finding("changed", 5, 5), spans=5)),
    case("a span of which a processor added an attribute", replaced(5, carrying(Span(trace_id=LOG.plain[5].trace_id, span_id=LOG.plain[5].span_id, name="pay", attributes=attributes({"amount": 5, "audit.integrity.x": "y"})), proof(5, LOG.leaves[:7], B))), found(finding("changed", 5, 5), spans=5)),
    case("a span repeated", [*ALL, LOG.spans[4]], found(finding("repeated", 4, 4), spans=7)),
    case("two spans swapped", [LOG.spans[i] for i in (0, 1, 5, 4, 6, 7)], found(finding("reordered", 4, 5))),
    case("two spans swapped, in any order", [LOG.spans[i] for i in (0, 1, 5, 4, 6, 7)], found(), anyOrder=True),
    case("a proof that a stranger signed", replaced(5, FORGED), found(finding("foreign", 5, 5), finding("missing", 5), spans=5)),
    case("a proof of another place", replaced(5, MOVED), found(finding("changed", 4, 5), finding("missing", 5), spans=5)),
    case("a span that lost its evidence", replaced(5, without_evidence(5)), found(finding("unreadable", None, 5), finding("missing", 5), spans=5)),
    case("another history, which nobody kept", [OTHER.spans[i] for i in (0, 1, 4, 5, 6, 7)], found()),
    case("another history, against a checkpoint", [OTHER.spans[i] for i in (0, 1, 4, 5, 6, 7)], found(finding("rewritten", 2, 4, count=5), checkpoints=[(2, True), (7, False)]), checkpoints=[K2, K7]),
    case("one span of another history", replaced(5, OTHER.spans[5]), found(finding("rewritten", 5, 5))),
    case("entries written anew before a gap", [LOG.spans[0], LOG.spans[1], ANEW.spans[4], ANEW.spans[5], LOG.spans[7]], found(finding("rewritten", 4, 4, count=2), finding("missing", 6), spans=5)),
    case("a span that is signed apart", [*ALL, APART], found(apart=1), keys=LOG.key_set(keys=[A.jwk(), B.jwk(), APART_KEY])),
    case("spans that are signed apart alone", [APART], {"ok": False, "logs": [], "signed_apart": 1}, keys=LOG.key_set(keys=[A.jwk(), B.jwk(), APART_KEY])),
    case("no spans", [], {"ok": False, "logs": [], "signed_apart": 0}),
    case("no spans, against a checkpoint", [], found(start=8, end=8, spans=0, handovers=0, announced=0, checkpoints=[(8, None)]), checkpoints=[K8]),
    case("another tenant", ALL, found(*[finding("foreign", None, i) for i in (0, 1, 4, 5, 6, 7)], end=0, spans=0, handovers=0, announced=0), tenant="globex"),
    case("without the handover that was not used", ALL, found(finding("missing", 3), announced=0), keys=LOG.key_set(unused_handovers=[])),
    case("with the handover that was not used among the others", ALL, found(), keys=LOG.key_set(unused_handovers=[], handovers=[LOG.handover(), {**LOG.unused(), "proof": ""}])),
    case("without the handover", ALL, found(finding("missing", 2, count=2), handovers=0, announced=0), keys=LOG.key_set(handovers=[])),
    case("a log that has ended", ALL, found(ended_at=2), keys=LOG.key_set(ended_logs=[HEAD])),
    case("a first key that was compromised later", ALL, found(), keys=LOG.key_set(a={"state": "COMPROMISED", "compromised_at": "2026-02-01T00:00:00Z", "compromised_log": HEAD})),
    case("a last key that is compromised", ALL, found(*[finding("compromised", i, i) for i in (4, 5, 6, 7)]), keys=LOG.key_set(b={"state": "COMPROMISED", "compromised_at": "2026-02-01T00:00:00Z", "compromised_log": HEAD})),
    case("a key of a kind that is to come", ALL, found(), keys=LOG.key_set(keys=[A.jwk(), {"kty": "AKP", "pub": "AAAA"}, B.jwk()])),
    case("a checkpoint that nobody known signed", ALL, "refused", checkpoints=[checkpoint(LOG.leaves, C)]),
    case("a checkpoint that is none", ALL, "refused", checkpoints=["kms.example.com/acme\n8\n"]),
    case("an empty checkpoint", ALL, "refused", checkpoints=[""]),
    case("a checkpoint with a line too many", ALL, "refused", checkpoints=[K8 + "more\n"]),
    case("keys that name no log", ALL, "refused", keys=LOG.key_set(keys=[A.jwk(vkeys=None), B.jwk(vkeys=[])], handovers=[], unused_handovers=[])),
]

if __name__ == "__main__":
    write("logs.json", CASES)
