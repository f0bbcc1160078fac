/** The page's verification, in Node, of the logs in test/vectors/log and the spans in test/vectors/span. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Question, type Verification, verifyFiles } from "../../clients/page/verification.ts";
import type { Asked, FindingFacts, LogFacts } from "../../src/verification-report/facts.ts";

interface LogCase {
  name: string;
  jwks: string;
  vkeys?: string[];
  tenant?: string;
  /** Base64. */
  export: string;
  log: { checkpoints?: string[]; from?: number; to?: number; anyOrder?: boolean };
  /** The JSON of `verify --log`, without messages. */
  want: { logs: object[] } | string;
}

const vector = (name: string) => JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), "utf8"));
const logs: LogCase[] = vector("log/logs.json");
const utf8 = (text: string) => new TextEncoder().encode(text);

const nothingAsked: Asked = {
  log: false,
  tenant: undefined,
  vkeys: [],
  from: undefined,
  to: undefined,
  anyOrder: false,
  keptBy: undefined,
};

function questionOf(name: string, asked: Partial<Asked> = {}): Question {
  const { jwks, export: spans } = logs.find((each) => each.name === name)!;
  return {
    spans: { name: "spans.bin", bytes: new Uint8Array(Buffer.from(spans, "base64")) },
    keys: { name: "jwks.json", bytes: utf8(jwks) },
    checkpoints: [],
    asked: { ...nothingAsked, ...asked },
  };
}

function verified(question: Question): Promise<Verification> {
  return verifyFiles(question, () => {});
}

describe("the verification of the page", () => {
  it("names the files that it was given, by their hashes", async () => {
    const question = questionOf("all of a log");
    const { facts } = await verified(question);
    expect(facts.exhibits).toEqual(
      [question.spans, question.keys].map(({ name, bytes }, i) => ({
        role: ["spans", "keys"][i],
        name,
        bytes: bytes.length,
        sha256: createHash("sha256").update(bytes).digest("hex"),
      })),
    );
  });

  it("has a row for each span, with its own name and what is wrong", async () => {
    const { facts, rows } = await verified(questionOf("a span changed"));
    expect(rows.map(({ position }) => position)).toEqual(rows.map((_, i) => i + 1));
    expect(rows.every(({ name }) => name !== undefined && name !== "")).toBe(true);
    const bad = rows.filter(({ verdict }) => verdict !== "OK");
    expect(bad).toMatchObject([{ verdict: "PROOF_INVALID", message: expect.stringContaining("altered") }]);
    expect(facts.spans).toMatchObject({ total: rows.length, verified: rows.length - 1 });
    expect(facts.spans.failures).toMatchObject([{ position: bad[0]!.position, span: bad[0]!.span }]);
  });

  it("tells a span without evidence from others that cannot be read", async () => {
    const { facts } = await verified(questionOf("a span that lost its evidence"));
    expect(facts.spans.failures).toMatchObject([{ reason: "UNSIGNED" }]);
  });

  it("says who vouches for each key", async () => {
    const name = "all of a log, from its first key";
    const { vkeys } = logs.find((each) => each.name === name)!;
    const alone = await verified(questionOf(name, { log: true }));
    expect(alone.facts.keys.map(({ vouchedBy }) => vouchedBy)).toEqual(alone.facts.keys.map(() => ({ by: "file" })));
    const { facts } = await verified(questionOf(name, { log: true, vkeys: vkeys! }));
    const [first, second] = facts.keys;
    const [handover] = facts.handovers;
    expect(handover).toEqual({
      origin: "kms.example.com/acme",
      entry: expect.any(Number),
      fromKeyId: first!.keyId,
      toKeyId: second!.keyId,
    });
    const { origin, entry } = handover!;
    expect(facts.keys.map(({ vouchedBy }) => vouchedBy)).toEqual([
      { by: "asker" },
      { by: "handover", fromKeyId: first!.keyId, origin, entry },
    ]);
    expect(facts.keys.reduce((sum, { spans }) => sum + spans, 0)).toBe(facts.spans.verified);
  });

  it("explains the span at a position", async () => {
    const { rows, explain } = await verified(questionOf("a span changed"));
    for (const { position, verdict } of rows) {
      const { steps } = await explain(position);
      expect(steps.at(-1)!.holds).toBe(verdict === "OK");
    }
  });

  it("finds the span that it explains in a file of JSON lines", async () => {
    const { publicKey, keyId } = vector("span/accepted.json");
    const x = Buffer.from(publicKey, "hex").toString("base64url");
    const keys = JSON.stringify({ keys: [{ kty: "OKP", crv: "Ed25519", kid: keyId, state: "ACTIVE", x }] });
    const text = JSON.stringify(JSON.parse(Object.values<string>(vector("span/exported.json").json)[0]!));
    const question = {
      spans: { name: "spans.jsonl", bytes: utf8(`${text}\n\n${text.replace(/"?200"?/, "201")}\n`) },
      keys: { name: "jwks.json", bytes: utf8(`\ufeff${keys}`) },
      checkpoints: [],
      asked: nothingAsked,
    };
    const { rows, explain } = await verified(question);
    expect(rows.map(({ verdict }) => verdict)).toContain("SIGNATURE_MISMATCH");
    for (const { position, verdict } of rows) {
      const { steps } = await explain(position);
      expect(steps.at(-1)!.holds).toBe(verdict === "OK");
    }
  });
});

