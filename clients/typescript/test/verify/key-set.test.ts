/** What a key set must be. */
import { describe, expect, it } from "vitest";
import { KeySetError, parseKeySet } from "../../src/verify.ts";

const x = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg";
const vkey = "kms.example.com/acme+d3638bf7+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
const key = { kty: "OKP", crv: "Ed25519", x, kid: "00112233445566778899aabbccddeeff", state: "ACTIVE", vkeys: [vkey] };
const text = (change: object, more: object = {}) => JSON.stringify({ keys: [{ ...key, ...change }], ...more });
const root = Buffer.alloc(32).toString("base64");

describe("a key set", () => {
  it.each([
    ["as the service serves it", text({ alg: "EdDSA", use: "sig", version: 1, valid_until: null })],
    ["without keys", '{"keys": []}'],
    ["with the times of a key", text({ valid_from: "2026-01-02T03:04:05.678Z", valid_until: "2026-02-02T00:00:00Z" })],
    ["with the head of a log", text({ compromised_log: { log: 1, origin: "a", size: 3, root } })],
    ["behind a byte order mark", `\ufeff${text({})}`],
  ])("is read %s", async (_, jwks) => {
    await expect(parseKeySet(jwks)).resolves.toMatchObject({ keys: expect.any(Map) });
  });

  it.each([
    ["what is not JSON", "{", "not JSON"],
    ["what is no JWKS", "[]", '"keys"'],
    ["a member that is there twice", `{"keys":[],"keys":[]}`, "twice"],
    ["an escaped member that is there twice", `{"keys":[],"\\u006beys":[]}`, "twice"],
    ["two byte order marks", `\ufeff\ufeff${text({})}`, "not JSON"],
    ["a private key", text({ d: "secret" }), "PRIVATE KEY (d)"],
    ["a private key of another kind", text({ kty: "EC", crv: "P-256", d: "secret" }), "PRIVATE KEY (d)"],
    ["a symmetric key", text({ kty: "oct", k: "secret" }), "PRIVATE KEY (k)"],
    ["a private key of an algorithm's own kind", text({ kty: "AKP", priv: null }), "PRIVATE KEY (priv)"],
    ["an entry that is no object", '{"keys":["OKP"]}', "keys[0] must be an object"],
    ["an entry without a kind", text({ kty: undefined }), "keys[0].kty"],
    ["a curve that is no text", text({ crv: 25519 }), "keys[0].crv"],
    ["a curve that is missing", text({ crv: undefined }), "keys[0].crv"],
    ["another algorithm", text({ alg: "ES256" }), "keys[0].alg"],
    ["a key that encrypts", text({ use: "enc" }), "keys[0].use"],
    ["a key that signs", text({ key_ops: ["sign"] }), "keys[0].key_ops"],
    ["base64url that decodes, and is not canonical", text({ x: x.replace(/g$/, "h") }), "keys[0].x"],
    ["padding", text({ x: `${x}=` }), "keys[0].x"],
    ["no id", text({ kid: "" }), "keys[0].kid"],
    ["an id that is a number", text({ kid: 7 }).replace('"kid":7', '"kid":12345678901234567890'), "keys[0].kid"],
    ["an unknown state", text({ state: "active" }), "keys[0].state"],
    ["a date that differs between engines", text({ valid_from: "Jan 2 2026" }), "keys[0].valid_from"],
    ["a date that does not exist", text({ valid_until: "2026-13-02T00:00:00Z" }), "keys[0].valid_until"],
    ["a verifier key of another key", text({ vkeys: [vkey.replace("d3638bf7", "d3638bf8")] }), "keys[0].vkeys[0]"],
    ["a root that is too short", text({ compromised_log: { origin: "a", size: 1, root: "AA==" } }), "root"],
    ["a size that is text", text({ compromised_log: { origin: "a", size: "1", root } }), "size"],
    ["a page", text({}, { next_page_token: "more" }), "page"],
    ["fewer keys than there are", text({}, { total_keys: 2 }), "page"],
    ["a key twice", JSON.stringify({ keys: [key, key] }), "keys[1].kid"],
    ["what is no handover", text({}, { handovers: [{ entry: "AA==", proof: "" }] }), "handovers[0]"],
  ])("refuses %s", async (_, jwks, told) => {
    const failure = await parseKeySet(jwks).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(KeySetError);
    expect((failure as Error).message).toContain(told);
  });

  it("passes over keys of other kinds, and reads nothing else of them", async () => {
    const others = [
      { kty: "RSA", n: "", e: "AQAB", kid: key.kid },
      { kty: "OKP", crv: "X25519", kid: key.kid, state: 7 },
      { kty: "AKP", alg: "ML-DSA-44", pub: "" },
    ];
    const set = (...keys: object[]) => parseKeySet(JSON.stringify({ keys, total_keys: keys.length }));
    const mixed = await set(others[0]!, key, ...others.slice(1));
    expect([[...mixed.keys.keys()], mixed.passedOver]).toEqual([[key.kid], 3]);
    const none = await set(...others.slice(0, 1));
    expect([none.keys.size, none.passedOver]).toEqual([0, 1]);
  });

  it("trusts the keys that it is told to, and no other text", async () => {
    const keys = await parseKeySet(text({}));
    expect((await keys.trusting([vkey])).keys.size).toBe(1);
    expect((await keys.trusting([])).keys.size).toBe(0);
    await expect(keys.trusting(["nobody"])).rejects.toThrow(KeySetError);
    expect([await keys.has(vkey), await (await parseKeySet('{"keys":[]}')).has(vkey)]).toEqual([true, false]);
  });
});
