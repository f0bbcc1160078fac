import { describe, expect, it } from "vitest";
import { signingKey } from "../../src/crypto/ed25519.ts";
import { readVerifySpanRequest } from "../../src/service/codec/sign-span.ts";
import { integrityAttributes, signSpan } from "../../src/attestation/sign-statement.ts";
import { buildStatement, parseStatement, preAuthenticationEncoding } from "../../src/attestation/statement.ts";
import type { Verdict, VerifyingKey } from "../../src/attestation/verdict.ts";
import { claimOf, isClaim, isLogClaim, verdict } from "../../src/attestation/verify-span.ts";
import { logVerdict } from "../../src/attestation/verify-log-proof.ts";
import {
  boolValue,
  type Bytes,
  hex,
  intValue,
  keyValue,
  len,
  message,
  signRequest,
  span,
  stringValue,
  traceId,
} from "../support/otlp-wire.ts";

const signer = signingKey(new Uint8Array(32).fill(1));
const keyId = "00112233445566778899aabbccddeeff";
const by = { tenant: "acme", keyId, key: signer };
const at = Date.parse("2026-01-02T03:04:05.678Z");
const signedAt = "2026-01-02T03:04:05.678Z";
const key: VerifyingKey = { publicKey: signer.publicKey, state: "ACTIVE", validFrom: new Date(at - 1000) };

const plain = span(len(5, "decide"), len(9, keyValue("approved", boolValue(false))));
const altered = span(len(5, "decide"), len(9, keyValue("approved", boolValue(true))));
const signed = signSpan(readVerifySpanRequest(signRequest(plain)).span, by, at);

type Attributes = Record<string, string | undefined>;
const good: Attributes = Object.fromEntries(integrityAttributes(signed, by));

function withAttributes(spanBytes: Bytes, attributes: Attributes): Bytes {
  const entries = Object.entries(attributes).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return message(spanBytes, ...entries.map(([name, value]) => len(9, keyValue(name, stringValue(value)))));
}

function judge(request: Bytes, found: VerifyingKey | undefined = key): Verdict {
  const claim = claimOf(readVerifySpanRequest(request));
  if (isLogClaim(claim)) return logVerdict(claim, []);
  return isClaim(claim) ? verdict(claim, found) : claim;
}

const byAttributes = (attributes: Attributes, spanBytes = plain, found: VerifyingKey | undefined = key) =>
  judge(signRequest(withAttributes(spanBytes, attributes)), found);

const byStatement = (statement: Bytes, signature: Bytes, spanBytes = plain, found: VerifyingKey | undefined = key) =>
  judge(signRequest(spanBytes, len(5, message(len(1, statement), len(2, signature)))), found);

const someResource = len(3, len(1, keyValue("service.name", stringValue("loans"))));
const someScope = len(4, len(1, "loans.decisions"));

const changed = (name: string, value: string | undefined) => ({ ...good, [`audit.integrity.${name}`]: value });

function flipped(bytes: Bytes): Bytes {
  const copy = new Uint8Array(bytes);
  copy[5]! ^= 1;
  return copy;
}

