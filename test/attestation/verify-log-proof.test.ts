import { describe, expect, it } from "vitest";
import type { Checkpoint } from "../../src/tlog/checkpoint.ts";
import { readVerifySpanRequest } from "../../src/service/codec/sign-span.ts";
import { formatSignedAt } from "../../src/attestation/statement.ts";
import type { Verdict, VerifyingKey } from "../../src/attestation/verdict.ts";
import { claimOf, isClaim, isLogClaim } from "../../src/attestation/verify-span.ts";
import { type LogKey, logSigners, logVerdict, type WasRecorded } from "../../src/attestation/verify-log-proof.ts";
import { type Bytes, intValue, keyValue, len, message, signRequest, span } from "../support/otlp-wire.ts";
import { logStatementOf, type TestKey, testKey, testLog, withLogProof } from "../support/test-log.ts";

const pay = (amount: number) => span(len(5, "pay"), len(9, keyValue("amount", intValue(amount))));
const log = testLog();
const signedSpans = await log.sign(pay(1), pay(2), pay(3));
const second = signedSpans[1]!;
const signedAt = "2026-03-01T12:00:00.000Z";
const [first, next] = [testKey(1), testKey(2)] as [TestKey, TestKey];

function logKey({ keyId, key }: TestKey, about: Partial<LogKey> = {}): LogKey {
  return { name: log.origin, keyId, publicKey: key.publicKey, state: "ACTIVE", ...about };
}

function judge(request: Bytes, keys: readonly LogKey[] = [logKey(first)], wasRecorded?: WasRecorded): Verdict {
  const claim = claimOf(readVerifySpanRequest(request));
  if (isClaim(claim)) throw new Error("the test's span has a signature of its own");
  return isLogClaim(claim) ? logVerdict(claim, logSigners(claim, keys), wasRecorded) : claim;
}

const byAttributes = (bytes: Bytes, keys?: readonly LogKey[], wasRecorded?: WasRecorded) =>
  judge(signRequest(bytes), keys, wasRecorded);

/** As a LogProof beside the span. */
const byProof = (bytes: Bytes, statement: string, proof: string, keys?: readonly LogKey[]) =>
  judge(signRequest(bytes, len(6, message(len(1, statement), len(2, proof)))), keys);

const [proofOfSecond] = await log.proofs(1, 1);
const statementOfSecond = Buffer.from(log.entries[1]!).toString();
const withProof = (proof: string, about: { tenant?: string; signedAt?: string } = {}) =>
  withLogProof(pay(2), { proof, tenant: "acme", signedAt, ...about });
const ok = { verified: true, reason: "OK", keyId: first.keyId, keyState: "ACTIVE", signedAt };

describe("a span in a log", () => {
  it("verifies by its attributes, wherever it is in the tree", () => {
    for (const each of signedSpans) expect(byAttributes(each)).toEqual(ok);
  });

  it("verifies by a statement and its proof, whatever the span's attributes say", () => {
    expect(byProof(pay(2), statementOfSecond, proofOfSecond!)).toEqual(ok);
    expect(byProof(withProof("x"), statementOfSecond, proofOfSecond!)).toEqual(ok);
  });

  it("verifies by a later checkpoint of another key, whenever that was in use", async () => {
    const later = testLog({ like: log });
    await later.rotate();
    const [proof] = await later.proofs(1, 1);
    const keys = [logKey(next, { validFrom: new Date("2026-06-01") })];
    expect(byAttributes(withProof(proof!), keys)).toEqual({ ...ok, keyId: next.keyId });
  });

  it("verifies in the second log of its tenant, by its own name", async () => {
    const restored = testLog({ origin: `${log.origin}/2` });
    const [signed] = await restored.sign(pay(1));
    const keys = [logKey(first), logKey(first, { name: restored.origin })];
    expect(byAttributes(signed!, keys).reason).toBe("OK");
    expect(byAttributes(signed!).reason).toBe("UNKNOWN_KEY");
  });

  it.each([
    ["a value", pay(20)],
    ["an attribute more", message(pay(2), len(9, keyValue("x", intValue(1))))],
    ["an attribute less", span(len(5, "pay"))],
  ])("does not verify after any change: %s", (_, altered) => {
    const claimed = withLogProof(altered, { proof: proofOfSecond!, tenant: "acme", signedAt });
    const lacks = "if it was signed with a resource or scope, give that too, as it was then";
    const text = `the log proof does not hold: the span or its proof was altered; ${lacks}`;
    expect(byAttributes(claimed)).toEqual({ ...ok, verified: false, reason: "PROOF_INVALID", message: text });
    expect(byProof(altered, statementOfSecond, proofOfSecond!)).toMatchObject({
      reason: "SPAN_MISMATCH",
      keyId: first.keyId,
    });
  });

  it("does not verify with another time, or by another span's proof", async () => {
    const [proofOfFirst] = await log.proofs(0, 1);
    expect(byAttributes(withProof(proofOfSecond!, { signedAt: "2026-03-01T12:00:00.001Z" })).reason).toBe(
      "PROOF_INVALID",
    );
    expect(byAttributes(withProof(proofOfFirst!)).reason).toBe("PROOF_INVALID");
    expect(byAttributes(withProof(proofOfSecond!.replace("index 1", "index 0"))).reason).toBe("PROOF_INVALID");
    const ofAnother = logStatementOf(pay(3), "acme", formatSignedAt(Date.parse(signedAt)));
    expect(byProof(pay(2), ofAnother, (await log.proofs(2, 1))[0]!).reason).toBe("SPAN_MISMATCH");
  });

  it("does not verify by a checkpoint that was not signed so", () => {
    const [, size, root] = log.checkpoint().split("\n");
    const otherSize = proofOfSecond!.replace(`\n${size}\n`, "\n4\n");
    const otherRoot = proofOfSecond!.replace(`\n${root}\n`, `\n${Buffer.alloc(32).toString("base64")}\n`);
    for (const proof of [otherSize, otherRoot]) {
      expect(byAttributes(withProof(proof))).toEqual({
        verified: false,
        reason: "PROOF_INVALID",
        signedAt,
        message: "a signature of the proof's checkpoint does not hold",
      });
    }
  });
});

