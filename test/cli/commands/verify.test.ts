/** Exports in protobuf, and as others print them in JSON. All else that `verify` prints is in `transcripts/verify.md`. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
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

function wireSpan(amount: number, attributes: readonly (readonly [string, string])[] = []) {
  const start = Buffer.alloc(9);
  start[0] = (7 << 3) | 1;
  start.writeBigUInt64LE(BigInt(startNano), 1);
  return span(
    len(5, "pay"),
    start,
    len(9, keyValue("amount", intValue(amount))),
    ...attributes.map(([key, value]) => len(9, keyValue(key, stringValue(value)))),
    len(13, message(len(1, hex("a1".repeat(16))), len(2, hex("b2".repeat(8))))),
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

async function verify(spans: string | Uint8Array, { keys = [jwk], args = [] as string[] } = {}) {
  const cwd = directory({ "jwks.json": JSON.stringify({ keys }), spans });
  return run(["verify", "--keys", "jwks.json", ...args, "spans"], { cwd });
}

it("verifies spans in protobuf, several in one file", async () => {
  const one = wireSpan(5, attributesOf(5));
  const { code, out, err } = await verify(message(exported(one, one), exported(one)), { args: ["--tenant", "acme"] });
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const line = `^${traceId}/${spanId}  OK +2026-03-01T12:00:00.000Z  ${signer.keyId}  ACTIVE$`;
  expect(out.match(new RegExp(line, "gm"))).toHaveLength(3);
  expect(out).toMatch(/^3 of 3 verified$/m);
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

it.each([
  ["altered", exported(wireSpan(6, attributesOf(5))), "SIGNATURE_MISMATCH"],
  ["with an unknown field", exported(message(wireSpan(5, attributesOf(5)), len(99, ""))), "MALFORMED"],
])("does not verify a span in protobuf that is %s, nor hide it behind one that verifies", async (_, wrong, reason) => {
  const { code, out } = await verify(message(exported(wireSpan(5, attributesOf(5))), wrong));
  expect(code).toBe(1);
  expect(out).toMatch(new RegExp(`  ${reason}  \\w`));
  expect(out).toMatch(/^1 of 2 verified, 1 failed$/m);
});

it("refuses protobuf that is cut in the middle", async () => {
  const { code, out, err } = await verify(exported(wireSpan(5, attributesOf(5))).subarray(0, -3));
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toMatch(/^fluo-kms: .*spans file.*\n$/);
});