describe("by the attributes on the span", () => {
  it("verifies", () => {
    expect(byAttributes(good)).toEqual({ verified: true, reason: "OK", keyId, keyState: "ACTIVE", signedAt });
  });

  it("asks for the key that the attributes name, and says so when the tenant has none such", () => {
    const claim = claimOf(readVerifySpanRequest(signRequest(withAttributes(plain, good))));
    expect(claim).toMatchObject({ keyId, signedAt });
    const unknown = { verified: false, reason: "UNKNOWN_KEY", keyId, signedAt };
    expect(isClaim(claim) && verdict(claim, undefined)).toEqual(unknown);
  });

  it.each([
    ["a value", altered],
    ["an attribute more", message(plain, len(9, keyValue("x", intValue(1))))],
    ["an attribute less", span(len(5, "decide"))],
    ["another trace id", message(len(1, hex("01".repeat(16))), len(2, hex("eee19b7ec3c1b174")), plain.subarray(28))],
  ])("finds any change of the span: %s", (_, spanBytes) => {
    expect(byAttributes(good, spanBytes)).toMatchObject({ verified: false, reason: "SIGNATURE_MISMATCH", keyId });
  });

  it("finds a change of resource or scope", () => {
    const request = signRequest(withAttributes(plain, good), len(4, len(1, "other")));
    expect(judge(request).reason).toBe("SIGNATURE_MISMATCH");
  });

  it("finds another time, key id or signature", () => {
    expect(byAttributes(changed("signed_at", "2026-01-02T03:04:05.679Z")).reason).toBe("SIGNATURE_MISMATCH");
    expect(byAttributes(changed("key_id", "f".repeat(32))).reason).toBe("SIGNATURE_MISMATCH");
    const other = Buffer.from(flipped(signed.signature)).toString("base64");
    expect(byAttributes(changed("value", other)).reason).toBe("SIGNATURE_MISMATCH");
  });

  it("refuses another key's signature", () => {
    const { publicKey } = signingKey(new Uint8Array(32).fill(2));
    expect(byAttributes(good, plain, { ...key, publicKey }).reason).toBe("SIGNATURE_MISMATCH");
  });

  const value = good["audit.integrity.value"]!;
  const base64 = (...bytes: number[]) => Buffer.from(bytes).toString("base64");
  const inBase64Url = value.replaceAll("+", "-").replaceAll("/", "_").replace("==", "");
  const withStrayBits = value.replace(/.==$/, (last) => `${nextBase64(last[0]!)}==`);

  it("is malformed without attributes, and says so, and with the algorithm of a log's proof", () => {
    const message = expect.stringMatching(/^the span carries no evidence/);
    expect(byAttributes({})).toEqual({ verified: false, reason: "MALFORMED", message });
    expect(byAttributes(changed("algorithm", "c2sp.org/tlog-proof@v1")).reason).toBe("MALFORMED");
  });

  // Of times, signed-at-vectors.test.ts.
  it.each<[string, name: string, text: string | undefined]>([
    ...["algorithm", "value", "key_id", "tenant", "signed_at"].map((name): [string, string, undefined] => [
      `no ${name}`,
      name,
      undefined,
    ]),
    ["another algorithm", "algorithm", "HS256"],
    ["an algorithm in another case", "algorithm", "eddsa"],
    ["an empty value", "value", ""],
    ["a value without padding", "value", value.replace("==", "")],
    ["a value with a line feed", "value", `${value}\n`],
    ["a value in base64url", "value", inBase64Url],
    ["a value with stray low bits", "value", withStrayBits],
    ["a value of 63 bytes", "value", base64(...signed.signature.subarray(1))],
    ["a value of 65 bytes", "value", base64(...signed.signature, 0)],
    ["an upper-case key id", "key_id", keyId.toUpperCase()],
    ["a short key id", "key_id", keyId.slice(1)],
    ["a key id with a line feed", "key_id", `${keyId}\n`],
  ])("is malformed with %s, and says which attribute is wrong", (_, name, text) => {
    const { message, ...judged } = byAttributes(changed(name, text));
    expect(judged).toEqual({ verified: false, reason: "MALFORMED" });
    const says = text === undefined ? "is missing: it must be" : "must be";
    expect(message).toMatch(new RegExp(`^audit\\.integrity\\.${name} ${says}`));
  });

  it.each<[string, Bytes[], string]>([
    ["without resource and scope", [], "a resource or scope"],
    ["without a scope", [someResource], "a scope"],
    ["without a resource", [someScope], "a resource"],
  ])("says of an altered span %s that it may have been signed with them", (_, beside, lacks) => {
    const text = `the span or its signature was altered; if it was signed with ${lacks}, give that too, as it was then`;
    const judged = judge(message(signRequest(withAttributes(altered, good)), ...beside));
    expect(judged).toMatchObject({ reason: "SIGNATURE_MISMATCH", message: text });
  });

  it("says only that it was altered where resource and scope are given", () => {
    const request = message(signRequest(withAttributes(altered, good)), someResource, someScope);
    expect(judge(request).message).toBe("the span or its signature was altered");
  });

  it("knows no key of another tenant, and looks none up", () => {
    const claim = claimOf(readVerifySpanRequest(signRequest(withAttributes(plain, changed("tenant", "other")))));
    const message = "audit.integrity.tenant names another tenant";
    expect(claim).toEqual({ verified: false, reason: "UNKNOWN_KEY", keyId, signedAt, message });
  });
});