describe("the facts of a log", () => {
  it.each(logs)("are what every verifier finds: $name", async ({ name, log, vkeys, tenant, want }) => {
    const { checkpoints: texts = [], ...range } = log;
    const asked = { ...range, log: true, tenant, vkeys: vkeys ?? [] };
    const checkpoints = texts.map((text, i) => ({ name: `checkpoint-${i}`, bytes: utf8(text) }));
    const verification = verified({ ...questionOf(name, asked), checkpoints });
    if (typeof want === "string") return void (await expect(verification).rejects.toThrow());
    const { facts } = await verification;
    expect(facts.exhibits.slice(2)).toMatchObject(
      checkpoints.map((each) => ({ role: "checkpoints", name: each.name })),
    );
    expect(facts.logs.map(asJson)).toEqual(want.logs);
  });

  it("have the times of the spans on both sides of a gap, and of those that a checkpoint covers", async () => {
    const { facts, rows } = await verified(questionOf("a span removed", { log: true }));
    const [{ period, findings }] = facts.logs as [LogFacts];
    const [{ entry, after, before }] = findings as [FindingFacts];
    const signedAt = (index: number) => rows.find((row) => row.entry === index)?.signedAt;
    expect([after?.signedAt, before?.signedAt]).toEqual([signedAt(entry! - 1), signedAt(entry! + 1)]);
    const times = rows.map((row) => row.signedAt!).sort();
    expect(period).toEqual({ first: times[0], last: times.at(-1) });
  });
});

function asJson({ origin, from, to, spans, handovers, announced, endedAt, follows, ...log }: LogFacts): object {
  return {
    origin,
    ...(endedAt !== undefined && { ended_at: endedAt }),
    ...(follows && { follows: follows.origin }),
    from,
    to,
    spans,
    handovers,
    announced,
    checkpoints: log.checkpoints.map(({ name, size, agrees = null }) => ({ file: name, size, agrees })),
    findings: log.findings.map(({ what, entry = null, count, span = null }) => {
      return { what, leaf_index: entry, count, span };
    }),
  };
}

describe("what the page cannot verify", () => {
  it.each<[string, Partial<Question>, string]>([
    ["keys that are not UTF-8", { keys: { name: "a", bytes: Uint8Array.of(0x22, 0xff) } }, "not UTF-8"],
    ["keys that are none", { keys: { name: "a", bytes: utf8("[]") } }, "JWKS"],
    ["spans that are none", { spans: { name: "a", bytes: utf8("[]") } }, "resourceSpans"],
    ["a vkey that is none", { asked: { ...nothingAsked, vkeys: ["a"] } }, "NAME+ID+KEY"],
    ["bounds that are none", { asked: { ...nothingAsked, log: true, from: 2, to: 2 } }, "below"],
    [
      "a checkpoint that is none",
      { checkpoints: [{ name: "march.txt", bytes: utf8("a") }], asked: { ...nothingAsked, log: true } },
      "march.txt holds no checkpoint",
    ],
    [
      "a checkpoint of more lines than a stack takes",
      {
        checkpoints: [{ name: "a", bytes: utf8(`${"x\n".repeat(10_000_000)}\n— x y\n`) }],
        asked: { ...nothingAsked, log: true },
      },
      "a holds no checkpoint",
    ],
    ["a checkpoint without a log", { checkpoints: [{ name: "march.txt", bytes: utf8("a") }] }, "completeness"],
  ])("is told of %s", async (_, change, told) => {
    await expect(verified({ ...questionOf("all of a log"), ...change })).rejects.toThrow(told);
  });

  it("is told of a verifier key that the set does not have", async () => {
    const [vkey] = logs.find(({ vkeys }) => vkeys !== undefined)!.vkeys!;
    const question = questionOf("all of a log", { vkeys: [vkey!] });
    const others = { name: "jwks.json", bytes: utf8('{"keys":[]}') };
    await expect(verified({ ...question, keys: others })).rejects.toThrow(`has no key ${vkey}`);
  });
});
