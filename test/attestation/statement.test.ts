import { describe, expect, it } from "vitest";
import {
  buildStatement,
  canonicalSignedAt,
  encodeStatement,
  formatSignedAt,
  parseStatement,
  preAuthenticationEncoding,
  signedAtMs,
} from "../../src/attestation/statement.ts";
import { thrownBy } from "../support/matchers.ts";
import { spanId, traceId } from "../support/otlp-wire.ts";

const parts = {
  traceId,
  spanId,
  digest: "ab".repeat(32),
  tenant: "acme",
  keyId: "00112233445566778899aabbccddeeff",
  signedAt: "2026-01-02T03:04:05.678Z",
};
const text = buildStatement(parts);
const bytes = (value: string) => new TextEncoder().encode(value);

describe("the statement", () => {
  it("is its parts in sorted JSON without white space", () => {
    const parsed = JSON.parse(text);
    expect(parsed).toEqual({
      _type: "https://in-toto.io/Statement/v1",
      subject: [{ name: `${traceId}/${spanId}`, digest: { sha256: parts.digest } }],
      predicateType: "https://fluo.dev/kms/compliance-span/v1",
      predicate: { tenant: "acme", keyId: parts.keyId, signedAt: parts.signedAt },
    });
    const predicate = ["predicate", "keyId", "signedAt", "tenant"];
    const keys = ["_type", ...predicate, "predicateType", "subject", "digest", "sha256", "name"];
    expect(text).toBe(JSON.stringify(parsed, keys));
  });

  it("cannot be broken out of by a tenant", () => {
    const tenant = 'x"},"predicateType":"y';
    expect(JSON.parse(buildStatement({ ...parts, tenant })).predicate.tenant).toBe(tenant);
  });

  it("gives its parts back", () => {
    expect(parseStatement(bytes(text))).toEqual(parts);
  });

  it.each([
    ["nothing", ""],
    ["a byte more", `${text} `],
    ["a line feed more", `${text}\n`],
    ["a byte less", text.slice(0, -1)],
    ["white space", text.replace(":", ": ")],
    ["another order of members", text.replace(/("keyId":"[^"]*"),("signedAt":"[^"]*")/, "$2,$1")],
    ["a member more", text.replace("}}]}", '}}],"x":1}').replace('"predicate":{', '"predicate":{"a":1,')],
    ["an escape that JSON need not have", text.replace('"acme"', '"\\u0061cme"')],
    ["another type", text.replace("Statement/v1", "Statement/v2")],
    ["another predicate type", text.replace("compliance-span/v1", "compliance-span/v2")],
    ["a second subject", text.replace('"subject":[{', '"subject":[{},{')],
    ["an upper-case digest", text.replace("abab", "ABAB")],
    ["a short digest", text.replace("abab", "ab")],
    ["an upper-case trace id", text.replace(traceId, traceId.toUpperCase())],
    ["a short span id", text.replace(spanId, spanId.slice(2))],
    ["a key id that is no key id", text.replace("001122", "00112x")],
    ["a tenant that is none", text.replace("acme", "Acme")],
    ["a time that does not exist", text.replace("2026-01-02", "2026-02-30")],
    ["a leap second", text.replace("03:04:05", "23:59:60")],
    ["a time with an offset", text.replace("05.678Z", "05+00:00")],
    ["a BOM", `\ufeff${text}`],
    ["another statement behind it", text + text],
    ["megabytes", text.replace("acme", "a".repeat(5_000_000))],
  ])("is refused with %s", (_, altered) => {
    expect(altered).not.toBe(text);
    expect(parseStatement(bytes(altered))).toBeUndefined();
  });
});

describe("the pre-authentication encoding", () => {
  it("is DSSE's: both lengths in decimal, in bytes", () => {
    expect(Buffer.from(preAuthenticationEncoding(bytes("é!"))).toString()).toBe(
      "DSSEv1 28 application/vnd.in-toto+json 3 é!",
    );
    expect(Buffer.from(preAuthenticationEncoding(bytes(""))).toString()).toBe(
      "DSSEv1 28 application/vnd.in-toto+json 0 ",
    );
  });

  it("is the same straight from the text, also where text is longer in bytes", () => {
    for (const statement of [text, buildStatement({ ...parts, tenant: "é" })]) {
      const encoded = encodeStatement(statement);
      expect(Buffer.from(encoded.statement).toString()).toBe(statement);
      expect(encoded.message).toEqual(Buffer.from(preAuthenticationEncoding(encoded.statement)));
    }
  });

  it("holds no line feed, so that it is never a checkpoint's text", () => {
    expect(encodeStatement(text).message).not.toContain(0x0a);
  });
});

describe("signedAt", () => {
  it("is written with three fraction digits and Z, and read back", () => {
    for (const ms of [0, 999, 1767323045678, -62_135_596_800_000, 253_402_300_799_999]) {
      expect(formatSignedAt(ms)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(signedAtMs(formatSignedAt(ms))).toBe(ms);
    }
    expect(formatSignedAt(1767323045678)).toBe("2026-01-02T03:04:05.678Z");
  });

  it("is refused outside the years of a protobuf Timestamp", async () => {
    expect(await thrownBy(() => formatSignedAt(253_402_300_800_000))).toBeKmsError("INTERNAL", "signing time");
    expect(await thrownBy(() => formatSignedAt(-62_135_596_800_001))).toBeKmsError("INTERNAL", "signing time");
  });

  it.each([
    "",
    "0000-12-31T23:59:59.999Z",
    "2026-01-02T03:04:05Z",
    "2026-01-02T03:04:05.67Z",
    "2026-01-02T03:04:05.6789Z",
    "2026-01-02t03:04:05.678z",
    "2026-01-02 03:04:05.678Z",
    "2026-01-02T03:04:05.678+",
    "2026-01-02T24:00:00.000Z",
    "2026-02-29T00:00:00.000Z",
    "2026-12-31T23:59:60.000Z",
    "+02026-01-02T03:04:05.67",
    "Fri, 02 Jan 2026 03:04:0",
  ])("is refused as '%s'", (value) => {
    expect(signedAtMs(value)).toBeUndefined();
  });

  // signed-at-vectors.test.ts has the spellings of other writers.
  it("is the same instant in nine digits, and no spelling of one with a part of a millisecond, or half an offset", () => {
    expect(canonicalSignedAt("2026-01-02T03:04:05.678000000z")).toBe("2026-01-02T03:04:05.678Z");
    for (const rest of ["", ".678000001Z", ".678+00", ".678+01:00", ".٦78Z"]) {
      expect(canonicalSignedAt(`2026-01-02T03:04:05${rest}`), rest).toBeUndefined();
    }
  });
});
