"""Key sets: what is read, and what is refused with the member's name."""

from __future__ import annotations

import json

import pytest
import vectors

from fluo_kms.verify import KeySet, KeySetError

X = vectors.jwk()["x"]
VKEY = vectors.ACCEPTED["vkey"]["text"]


def test_reads_the_keys_of_a_tenant():
    keys = KeySet.parse(vectors.jwks())
    assert list(keys.keys) == [vectors.ACCEPTED["keyId"]]
    assert [key.name for key in keys.log_keys] == ["kms.example.com/acme"]


def test_trusts_given_keys_alone():
    keys = KeySet.parse(vectors.jwks())
    assert keys.trusting([VKEY]) == keys
    other = "kms.example.com/acme+9b5cefe9+AWVgdzHNJwB5bVl/UgpDcmBQjeOkFyMPS4Yy2dxvZoip"
    assert keys.trusting([other]).keys == {}
    with pytest.raises(KeySetError, match="NAME\\+ID\\+KEY"):
        keys.trusting(["acme"])


@pytest.mark.parametrize(
    ("jwks", "named"),
    [
        ("", "not JSON"),
        ("[]", '"keys"'),
        ('{"keys": [], "keys": []}', "twice"),
        ('{"keys": [NaN]}', "not JSON"),
        ("[" * 100_000, "."),
        (vectors.jwks(vectors.jwk(d=None)), "PRIVATE KEY"),
        (vectors.jwks(vectors.jwk(kty=None)), r"keys\[0\]"),
        (vectors.jwks(vectors.jwk(alg=None)), r"keys\[0\].alg"),
        (vectors.jwks(vectors.jwk(use="enc")), r"keys\[0\].use"),
        (vectors.jwks(vectors.jwk(key_ops=["sign"])), r"keys\[0\].key_ops"),
        (vectors.jwks(vectors.jwk(x=X + "=")), r"keys\[0\].x"),
        (vectors.jwks(vectors.jwk(x=X[:-1] + chr(ord(X[-1]) + 1))), r"keys\[0\].x"),
        (vectors.jwks(vectors.jwk(x=X[:-1])), r"keys\[0\].x"),
        (vectors.jwks(vectors.jwk(kid="")), r"keys\[0\].kid"),
        (vectors.jwks(vectors.jwk(state="active")), r"keys\[0\].state"),
        (vectors.jwks(vectors.jwk(valid_from="2026-02-30T00:00:00Z")), r"keys\[0\].valid_from"),
        (vectors.jwks(vectors.jwk(compromised_at=True)), r"keys\[0\].compromised_at"),
        (vectors.jwks(vectors.jwk(vkeys=[VKEY + "="])), r"keys\[0\].vkeys\[0\]"),
        (vectors.jwks(vectors.jwk(compromised_log={"origin": "o", "size": True, "root": ""})), "compromised_log.root"),
        (vectors.jwks(vectors.jwk(), vectors.jwk()), r"keys\[1\].kid is there twice"),
        (vectors.jwks(handovers=[{"entry": "", "proof": ""}]), r"handovers\[0\]"),
        (vectors.jwks(next_page_token="more"), "one page"),
        (vectors.jwks(total_keys=2), "one page"),
        (vectors.jwks(totalKeys=True), "one page"),
    ],
)
def test_refuses_what_it_cannot_trust(jwks, named):
    with pytest.raises(KeySetError, match=named):
        KeySet.parse(jwks)


@pytest.mark.parametrize("vector", vectors.read("span/key-sets.json"), ids=lambda vector: vector["name"])
def test_reads_the_keys_that_every_reader_reads(vector):
    if vector["keyIds"] is None:
        with pytest.raises(KeySetError):
            KeySet.parse(vector["text"])
    else:
        assert list(KeySet.parse(vector["text"]).keys) == vector["keyIds"]


def test_never_shows_a_private_key():
    with pytest.raises(KeySetError) as refusal:
        KeySet.parse(vectors.jwks(vectors.jwk(d="c2VjcmV0")))
    assert "c2VjcmV0" not in str(refusal.value)


def test_takes_the_total_that_the_service_writes():
    text = json.dumps({**json.loads(vectors.jwks()), "total_keys": 1, "next_page_token": ""})
    assert len(KeySet.parse(text).keys) == 1