describe("a key or a log that is not known", () => {
  const unknown = { verified: false, reason: "UNKNOWN_KEY", signedAt };

  it("is a key that is not the tenant's", async () => {
    expect(byAttributes(second, [])).toEqual(unknown);
    expect(byAttributes(second, [logKey(next)])).toEqual(unknown);
    const [forged] = await log.proofs(1, 1, testKey(1, "globex"));
    expect(byAttributes(withProof(forged!))).toEqual(unknown);
  });

  it("is another tenant's log, also where the same key signs for both", async () => {
    const globex = testLog({ tenant: "globex" });
    const [foreign] = await globex.sign(pay(2));
    const keys = [logKey(first), { ...logKey(testKey(1, "globex")), name: globex.origin }];
    const message = "audit.integrity.tenant names another tenant";
    expect(byAttributes(foreign!, keys)).toEqual({ ...unknown, message });
    const renamed = testLog({ origin: globex.origin });
    const [spliced] = await renamed.sign(pay(2));
    expect(byAttributes(spliced!)).toEqual(unknown);
  });

  it("is a checkpoint by another name than its signature's", () => {
    const renamed = proofOfSecond!.replace(`\n${log.origin}\n`, `\n${log.origin}/2\n`);
    expect(byAttributes(withProof(renamed), [logKey(first), logKey(first, { name: `${log.origin}/2` })])).toEqual(
      unknown,
    );
  });

  it("is another tenant in attributes or statement, before anything is looked up", () => {
    expect(byAttributes(withProof(proofOfSecond!, { tenant: "globex" }), [])).toEqual({
      ...unknown,
      message: "audit.integrity.tenant names another tenant",
    });
    expect(byProof(pay(2), statementOfSecond.replace("acme", "globex"), proofOfSecond!)).toEqual({
      ...unknown,
      message: "the statement names another tenant",
    });
  });
});

