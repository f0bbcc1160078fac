/** What an explanation shows, computed again from it alone by Node's own cryptography. */
import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Explanation, explainSpan } from "../../src/verify/explain.ts";
import { judgeExport, readSpanAt } from "../../src/verify/judged-export.ts";
import { parseKeySet } from "../../src/verify.ts";

const vector = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../../../test/vectors/${name}`, import.meta.url), "utf8"));

interface LogCase {
  name: string;
  jwks: string;
  tenant?: string;
  export: string;
}
const logs: LogCase[] = vector("log/logs.json");
const logCase = (name: string) => logs.find((each) => each.name === name)!;

async function explained({ jwks, tenant, export: spans }: Omit<LogCase, "name">, nth: number): Promise<Explanation> {
  const keys = await parseKeySet(jwks);
  const bytes = new Uint8Array(Buffer.from(spans, "base64"));
  const judged = await judgeExport(keys, bytes, { tenant });
  return explainSpan(readSpanAt(bytes, judged[nth]!.origin), keys, tenant);
}

/** The signed spans of one key that other programs made. */
function individual(alter: (text: string) => string = (text) => text, ofKey: object = {}) {
  const { publicKey, keyId } = vector("span/accepted.json");
  const x = Buffer.from(publicKey, "hex").toString("base64url");
  const jwks = JSON.stringify({ keys: [{ kty: "OKP", crv: "Ed25519", kid: keyId, state: "ACTIVE", x, ...ofKey }] });
  const [text] = Object.values<string>(vector("span/exported.json").json);
  return { jwks, export: Buffer.from(alter(text!)).toString("base64") };
}

const outcomes = ({ steps }: Explanation) => steps.map(({ title, holds }) => [title, holds]);
const detailOf = ({ steps }: Explanation, label: string) =>
  steps.flatMap(({ details }) => details).find((each) => each.label === label)!.text;
const sha256 = (...parts: (string | Buffer)[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();

function isSigned(message: string, signature: Buffer, publicKey: string): boolean {
  const x = Buffer.from(publicKey, "base64").toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  return verify(null, Buffer.from(message), key, signature);
}

describe("the explanation of a signature", () => {
  it("shows what its hash and its signature come out of", async () => {
    const explanation = await explained(individual(), 0);
    expect(outcomes(explanation)).toEqual([
      ["The span in canonical form", undefined],
      ["The statement", undefined],
      ["The signature", true],
      ["The key", true],
      ["The verdict", true],
    ]);
    const digest = sha256(detailOf(explanation, "Canonical form")).toString("hex");
    expect(detailOf(explanation, "SHA-256 of the canonical form")).toBe(digest);
    const statement = detailOf(explanation, "Statement");
    expect(statement).toContain(`"sha256":"${digest}"`);
    const signed = detailOf(explanation, "What is signed (DSSE)");
    expect(signed).toBe(`DSSEv1 28 application/vnd.in-toto+json ${statement.length} ${statement}`);
    const signature = Buffer.from(detailOf(explanation, "Signature, in base64"), "base64");
    expect(isSigned(signed, signature, detailOf(explanation, "Public key, in base64"))).toBe(true);
  });

  it("shows that a changed span has another signature", async () => {
    const explanation = await explained(
      individual((text) => text.replace(/"?200"?/, "201")),
      0,
    );
    expect(outcomes(explanation)).toContainEqual(["The signature", false]);
    expect(outcomes(explanation).at(-1)).toEqual(["The verdict", false]);
  });

  it("shows a key that was not in use then", async () => {
    const explanation = await explained(individual(undefined, { valid_until: "2026-01-01T00:00:00.000Z" }), 0);
    expect(outcomes(explanation)).toEqual(
      expect.arrayContaining([
        ["The signature", true],
        ["The key", false],
      ]),
    );
    expect(detailOf(explanation, "Valid until")).toBe("2026-01-01T00:00:00.000Z");
  });

  it("shows a compromised key and a key that nobody has", async () => {
    const compromised = individual(undefined, { state: "COMPROMISED" });
    expect(outcomes(await explained(compromised, 0))).toContainEqual(["The key", false]);
    const others = individual(undefined, { kid: "f".repeat(32) });
    expect(outcomes(await explained(others, 0)).slice(2)).toEqual([
      ["The signature", false],
      ["The verdict", false],
    ]);
  });
});

describe("the explanation of a log proof", () => {
  it("shows the way from the entry's hash to the root, and who signed that", async () => {
    const explanation = await explained(logCase("all of a log"), 0);
    expect(outcomes(explanation)).toEqual([
      ["The span in canonical form", undefined],
      ["The statement", undefined],
      ["The entry of the log", undefined],
      ["The way to the root", true],
      ["The checkpoint", true],
      ["The key", true],
      ["The verdict", true],
    ]);
    let hash = sha256(Buffer.of(0), detailOf(explanation, "Statement"));
    expect(detailOf(explanation, "Hash of the entry")).toBe(hash.toString("hex"));
    const levels = explanation.steps[3]!.details.filter(({ label }) => label.startsWith("Level"));
    expect(levels.length).toBeGreaterThan(0);
    for (const { text } of levels) {
      const [, side, sibling, gives] = /^(left|right) +sibling ([0-9a-f]{64})\ngives +([0-9a-f]{64})$/.exec(text) ?? [];
      const other = Buffer.from(sibling!, "hex");
      hash = sha256(Buffer.of(1), ...(side === "left" ? [other, hash] : [hash, other]));
      expect(hash.toString("hex")).toBe(gives);
    }
    expect(detailOf(explanation, "Root in the checkpoint")).toBe(hash.toString("hex"));
    const [text, signatures] = detailOf(explanation, "Checkpoint").split("\n\n");
    expect(text).toContain(hash.toString("base64"));
    const signature = Buffer.from(signatures!.trim().split(" ").at(-1)!, "base64").subarray(4);
    const publicKey = explanation.steps[4]!.details[1]!.text;
    expect(isSigned(`${text}\n`, signature, publicKey)).toBe(true);
  });

  it.each([
    ["a span changed", "The way to the root"],
    ["a proof of another place", "The way to the root"],
    ["a proof that a stranger signed", "The checkpoint"],
    ["a last key that is compromised", "The key"],
  ])("says of %s that it is not: %s", async (name, title) => {
    const given = logCase(name);
    const keys = await parseKeySet(given.jwks);
    const judged = await judgeExport(keys, Buffer.from(given.export, "base64"), {});
    const explanation = await explained(
      given,
      judged.findIndex(({ verdict }) => !verdict.verified),
    );
    const failed = outcomes(explanation).filter(([, holds]) => holds === false);
    expect(failed.map(([failing]) => failing)).toEqual([title, "The verdict"]);
  });
});

describe("the explanation of a span without readable evidence", () => {
  it("says what is missing", async () => {
    const given = logCase("a span that lost its evidence");
    const keys = await parseKeySet(given.jwks);
    const judged = await judgeExport(keys, Buffer.from(given.export, "base64"), {});
    const { steps } = await explained(
      given,
      judged.findIndex(({ verdict }) => !verdict.verified),
    );
    expect(steps[1]).toMatchObject({ holds: false, sentence: expect.stringContaining("no evidence") });
    expect(steps.at(-1)!.sentence).toContain("UNSIGNED");
  });

  it("says why the span itself cannot be read", async () => {
    const { jwks } = individual();
    const spans = Buffer.from('{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a"}]}]}]}').toString("base64");
    const { steps } = await explained({ jwks, export: spans }, 0);
    expect(steps).toMatchObject([{ holds: false, sentence: expect.stringContaining("trace_id") }]);
  });

  it("says that it names another tenant", async () => {
    const { steps } = await explained({ ...individual(), tenant: "globex" }, 0);
    expect(steps[1]).toMatchObject({ holds: false, sentence: expect.stringContaining("another tenant") });
  });
});
