import { describe, expect, it } from "vitest";
import { signingKey, verifySignature } from "../../src/crypto/ed25519.ts";
import { readSignSpanRequest } from "../../src/service/codec/sign-span.ts";
import { integrityAttributes, signSpan, spanDigest } from "../../src/attestation/sign-statement.ts";
import { parseStatement, preAuthenticationEncoding } from "../../src/attestation/statement.ts";
import { thrownBy } from "../support/matchers.ts";
import { hex, len, message, signRequest, span, spanId, traceId } from "../support/otlp-wire.ts";

const key = signingKey(new Uint8Array(32).fill(1));
const by = { tenant: "acme", keyId: "00112233445566778899aabbccddeeff", key };
const read = readSignSpanRequest(signRequest(span(len(5, "é")))).span;
const at = 1767323045678;

describe("signing a span", () => {
  it("signs the encoding of a statement about the span", () => {
    const { statement, signature, signedAt } = signSpan(read, by, at);
    expect(parseStatement(statement)).toEqual({
      traceId,
      spanId,
      digest: spanDigest(read),
      tenant: "acme",
      keyId: by.keyId,
      signedAt,
    });
    expect(verifySignature(key.publicKey, preAuthenticationEncoding(statement), signature)).toBe(true);
    expect(verifySignature(key.publicKey, statement, signature)).toBe(false);
  });

  it("gives the same bytes for the same span, key and time, and other bytes otherwise", () => {
    const signed = signSpan(read, by, at);
    expect(signSpan(read, by, at)).toEqual(signed);
    expect(signSpan(read, by, at + 1).signature).not.toEqual(signed.signature);
    expect(signSpan(read, { ...by, tenant: "other" }, at).signature).not.toEqual(signed.signature);
    const other = readSignSpanRequest(signRequest(message(span(), len(5, "e")))).span;
    expect(signSpan(other, by, at).signature).not.toEqual(signed.signature);
  });

  it("fails when the key was destroyed", async () => {
    const gone = signingKey(new Uint8Array(32).fill(2));
    gone.destroy();
    expect(await thrownBy(() => signSpan(read, { ...by, key: gone }, at))).toBeKmsError("INTERNAL");
  });
});

describe("the attributes", () => {
  it("are five, in this order", () => {
    const signature = hex("00".repeat(64));
    expect(integrityAttributes({ signature, signedAt: "2026-01-02T03:04:05.678Z" }, by)).toEqual([
      ["audit.integrity.algorithm", "EdDSA"],
      ["audit.integrity.value", `${"A".repeat(86)}==`],
      ["audit.integrity.key_id", by.keyId],
      ["audit.integrity.tenant", "acme"],
      ["audit.integrity.signed_at", "2026-01-02T03:04:05.678Z"],
    ]);
  });
});
