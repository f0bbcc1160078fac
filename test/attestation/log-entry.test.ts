import { hash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { publicKeyOf } from "../../src/crypto/ed25519.ts";
import { buildHandover, buildLogStatement, parseHandover, parseLogStatement } from "../../src/attestation/log-entry.ts";
import { verifierKey } from "../../src/tlog/verifier-key.ts";
import { spanId, traceId } from "../support/otlp-wire.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const signedAt = "2026-01-02T03:04:05.678Z";
const [fromKeyId, toKeyId] = ["aa".repeat(16), "bb".repeat(16)] as [string, string];
const publicKey = publicKeyOf(new Uint8Array(32).fill(2));
const spanParts = { traceId, spanId, digest: "ab".repeat(32), tenant: "acme", signedAt };
const handoverParts = {
  tenant: "acme",
  fromKeyId,
  toKeyId,
  toVkey: verifierKey("kms.example.com:8443/a_b/acme/2", publicKey),
  toKeyDigest: hash("sha256", publicKey),
  signedAt,
};
const entry = buildLogStatement(spanParts);
const handover = buildHandover(handoverParts);

/** RFC 8785, as far as these texts need it. */
function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(",")}}`;
}

describe("an entry of a log", () => {
  it("is an in-toto statement in canonical form, of a span or of a handover", () => {
    for (const text of [entry, handover]) expect(text).toBe(canonical(JSON.parse(text)));
    expect(JSON.parse(entry)).toMatchObject({ predicate: { tenant: "acme", signedAt } });
    expect(JSON.parse(handover)).toMatchObject({ predicate: { fromKeyId, toKeyId } });
  });

  it("gives its parts back, and is never taken for the other kind", () => {
    expect(parseLogStatement(bytes(entry))).toEqual(spanParts);
    expect(parseHandover(bytes(handover))).toEqual(handoverParts);
    expect(parseHandover(bytes(entry))).toBeUndefined();
    expect(parseLogStatement(bytes(handover))).toBeUndefined();
  });

  it.each([
    ["a byte more", (text: string) => `${text} `],
    ["a byte less", (text: string) => text.slice(0, -1)],
    ["white space", (text: string) => text.replace(":", ": ")],
    ["an escape that JSON need not have", (text: string) => text.replace('"acme"', '"\\u0061cme"')],
    ["another type", (text: string) => text.replace("Statement/v1", "Statement/v2")],
    ["another predicate type", (text: string) => text.replace(/(span|handover)\/v1/, "$1/v2")],
    ["a member more", (text: string) => text.replace('"predicate":{', '"predicate":{"a":1,')],
    ["a second subject", (text: string) => text.replace('"subject":[{', '"subject":[{},{')],
    ["a tenant that is none", (text: string) => text.replace('"acme"', '"Acme"')],
    ["a time that does not exist", (text: string) => text.replace("2026-01-02", "2026-02-30")],
    [
      "an upper-case digest",
      (text: string) => text.replace(/"sha256":"[^"]*"/, (digest) => digest.replace(/[a-f]/g, "A")),
    ],
    ["another entry behind it", (text: string) => text + text],
    ["megabytes", (text: string) => text.replace("acme", "a".repeat(5_000_000))],
  ])("is refused with %s", (_, alter) => {
    expect(alter(entry)).not.toBe(entry);
    expect(alter(handover)).not.toBe(handover);
    expect(parseLogStatement(bytes(alter(entry)))).toBeUndefined();
    expect(parseHandover(bytes(alter(handover)))).toBeUndefined();
  });

  it("names one key in a handover: vkey, digest and id belong together", () => {
    const other = publicKeyOf(new Uint8Array(32).fill(3));
    const altered = [
      { ...handoverParts, toKeyDigest: hash("sha256", other) },
      { ...handoverParts, toVkey: verifierKey("kms.example.com/acme", other) },
      { ...handoverParts, toVkey: handoverParts.toVkey.replace(/\+[0-9a-f]{8}\+/, "+00000000+") },
      { ...handoverParts, toVkey: "acme" },
    ];
    for (const parts of altered) expect(parseHandover(bytes(buildHandover(parts)))).toBeUndefined();
    expect(parseHandover(bytes(handover.replace(`"name":"${toKeyId}"`, `"name":"${fromKeyId}"`)))).toBeUndefined();
  });
});
