import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { publicKeyOf, signingKey } from "../../../src/crypto/ed25519.ts";
import { KmsError } from "../../../src/errors.ts";
import { readResourceSpans } from "../../../src/otlp/resource-spans.ts";
import { integrityAttributes, signSpan } from "../../../src/attestation/sign-statement.ts";
import { directory } from "../../support/config-fixture.ts";
import { hex, intValue, keyValue, len, message, span, spanId, stringValue, traceId } from "../../support/otlp-wire.ts";
import { run } from "../../support/cli-fixture.ts";

const seed = randomBytes(32);
const signer = { tenant: "acme", keyId: "0f".repeat(16), key: signingKey(seed) };
const signedAtMs = Date.parse("2026-03-01T12:00:00.000Z");
const jwk = {
  kty: "OKP",
  crv: "Ed25519",
  x: Buffer.from(publicKeyOf(seed)).toString("base64url"),
  kid: signer.keyId,
  alg: "EdDSA",
  use: "sig",
  state: "ACTIVE",
  version: 1,
  valid_from: "2026-01-01T00:00:00.000Z",
  valid_until: null,
};

/** A nanosecond more than a double can tell: the last digit is signed, too. */
const startNano = "1772366400000000001";
const link = { traceId: "a1".repeat(16), spanId: "b2".repeat(8) };

function plainSpan(amount: number) {
  return {
    traceId,
    spanId,
    name: "pay",
    startTimeUnixNano: startNano,
    attributes: [{ key: "amount", value: { intValue: String(amount) } }],
    links: [link],
  };
}

/** The same span on the wire. */
function wireSpan(amount: number, attributes: readonly (readonly [string, string])[] = []) {
  const start = Buffer.alloc(9);
  start[0] = (7 << 3) | 1;
  start.writeBigUInt64LE(BigInt(startNano), 1);
  return span(
    len(5, "pay"),
    start,
    len(9, keyValue("amount", intValue(amount))),
    ...attributes.map(([key, value]) => len(9, keyValue(key, stringValue(value)))),
    len(13, message(len(1, hex(link.traceId)), len(2, hex(link.spanId)))),
  );
}

const inResource = (...spans: Uint8Array[]) => len(2, message(...spans.map((each) => len(2, each))));
const exported = (...spans: Uint8Array[]) => len(1, inResource(...spans));

/** What SignSpan would put on the span. */
function attributesOf(amount: number, by = signer) {
  const [read] = readResourceSpans(inResource(wireSpan(amount)));
  if (read === undefined || read instanceof KmsError) throw new Error("the test's span cannot be read");
  return integrityAttributes(signSpan(read, by, signedAtMs), by);
}

function signedJson(amount: number, attributes = attributesOf(amount)) {
  const plain = plainSpan(amount);
  const added = attributes.map(([key, value]) => ({ key, value: { stringValue: value } }));
  return { resourceSpans: [{ scopeSpans: [{ spans: [{ ...plain, attributes: [...plain.attributes, ...added] }] }] }] };
}

/** The same key in base64url with other bits behind its last byte. */
const strayBits = (x: string) => x.slice(0, -1) + String.fromCharCode(x.charCodeAt(x.length - 1) + 1);

async function verify(spans: string | Uint8Array, { keys = [jwk] as unknown, args = [] as string[] } = {}) {
  const cwd = directory({ "jwks.json": JSON.stringify({ keys }), spans });
  return run(["verify", "--keys", "jwks.json", ...args, "spans"], { cwd });
}

const ok = new RegExp(`^${traceId}/${spanId}  OK +2026-03-01T12:00:00.000Z  ${signer.keyId}  ACTIVE$`, "m");