describe("by statement and signature", () => {
  const { statement, signature } = signed;
  const text = Buffer.from(statement).toString();
  const parts = parseStatement(statement)!;
  /** A statement that was really signed, with these parts. */
  function signedWith(change: Partial<typeof parts>): [Bytes, Bytes] {
    const other = new TextEncoder().encode(buildStatement({ ...parts, ...change }));
    return [other, signer.sign(preAuthenticationEncoding(other))];
  }

  it("verifies, without attributes on the span and whatever those there are say", () => {
    expect(byStatement(statement, signature)).toEqual({
      verified: true,
      reason: "OK",
      keyId,
      keyState: "ACTIVE",
      signedAt,
    });
    expect(byStatement(statement, signature, withAttributes(plain, changed("value", "x"))).reason).toBe("OK");
  });

  it.each([
    ["in other words", text.replace(":", ": ")],
    ["of another type", text.replace("compliance-span", "other-span")],
    ["that is empty", ""],
  ])("is malformed with a statement %s, even when that is what was signed", (_, other) => {
    const bytes = new TextEncoder().encode(other);
    expect(byStatement(bytes, signer.sign(preAuthenticationEncoding(bytes))).reason).toBe("MALFORMED");
  });

  it("is malformed with a signature of another length", () => {
    const malformed = { reason: "MALFORMED", message: "signed_statement.signature must have 64 bytes" };
    expect(byStatement(statement, signature.subarray(1))).toMatchObject(malformed);
    expect(byStatement(statement, hex(""))).toMatchObject(malformed);
  });

  it("finds a signature that is not of this statement, before it looks at the span", () => {
    expect(byStatement(statement, flipped(signature)).reason).toBe("SIGNATURE_MISMATCH");
    expect(byStatement(statement, flipped(signature), altered).reason).toBe("SIGNATURE_MISMATCH");
    const [other] = signedWith({ digest: "0".repeat(64) });
    expect(byStatement(other, signature).reason).toBe("SIGNATURE_MISMATCH");
  });

  it("finds a span that the signed statement is not about", () => {
    expect(byStatement(statement, signature, altered)).toMatchObject({
      verified: false,
      reason: "SPAN_MISMATCH",
      keyId,
      message:
        "the statement is about another span; if it was signed with a resource or scope, give that too, as it was then",
    });
    expect(byStatement(...signedWith({ traceId: "1".repeat(32) })).reason).toBe("SPAN_MISMATCH");
    expect(byStatement(...signedWith({ spanId: traceId.slice(0, 16) })).reason).toBe("SPAN_MISMATCH");
  });

  it("knows no key of another tenant", () => {
    expect(byStatement(...signedWith({ tenant: "other" }))).toEqual({
      verified: false,
      reason: "UNKNOWN_KEY",
      keyId,
      signedAt,
      message: "the statement names another tenant",
    });
  });

  it("is malformed where it is given as a log's proof", () => {
    const proof = len(6, message(len(1, statement), len(2, "proof")));
    const text = "log_proof.statement must be the exact text of the log's entry";
    expect(judge(signRequest(plain, proof))).toEqual({ verified: false, reason: "MALFORMED", message: text });
  });
});

describe("the key's state", () => {
  it("is refused once it was marked, whatever state the key is in now", () => {
    const state = "DESTROY_SCHEDULED";
    const marked = { ...key, state, compromisedAt: new Date(at + 1) } as const;
    expect(byAttributes(good, plain, marked)).toMatchObject({
      verified: false,
      reason: "KEY_COMPROMISED",
      keyState: state,
    });
    expect(byAttributes(good, altered, marked)).toMatchObject({ reason: "SIGNATURE_MISMATCH", keyState: state });
  });

  const inState = (state: VerifyingKey["state"], spanBytes = plain) => byAttributes(good, spanBytes, { ...key, state });

  it.each([
    ...(["ACTIVE", "RETIRED", "DISABLED", "DESTROY_SCHEDULED", "DESTROYED"] as const).map((s) => [s, "OK"] as const),
    ["COMPROMISED", "KEY_COMPROMISED"],
    ["PENDING", "KEY_STATE"],
  ] as const)("%s makes it %s", (state, reason) => {
    expect(inState(state)).toMatchObject({ verified: reason === "OK", reason, keyState: state });
  });

  it("comes after the signature, so that an altered span is called altered; but under PENDING nothing is checked", () => {
    expect(inState("COMPROMISED", altered).reason).toBe("SIGNATURE_MISMATCH");
    expect(byStatement(signed.statement, signed.signature, altered, { ...key, state: "COMPROMISED" }).reason).toBe(
      "SPAN_MISMATCH",
    );
    expect(inState("PENDING", altered).reason).toBe("KEY_STATE");
  });
});

describe("the key's times", () => {
  const within = (from: number | undefined, until: number | undefined) =>
    byAttributes(good, plain, {
      ...key,
      validFrom: from === undefined ? undefined : new Date(from),
      validUntil: until === undefined ? undefined : new Date(until),
    }).reason;

  it("take a signature up to 60 s before valid_from, and up to valid_until", () => {
    expect(within(at, at)).toBe("OK");
    expect(within(at + 60_000, undefined)).toBe("OK");
    expect(within(undefined, undefined)).toBe("OK");
  });

  it("refuse one before and after that", () => {
    expect(within(at + 60_001, undefined)).toBe("KEY_STATE");
    expect(within(undefined, at - 1)).toBe("KEY_STATE");
  });

  it("come after the signature and the state", () => {
    const ended: VerifyingKey = { ...key, validUntil: new Date(at - 1) };
    expect(byAttributes(good, altered, ended).reason).toBe("SIGNATURE_MISMATCH");
    expect(byAttributes(good, plain, { ...ended, state: "COMPROMISED" }).reason).toBe("KEY_COMPROMISED");
  });
});

/** The last digit before == carries four bits that decode to nothing; this sets one. */
function nextBase64(digit: string): string {
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  return digits[digits.indexOf(digit) + 1]!;
}