describe("evidence in another form", () => {
  const at = (index: number, insert: string) => proofOfSecond!.slice(0, index) + insert + proofOfSecond!.slice(index);

  it.each<[string, Bytes, string?]>([
    ["no proof", withProof("")],
    ["a proof of another version", withProof(proofOfSecond!.replace("@v1", "@v2"))],
    ["a proof without its checkpoint", withProof(proofOfSecond!.slice(0, proofOfSecond!.indexOf("\n\n") + 2))],
    ["a checkpoint without signatures", withProof(proofOfSecond!.slice(0, proofOfSecond!.lastIndexOf("\n\n") + 2))],
    ["a note that is no checkpoint", withProof(proofOfSecond!.replace("\n3\n", "\nthree\n"))],
    ["a space more", withProof(at(proofOfSecond!.indexOf("\n"), " "))],
    [
      "a key id, which is for signatures",
      message(second, len(9, keyValue("audit.integrity.key_id", len(1, first.keyId)))),
      "key_id",
    ],
  ])("is malformed: %s", (_, bytes, attribute = "value") => {
    const { message, ...judged } = byAttributes(bytes);
    expect(judged).toEqual({ verified: false, reason: "MALFORMED" });
    expect(message).toContain(`audit.integrity.${attribute} must be`);
  });

  it("is malformed in base64 or UTF-8 that is not canonical", () => {
    const value = Buffer.from(proofOfSecond!).toString("base64");
    const broken = Buffer.concat([Buffer.from(proofOfSecond!.slice(0, -1)), Buffer.of(0xff, 0x0a)]).toString("base64");
    for (const other of [`${value}=`, `${value}\n`, broken]) {
      const attributes = { algorithm: "c2sp.org/tlog-proof@v1", value: other, tenant: "acme", signed_at: signedAt };
      const wire = Object.entries(attributes).map(([name, text]) =>
        len(9, keyValue(`audit.integrity.${name}`, len(1, text))),
      );
      expect(byAttributes(message(pay(2), ...wire))).toMatchObject({ verified: false, reason: "MALFORMED" });
    }
  });

  it("is malformed beside the span: a statement in other words, a handover, a proof that is none", async () => {
    const handing = testLog({ like: log });
    const { entry, proof } = await handing.rotate();
    expect(byProof(pay(2), statementOfSecond.replace(":", ": "), proofOfSecond!).reason).toBe("MALFORMED");
    expect(byProof(pay(2), Buffer.from(entry).toString(), proof).reason).toBe("MALFORMED");
    expect(byProof(pay(2), statementOfSecond, "c2sp.org/tlog-proof@v1\n").reason).toBe("MALFORMED");
  });
});

describe("the key's state", () => {
  const inState = (state: VerifyingKey["state"], bytes = second) => byAttributes(bytes, [logKey(first, { state })]);

  it.each([
    ...(["ACTIVE", "RETIRED", "DISABLED", "DESTROY_SCHEDULED", "DESTROYED"] as const).map((s) => [s, "OK"] as const),
    ["COMPROMISED", "KEY_COMPROMISED"],
    ["PENDING", "KEY_STATE"],
  ] as const)("%s makes it %s", (state, reason) => {
    expect(inState(state)).toMatchObject({ verified: reason === "OK", reason, keyId: first.keyId, keyState: state });
  });

  it("lets a compromised key verify nothing by itself, in whatever state it is now", () => {
    const marked = logKey(first, { state: "DESTROYED", compromisedAt: new Date() });
    expect(byAttributes(second, [marked])).toMatchObject({ reason: "KEY_COMPROMISED" });
  });

  it("comes after proof and span", () => {
    const altered = withLogProof(pay(20), { proof: proofOfSecond!, tenant: "acme", signedAt });
    expect(inState("COMPROMISED", altered).reason).toBe("PROOF_INVALID");
    const compromised = [logKey(first, { state: "COMPROMISED" })];
    expect(byProof(pay(20), statementOfSecond, proofOfSecond!, compromised).reason).toBe("SPAN_MISMATCH");
  });

  it("is that of a key that is not compromised, where one signed as well", async () => {
    const handing = testLog({ like: log });
    const { proof } = await handing.rotate();
    const [both] = await handing.proofs(1, 1, first, next);
    expect(proof).toContain(log.origin);
    const keys = [logKey(first, { state: "COMPROMISED" }), logKey(next)];
    expect(byAttributes(withProof(both!), keys)).toMatchObject({ verified: true, reason: "OK", keyId: next.keyId });
  });
});

describe("what the log was when its key was marked as compromised", () => {
  const compromised = (head: Checkpoint) => [logKey(first, { state: "COMPROMISED", compromisedLog: head })];

  it("verifies where the checkpoint is that very head", () => {
    expect(byAttributes(second, compromised(log.head()))).toMatchObject({ verified: true, reason: "OK" });
  });

  it("does not verify by another head of that size, nor past it", () => {
    expect(byAttributes(second, compromised({ ...log.head(), root: Buffer.alloc(32) })).reason).toBe("KEY_COMPROMISED");
    expect(byAttributes(second, compromised(log.head(2))).reason).toBe("KEY_COMPROMISED");
    expect(byAttributes(second, compromised({ ...log.head(), origin: `${log.origin}/2` })).reason).toBe(
      "KEY_COMPROMISED",
    );
  });

  it("verifies where whoever has the log says that it held the entry", () => {
    const asked: unknown[] = [];
    const wasRecorded =
      (answer: boolean): WasRecorded =>
      ({ index }, { keyId }) => {
        asked.push([index, keyId]);
        return answer;
      };
    const keys = compromised(log.head(2));
    expect(byAttributes(second, keys, wasRecorded(true))).toMatchObject({ verified: true, reason: "OK" });
    expect(byAttributes(second, keys, wasRecorded(false))).toMatchObject({ reason: "KEY_COMPROMISED" });
    expect(asked).toEqual([
      [1, first.keyId],
      [1, first.keyId],
    ]);
  });
});
