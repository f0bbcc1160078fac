/** The vectors of test/vectors/span: made in Python by make.py, from nothing of this project. */
import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { signingKey } from "../../src/crypto/ed25519.ts";
import type { ReadSpan } from "../../src/otlp/canonical.ts";
import { readSignSpanRequest, readVerifySpanRequest } from "../../src/service/codec/sign-span.ts";
import { readResourceSpans } from "../../src/otlp/resource-spans.ts";
import { integrityAttributes, signSpan } from "../../src/attestation/sign-statement.ts";
import { preAuthenticationEncoding } from "../../src/attestation/statement.ts";
import { type Claim, claimOf, isClaim, verdict } from "../../src/attestation/verify-span.ts";
import { verifierKey } from "../../src/tlog/verifier-key.ts";
import { thrownBy } from "../support/matchers.ts";
import { hex, keyValue, len, message, signRequest, stringValue } from "../support/otlp-wire.ts";

interface Accepted {
  name: string;
  signSpanRequest: string;
  resourceSpans: string;
  canonical: string;
  statement: string;
  preAuthenticationEncoding: string;
  signature: string;
}

const vectors = JSON.parse(readFileSync(new URL("../vectors/span/accepted.json", import.meta.url), "utf8"));
const refused: { name: string; span: string; field: string | null }[] = JSON.parse(
  readFileSync(new URL("../vectors/span/refused.json", import.meta.url), "utf8"),
);
const publicKey = hex(vectors.publicKey);
const by = { tenant: vectors.tenant, keyId: vectors.keyId, key: signingKey(hex(vectors.seed)) };

describe.each(vectors.spans as Accepted[])("$name", (vector) => {
  const request = hex(vector.signSpanRequest);

  it("has this canonical form", () => {
    expect(readSignSpanRequest(request).span.canonical).toBe(vector.canonical);
  });

  it("has the same form in an OTLP export", () => {
    const [read, ...more] = [...readResourceSpans(hex(vector.resourceSpans))];
    expect((read as ReadSpan).canonical).toBe(vector.canonical);
    expect(more).toEqual([]);
  });

  it("is signed as this statement, encoding and signature", () => {
    const signed = signSpan(readSignSpanRequest(request).span, by, vectors.signedAtMs);
    expect(Buffer.from(signed.statement).toString()).toBe(vector.statement);
    expect(Buffer.from(preAuthenticationEncoding(signed.statement)).toString("hex")).toBe(
      vector.preAuthenticationEncoding,
    );
    expect(Buffer.from(signed.signature).toString("hex")).toBe(vector.signature);
    expect(signed.signedAt).toBe(vectors.signedAt);
  });

  it("verifies by statement and signature", () => {
    const evidence = message(len(1, vector.statement), len(2, hex(vector.signature)));
    const claim = claimOf(readVerifySpanRequest(message(request, len(5, evidence))));
    expect(isClaim(claim)).toBe(true);
    expect(verdict(claim as Claim, { publicKey, state: "ACTIVE" }).reason).toBe("OK");
  });
});

it("verifies a span with 128 attributes once the signature's five are on it", () => {
  const vector = (vectors.spans as Accepted[]).find(({ name }) => name === "128 attributes")!;
  const request = hex(vector.signSpanRequest);
  const signed = { signature: hex(vector.signature), signedAt: vectors.signedAt };
  const attributes = integrityAttributes(signed, by).map(([key, value]) => len(9, keyValue(key, stringValue(value))));
  // tenant "acme" takes 6 bytes; the span's tag and three-byte length follow.
  const spanBytes = message(request.subarray(6 + 3), ...attributes);
  const claim = claimOf(readVerifySpanRequest(signRequest(spanBytes)));
  expect(verdict(claim as Claim, { publicKey, state: "ACTIVE" })).toMatchObject({ verified: true, reason: "OK" });
});

it.each(refused)("refuses $name", async ({ span, field }) => {
  const error = await thrownBy(() => readSignSpanRequest(signRequest(hex(span))));
  expect(error).toBeKmsError("INVALID_ARGUMENT", field ?? "nested deeper than 32");
});

it("writes the verifier key", () => {
  expect(verifierKey(vectors.vkey.name, publicKey)).toBe(vectors.vkey.text);
});

it("digests the UTF-8 bytes of the canonical form", () => {
  for (const { canonical, statement } of vectors.spans as Accepted[]) {
    expect(statement).toContain(hash("sha256", Buffer.from(canonical)));
  }
});
