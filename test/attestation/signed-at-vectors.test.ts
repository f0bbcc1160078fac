/** The vectors of test/vectors/signed-at: made by Python, Go and Java. Both kinds of evidence are read with each spelling. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { signingKey } from "../../src/crypto/ed25519.ts";
import { readVerifySpanRequest } from "../../src/service/codec/sign-span.ts";
import { integrityAttributes, signSpan } from "../../src/attestation/sign-statement.ts";
import { canonicalSignedAt } from "../../src/attestation/statement.ts";
import type { Verdict } from "../../src/attestation/verdict.ts";
import { claimOf, isClaim, isLogClaim, verdict } from "../../src/attestation/verify-span.ts";
import { logSigners, logVerdict } from "../../src/attestation/verify-log-proof.ts";
import { type Bytes, keyValue, len, message, signRequest, span, stringValue } from "../support/otlp-wire.ts";
import { logStatementOf, testKey, testLog, withLogProof } from "../support/test-log.ts";

interface Vectors {
  accepted: { by: string; spelling: string; canonical: string }[];
  refused: { what: string; spelling: string }[];
}

const { accepted, refused }: Vectors = JSON.parse(
  readFileSync(new URL("../vectors/signed-at/vectors.json", import.meta.url), "utf8"),
);
const plain = span(len(5, "decide"));
const key = signingKey(new Uint8Array(32).fill(1));
const by = { tenant: "acme", keyId: "00112233445566778899aabbccddeeff", key };

/** What is said of a span that was signed by itself at one time, and tells it so. */
function bySignature(signedAt: string, spelling: string): Verdict {
  const signed = signSpan(readVerifySpanRequest(signRequest(plain)).span, by, Date.parse(signedAt));
  const attributes = integrityAttributes(signed, by).map(([name, value]) =>
    len(9, keyValue(name, stringValue(name.endsWith("signed_at") ? spelling : value))),
  );
  return judge(message(plain, ...attributes));
}

/** Likewise of one in a log. */
async function byLog(signedAt: string, spelling: string): Promise<Verdict> {
  const log = testLog();
  log.add(logStatementOf(plain, "acme", signedAt));
  const [proof] = await log.proofs(0, 1);
  return judge(withLogProof(plain, { proof: proof!, tenant: "acme", signedAt: spelling }));
}

function judge(bytes: Bytes): Verdict {
  const claim = claimOf(readVerifySpanRequest(signRequest(bytes)));
  if (isClaim(claim)) return verdict(claim, { publicKey: key.publicKey, state: "ACTIVE" });
  if (!isLogClaim(claim)) return claim;
  const first = testKey(1);
  const keys = [
    { name: testLog().origin, keyId: first.keyId, publicKey: first.key.publicKey, state: "ACTIVE" as const },
  ];
  return logVerdict(claim, logSigners(claim, keys));
}

describe.each(accepted)("$spelling, by $by", ({ spelling, canonical }) => {
  it("is read as its instant, and a span that has it verifies", async () => {
    expect(canonicalSignedAt(spelling)).toBe(canonical);
    expect(bySignature(canonical, spelling)).toMatchObject({ reason: "OK", signedAt: canonical });
    expect(await byLog(canonical, spelling)).toMatchObject({ reason: "OK", signedAt: canonical });
  });
});

describe.each(refused)("$what", ({ spelling }) => {
  it("is refused, in words that name the attribute", async () => {
    expect(canonicalSignedAt(spelling)).toBeUndefined();
    const canonical = "2026-01-02T03:04:05.678Z";
    for (const judged of [bySignature(canonical, spelling), await byLog(canonical, spelling)]) {
      expect(judged).toMatchObject({ verified: false, reason: "MALFORMED" });
      expect(judged.message).toContain("audit.integrity.signed_at must be");
    }
  });
});
