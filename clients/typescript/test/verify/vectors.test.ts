/** The offline verifier on vectors that other programs made. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { canonicalSignedAt } from "../../src/verify/statement.ts";
import {
  KeySetError,
  parseKeySet,
  UnreadableExportError,
  verify,
  verifyExport,
  verifyRequest,
} from "../../src/verify.ts";

const vector = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../../../test/vectors/${name}`, import.meta.url), "utf8"));
const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));
const utf8 = (text: string) => new TextEncoder().encode(text);

interface Accepted {
  name: string;
  signSpanRequest: string;
  statement: string;
  signature: string;
}
const accepted: { publicKey: string; keyId: string; tenant: string; spans: Accepted[] } = vector("span/accepted.json");
const jwk = {
  kty: "OKP",
  crv: "Ed25519",
  kid: accepted.keyId,
  state: "ACTIVE",
  x: Buffer.from(accepted.publicKey, "hex").toString("base64url"),
};
const keys = await parseKeySet(JSON.stringify({ keys: [jwk] }));

/** A length-delimited field of less than 16 KiB. */
function field(number: number, content: Uint8Array): Uint8Array {
  const { length } = content;
  return Buffer.concat([Uint8Array.of((number << 3) | 2, (length & 127) | 128, length >> 7), content]);
}

describe.each(accepted.spans)("$name", ({ signSpanRequest, statement, signature }) => {
  const evidence = Buffer.concat([field(1, utf8(statement)), field(2, hex(signature))]);

  it("verifies by the statement that was signed", async () => {
    const request = Buffer.concat([hex(signSpanRequest), field(5, evidence)]);
    expect(await verifyRequest(keys, request)).toMatchObject({
      verified: true,
      reason: "OK",
      keyId: accepted.keyId,
      keyState: "ACTIVE",
      signedAt: "2026-01-02T03:04:05.678Z",
    });
  });

  it("is refused with another name of the tenant", async () => {
    const request = Buffer.concat([hex(signSpanRequest), field(5, evidence)]);
    expect(await verifyRequest(keys, request, "globex")).toMatchObject({ verified: false, reason: "UNKNOWN_KEY" });
  });
});

describe("a span that could be read in two ways", () => {
  it.each(vector("span/refused.json") as { name: string; span: string }[])("is refused: $name", async ({ span }) => {
    expect(await verify(keys, { tenantId: "acme", span: hex(span) })).toMatchObject({
      verified: false,
      reason: "MALFORMED",
    });
  });
});

describe("an export with signed spans", () => {
  const exported: { protobuf: string; json: Record<string, string> } = vector("span/exported.json");
  const forms = [["protobuf", hex(exported.protobuf)] as const].concat(
    Object.entries(exported.json).map(([name, text]) => [name as "protobuf", utf8(text)]),
  );

  it.each(forms)("verifies as %s", async (_, bytes) => {
    const verdicts = await verifyExport(keys, bytes);
    expect(verdicts.length).toBeGreaterThan(0);
    expect(verdicts.every(({ verified }) => verified)).toBe(true);
  });

  it.each(forms.slice(1))("is refused as %s with a number changed", async (_, bytes) => {
    const altered = utf8(new TextDecoder().decode(bytes).replace(/"?200"?/, "201"));
    expect(await verifyExport(keys, altered)).toContainEqual(expect.objectContaining({ reason: "SIGNATURE_MISMATCH" }));
  });
});

describe("an export in JSON", () => {
  const exported = (spans: string) => utf8(`{"resourceSpans":[{"scopeSpans":[{"spans":[${spans}]}]}]}`);

  it("has a verdict for each of more spans than a call takes arguments", async () => {
    const span = `{"traceId":"${"12".repeat(16)}","spanId":"${"34".repeat(8)}"}`;
    expect(await verifyExport(keys, exported(Array(130_000).fill(span).join()))).toHaveLength(130_000);
  });

  it("is read with more escapes than an expression's stack holds", async () => {
    const [verdict] = await verifyExport(keys, exported(`{"name":"${"\\n".repeat(5_000_000)}"}`));
    expect(verdict).toMatchObject({ reason: "MALFORMED", message: expect.stringContaining("trace_id") });
  });
});

describe("an export in JSON lines", () => {
  const line = (name: string) =>
    `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"${"12".repeat(16)}","spanId":"${"34".repeat(8)}","name":"${name}"}]}]}]}`;

  it.each([
    ["one behind the other", `${line("a")}\n${line("b")}`, 2],
    ["with the line ends of Windows, blank lines and a mark", `\ufeff\r\n${line("a")}\r\n \r\n${line("b")}\r\n`, 2],
    ["as one document over several lines", line("a").replaceAll(",", ",\n"), 1],
    ["as more documents than are judged at a time", `${line("a")}\n`.repeat(300), 300],
    ["with a member twice in the first line", `${line('a","name":"a')}\n${line("b")}`, 2],
  ])("is read %s", async (_, text, spans) => {
    const bytes = utf8(text);
    const told: number[][] = [];
    const verdicts = await verifyExport(keys, bytes, "acme", { onProgress: (...now) => told.push(now) });
    expect(verdicts).toHaveLength(spans);
    expect(told).toEqual(told.toSorted(([a], [b]) => a! - b!));
    expect(told.at(-1)).toEqual([bytes.length, bytes.length]);
  });

  it.each([
    ["a line that is no JSON", utf8(`${line("a")}\n\n{`), "in line 3"],
    ["a mark before another line than the first", utf8(`${line("a")}\n\ufeff${line("b")}`), "in line 2"],
    ["a line that is no export", utf8(`${line("a")}\n[]`), "resourceSpans"],
    ["a line that is not UTF-8", Buffer.concat([utf8(`${line("a")}\n"`), Uint8Array.of(0xff, 0x22)]), "UTF-8"],
  ])("is refused with %s", async (_, bytes, told) => {
    const refused = verifyExport(keys, bytes);
    await expect(refused).rejects.toThrow(UnreadableExportError);
    await expect(refused).rejects.toThrow(told);
  });
});

/** Each with what every reader says of it: test/vectors/span/make_json.py. */
describe("a text in JSON", async () => {
  const { jwks, cases }: { jwks: string; cases: { name: string; text: string; reasons: string[] | "unreadable" }[] } =
    vector("span/json.json");
  const signers = await parseKeySet(jwks);

  it.each(cases)("is judged as by every reader: $name", async ({ text, reasons }) => {
    const verdicts = verifyExport(signers, utf8(text), "acme");
    if (reasons === "unreadable") await expect(verdicts).rejects.toThrow(UnreadableExportError);
    else expect((await verdicts).map(({ reason }) => reason)).toEqual(reasons);
  });

  const keySets: { name: string; text: string; keyIds: string[] | null }[] = vector("span/key-sets.json");

  it.each(keySets)("is a key set, or none, as to every reader: $name", async ({ text, keyIds }) => {
    const set = parseKeySet(text);
    if (keyIds === null) await expect(set).rejects.toThrow(KeySetError);
    else expect([...(await set).keys.keys()]).toEqual(keyIds);
  });
});

describe("a time of signing", () => {
  const times: {
    accepted: { by: string; spelling: string; canonical: string }[];
    refused: { what: string; spelling: string }[];
  } = vector("signed-at/vectors.json");

  it.each(times.accepted)("is read as $by writes it: $spelling", ({ spelling, canonical }) => {
    expect(canonicalSignedAt(spelling)).toBe(canonical);
  });

  it.each(times.refused)("is refused: $what", ({ spelling }) => {
    expect(canonicalSignedAt(spelling)).toBeUndefined();
  });
});