describe("spans that were signed", () => {
  it.each([
    ["protobuf", exported(wireSpan(5, attributesOf(5)))],
    ["JSON", JSON.stringify(signedJson(5), undefined, 2)],
    ["JSON with names as in the proto", JSON.stringify(signedJson(5)).replaceAll("resourceSpans", "resource_spans")],
    [
      "JSON with a number that a double cannot hold",
      JSON.stringify(signedJson(5)).replace(`"${startNano}"`, startNano),
    ],
    ["JSON with upper-case hex", JSON.stringify(signedJson(5)).replace(traceId, traceId.toUpperCase())],
  ])("verify from %s", async (_, file) => {
    const { code, out, err } = await verify(file);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(ok);
    expect(out).toMatch(/^1 of 1 verified$/m);
  });

  it("verify from JSON lines, and several from protobuf, one line each", async () => {
    const lines = await verify(`\n${JSON.stringify(signedJson(5))}\n${JSON.stringify(signedJson(6))}\n`);
    expect(lines.out).toMatch(/^2 of 2 verified$/m);
    const one = wireSpan(5, attributesOf(5));
    const two = await verify(message(exported(one, one), exported(one)), { args: ["--tenant", "acme"] });
    expect(two.out).toMatch(/^3 of 3 verified$/m);
  });

  it("are told as JSON where asked", async () => {
    const { code, out } = await verify(exported(wireSpan(5, attributesOf(5)), wireSpan(6, attributesOf(5))), {
      args: ["--json"],
    });
    expect(code).toBe(1);
    const about = { trace_id: traceId, span_id: spanId, key_id: signer.keyId, key_state: "ACTIVE" };
    expect(JSON.parse(out)).toMatchObject({
      verified: 1,
      failed: 1,
      spans: [
        { ...about, verified: true, reason: "OK", signed_at: "2026-03-01T12:00:00.000Z" },
        { ...about, verified: false, reason: "SIGNATURE_MISMATCH" },
      ],
    });
  });
});

/** What protobuf's own JSON printer, in Python, makes of a signed export: test/vectors/span/make.py. */
describe("an export as MessageToJson prints it", () => {
  const { publicKey, keyId } = vector("accepted.json");
  const printed: { protobuf: string; json: Record<string, string> } = vector("exported.json");
  const keys = [{ ...jwk, x: Buffer.from(publicKey, "hex").toString("base64url"), kid: keyId }];

  it.each([...Object.entries(printed.json), ["protobuf", Buffer.from(printed.protobuf, "hex")] as const])(
    "verifies: %s",
    async (_, file) => {
      const { code, out } = await verify(file, { keys });
      expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/^4 of 4 verified$/m) });
    },
  );

  it("verifies with hex, url-safe and unpadded ids beside those in base64", async () => {
    const text = printed.json.MessageToJson!;
    const [trace, span] = ["W47/95gDgQPSabYzgT/GDA==", "7uGbfsPBsXQ="];
    const mixed = text
      .replace(`"${trace}"`, '"5b8efff798038103d269b633813fc60c"')
      .replace(`"${trace}"`, '"W47_95gDgQPSabYzgT_GDA"')
      .replace(`"${span}"`, '"EEE19B7EC3C1B174"')
      .replace(`"${span}"`, '"7uGbfsPBsXQ"');
    expect(mixed.length).toBeLessThan(text.length + 12);
    expect((await verify(mixed, { keys })).out).toMatch(/^4 of 4 verified$/m);
  });

  it("does not verify with another id in base64", async () => {
    const { code, out } = await verify(printed.json.MessageToJson!.replace("7uGbfsPBsXQ=", "7uGbfsPBsXU="), { keys });
    expect(code).toBe(1);
    expect(out).toMatch(/SIGNATURE_MISMATCH/);
  });
});

function vector(name: string) {
  return JSON.parse(readFileSync(new URL(`../../vectors/span/${name}`, import.meta.url), "utf8"));
}

describe("spans that do not verify", () => {
  const good = exported(wireSpan(5, attributesOf(5)));

  it.each<[string, string | Uint8Array, Parameters<typeof verify>[1], string]>([
    ["altered on the wire", exported(wireSpan(6, attributesOf(5))), {}, "SIGNATURE_MISMATCH"],
    ["altered in JSON", JSON.stringify(signedJson(6, attributesOf(5))), {}, "SIGNATURE_MISMATCH"],
    ["of another tenant", good, { args: ["--tenant", "globex"] }, "UNKNOWN_KEY"],
    ["by a key that is not in the file", good, { keys: [] }, "UNKNOWN_KEY"],
    [
      "by a key that was compromised before it was destroyed",
      good,
      { keys: [{ ...jwk, state: "DESTROYED", compromised_at: "2026-05-01T00:00:00.000Z" }] },
      "KEY_COMPROMISED",
    ],
    ["by a compromised key", good, { keys: [{ ...jwk, state: "COMPROMISED" }] }, "KEY_COMPROMISED"],
    ["from before their key", good, { keys: [{ ...jwk, valid_from: "2026-03-02T00:00:00.000Z" }] }, "KEY_STATE"],
    ["without a signature", exported(wireSpan(5)), {}, "UNSIGNED"],
    ["with one attribute of a signature alone", exported(wireSpan(5, attributesOf(5).slice(0, 1))), {}, "MALFORMED"],
    ["with an unknown field", exported(message(wireSpan(5, attributesOf(5)), len(99, ""))), {}, "MALFORMED"],
    ...[
      ["with a span's id for a trace's", spanId],
      ["with an id of 31 hex digits", traceId.slice(1)],
      ["with an id that is neither hex nor base64", traceId.replace(/.$/, "g")],
      ["with bits in base64 that no byte has", "W47/95gDgQPSabYzgT/GDB=="],
      ["with half of base64's padding", "W47/95gDgQPSabYzgT/GDA="],
    ].map(([name, id]): [string, string, object, string] => [
      name!,
      JSON.stringify(signedJson(5)).replace(traceId, id!),
      {},
      "MALFORMED",
    ]),
    [
      "with a member that is there twice",
      JSON.stringify(signedJson(5)).replace('"name":"pay"', '"name":"paid","name":"pay"'),
      {},
      "MALFORMED",
    ],
    [
      "with a member under both of its names",
      JSON.stringify(signedJson(5)).replace('"spanId"', '"span_id":"","spanId"'),
      {},
      "MALFORMED",
    ],
    ["with an unknown member", JSON.stringify(signedJson(5)).replace('"name"', '"nmae"'), {}, "MALFORMED"],
  ])("are those %s", async (_, file, options, reason) => {
    const { code, out } = await verify(file, options);
    expect(code).toBe(1);
    expect(out).toMatch(new RegExp(`  ${reason}  \\w`));
    expect(out).toMatch(/^0 of 1 verified, 1 failed$/m);
  });

  it("are UNSIGNED as JSON, too, without evidence, whoever is asked for", async () => {
    for (const args of [["--json"], ["--json", "--tenant", "globex"]]) {
      const { code, out } = await verify(exported(wireSpan(5)), { args });
      const span = { verified: false, reason: "UNSIGNED", message: expect.stringContaining("carries no evidence") };
      expect(code).toBe(1);
      expect(JSON.parse(out)).toMatchObject({ verified: 0, failed: 1, spans: [span] });
    }
  });

  it("stand under heads, beside one that does", async () => {
    const { out } = await verify(exported(wireSpan(5, attributesOf(5)), wireSpan(6)));
    const name = `${traceId}/${spanId}`;
    expect(out).toBe(
      [
        `span                                               verdict   signed at, or why not     key${" ".repeat(31)}state   log`,
        `${name}  OK        2026-03-01T12:00:00.000Z  ${signer.keyId}  ACTIVE`,
        `${name}  UNSIGNED  the span carries no evidence: put the attributes on it that signing gave`,
        "1 of 2 verified, 1 failed",
        "The following checks were performed: each span's signature or log proof; the state of each key.",
        "Not shown: that what a span says is true; spans never sent or sampled away; whether spans are missing; whose the keys are.",
        "",
      ].join("\n"),
    );
  });

  it("do not hide behind one that does", async () => {
    const { code, out } = await verify(message(good, exported(wireSpan(6, attributesOf(5)))));
    expect(code).toBe(1);
    expect(out).toMatch(ok);
    expect(out).toMatch(/^1 of 2 verified, 1 failed$/m);
  });

  it("do not show their content when they cannot be read", async () => {
    const { out, err } = await verify(JSON.stringify(signedJson(5)).replace('"pay"', '{"card":"4111"}'));
    expect(out).toContain("MALFORMED");
    expect(out + err).not.toContain("4111");
  });

  it.each(["", '{"resourceSpans":[]}'])("are none: %j", async (file) => {
    const { code, out } = await verify(file);
    expect(code).toBe(1);
    expect(out).toBe("there are no spans in the file\n");
  });
});

describe("a public key", () => {
  it.each([{ key_ops: ["verify"] }, { alg: "Ed25519" }, { alg: undefined, use: undefined }])(
    "verifies with %j, too",
    async (more) => {
      const { code } = await verify(exported(wireSpan(5, attributesOf(5))), { keys: [{ ...jwk, ...more }] });
      expect(code).toBe(0);
    },
  );
});

describe("a time of signing", () => {
  const spelled = (signedAt: string) =>
    attributesOf(5).map(([key, value]) => [key, key.endsWith("signed_at") ? signedAt : value] as [string, string]);

  it("is printed in its canonical form, whatever wrote it on the span", async () => {
    const { code, out } = await verify(exported(wireSpan(5, spelled("2026-03-01T12:00:00Z"))));
    expect(code).toBe(0);
    expect(out).toMatch(ok);
  });

  it("is named where it is wrong", async () => {
    const { code, out } = await verify(exported(wireSpan(5, spelled("2026-03-01T12:00Z"))));
    expect(code).toBe(1);
    expect(out).toContain("MALFORMED  audit.integrity.signed_at must be a time of RFC 3339 in UTC");
  });
});

it("says that the keys file has keys of kinds that are unknown", async () => {
  const others = [
    { kty: "AKP", alg: "ML-DSA-44", pub: "AAAA" },
    { kty: "OKP", crv: "Ed448" },
  ];
  const { out } = await verify(exported(wireSpan(5, attributesOf(5))), { keys: others });
  expect(out).toContain(
    "UNKNOWN_KEY  no such key of this tenant in the keys file, which has 2 keys of a kind that is unknown here\n",
  );
});

describe("files that are something else", () => {
  it.each([
    ["spans that are not an export", '{"spans":[]}', undefined, "OTLP trace exports"],
    ["spans under both names of the list", '{"resourceSpans":[],"resource_spans":[]}', undefined, "OTLP trace exports"],
    ["spans that are text", "hello\nworld", undefined, "not JSON in line 1"],
    ["spans cut in the middle", exported(wireSpan(5, attributesOf(5))).subarray(0, -3), undefined, "spans file"],
    ["keys without a list", "", "none", 'no list "keys"'],
    ["a key of no kind", "", [{ ...jwk, crv: undefined }], "keys[0] is not an Ed25519 key"],
    ["a key that is too short", "", [{ ...jwk, x: "AAAA" }], "keys[0].x must be 32 bytes"],
    [
      "a key with padding",
      "",
      [{ ...jwk, x: `${jwk.x}=` }],
      "keys[0].x must be 32 bytes in base64url, without padding",
    ],
    ["a key with stray low bits", "", [{ ...jwk, x: strayBits(jwk.x) }], "keys[0].x must be 32 bytes"],
    ["a key in base64", "", [{ ...jwk, x: `${"+".repeat(42)}8` }], "keys[0].x must be 32 bytes"],
    ["a key of no type", "", [{ ...jwk, kty: undefined }], "keys[0].kty must be text"],
    ["a key for another algorithm", "", [{ ...jwk, alg: "ES256" }], "keys[0].alg must be one of EdDSA, Ed25519"],
    ["a key for encryption", "", [{ ...jwk, use: "enc" }], "keys[0].use must be sig"],
    ["a key to sign with", "", [{ ...jwk, key_ops: ["sign", "verify"] }], 'keys[0].key_ops must be ["verify"]'],
    ["operations that are no list", "", [{ ...jwk, key_ops: "verify" }], 'keys[0].key_ops must be ["verify"]'],
    ["a private key", "", [{ ...jwk, d: "AAAA" }], "keys[0] HAS A PRIVATE KEY (d): whoever has read this file"],
    ["a key without a state", "", [{ ...jwk, state: undefined }], "keys[0].state must be one of"],
    ["a key twice", "", [jwk, jwk], "keys[1].kid is there twice"],
    ["a date that is none", "", [{ ...jwk, valid_until: "soon" }], "keys[0].valid_until must be a date"],
    ["a time of compromise that is none", "", [{ ...jwk, compromised_at: 7 }], "keys[0].compromised_at must be a date"],
  ])("are refused: %s", async (_, file, keys, text) => {
    const { code, out, err } = await verify(file, keys === undefined ? {} : { keys });
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(/^fluo-kms: .*\n$/);
    expect(err).toContain(text);
  });

  it.each([
    ["a token for the next", { next_page_token: "abc" }],
    ["a token for the next, in camelCase", { nextPageToken: "abc" }],
    ["a total that is more", { total_keys: 2 }],
  ])("are refused: a page of keys, with %s", async (_, more) => {
    const cwd = directory({
      "jwks.json": JSON.stringify({ keys: [jwk], ...more }),
      spans: exported(wireSpan(5, attributesOf(5))),
    });
    const { code, err } = await run(["verify", "--keys", "jwks.json", "spans"], { cwd });
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("is one page of the tenant's keys") });
  });

  it("are refused: a key of which a member is there twice", async () => {
    const jwks = JSON.stringify({ keys: [jwk] }).replace('"state":"ACTIVE"', '"state":"COMPROMISED","state":"ACTIVE"');
    const cwd = directory({ "jwks.json": jwks, spans: exported(wireSpan(5, attributesOf(5))) });
    const { code, err } = await run(["verify", "--keys", "jwks.json", "spans"], { cwd });
    expect({ code, err }).toEqual({
      code: 1,
      err: expect.stringContaining("has a member twice: state: is there twice"),
    });
  });

  it("are named when they cannot be read", async () => {
    const cwd = directory();
    writeFileSync(join(cwd, "jwks.json"), '{"keys":[]}');
    expect(await run(["verify", "--keys", "jwks.json", "none.json"], { cwd })).toMatchObject({
      code: 2,
      err: expect.stringContaining("none.json cannot be read (ENOENT)"),
    });
  });
});
