/** Logs whose spans somebody hands over, whole or not: test/vectors/log/make_logs.py made them, from nothing of this project. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  LogError,
  type LogFinding,
  type LogOptions,
  parseKeySet,
  UnreadableExportError,
  verifyExport,
  verifyLog,
} from "../../src/verify.ts";
import { reportOnLogs } from "../../src/verify-report.ts";

interface LogCase {
  name: string;
  jwks: string;
  vkeys?: string[];
  tenant?: string;
  export: string;
  log: Omit<LogOptions, "checkpoints" | "tenantId" | "tenant"> & { checkpoints?: string[] };
  want: object | "refused" | "unreadable";
}

const file = new URL("../../../../test/vectors/log/logs.json", import.meta.url);
const cases: LogCase[] = JSON.parse(readFileSync(file, "utf8"));
const named = (texts: readonly string[]) => texts.map((text, i) => ({ name: `checkpoint-${i}`, text }));

async function said(
  { jwks, vkeys, tenant, export: spans, log }: LogCase,
  more: Pick<LogOptions, "from" | "to" | "onProgress"> = {},
) {
  const all = await parseKeySet(jwks);
  const keys = vkeys === undefined ? all : await all.trusting(vkeys);
  const { checkpoints = [], ...range } = log;
  const options = { ...range, tenantId: tenant, checkpoints: named(checkpoints), ...more };
  const report = await verifyLog(keys, new Uint8Array(Buffer.from(spans, "base64")), options);
  const { json } = reportOnLogs(report, { log: true, ordered: true, kept: false, pinned: false });
  return JSON.parse(JSON.stringify(json, (name, value: unknown) => (name === "message" ? undefined : value)));
}

describe("spans of a log", () => {
  it.each(cases)("are judged as by every verifier: $name", async (given) => {
    if (given.want === "refused") await expect(said(given)).rejects.toThrow(LogError);
    else if (given.want === "unreadable") await expect(said(given)).rejects.toThrow(UnreadableExportError);
    else expect(await said(given)).toEqual(given.want);
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 53])("are refused from %d entries on", async (from) => {
    await expect(said(cases[0]!, { from })).rejects.toThrow(LogError);
  });

  it("names the spans on both sides of what is missing", async () => {
    const { jwks, export: spans } = cases.find(({ name }) => name === "a span removed")!;
    const bytes = new Uint8Array(Buffer.from(spans, "base64"));
    const keys = await parseKeySet(jwks);
    const { logs } = await verifyLog(keys, bytes);
    const [{ leafIndex, after, before }] = logs[0]!.findings as [LogFinding];
    const verdicts = await verifyExport(keys, bytes);
    const nameAt = (index: number) =>
      verdicts.filter((each) => each.leafIndex === index).map(({ traceId, spanId }) => `${traceId}/${spanId}`)[0];
    expect([after, before]).toEqual([nameAt(leafIndex! - 1), nameAt(leafIndex! + 1)]);
    expect(after).toBeDefined();
  });

  it("have the tenant that their evidence names, also where another is asked for", async () => {
    const { jwks, export: spans } = cases.find(({ name }) => name === "all of a log")!;
    const bytes = new Uint8Array(Buffer.from(spans, "base64"));
    for (const asked of [undefined, "globex"]) {
      const verdicts = await verifyExport(await parseKeySet(jwks), bytes, asked);
      expect(verdicts.map(({ tenant }) => tenant)).toEqual(verdicts.map(() => "acme"));
    }
  });

  it("are followed by how many bytes of them are done", async () => {
    const { jwks, export: spans } = cases.find(({ name }) => name === "all of a log")!;
    const bytes = new Uint8Array(Buffer.from(spans, "base64"));
    const told: number[][] = [];
    await verifyLog(await parseKeySet(jwks), bytes, { onProgress: (...now) => told.push(now) });
    expect(told.at(-1)).toEqual([bytes.length, bytes.length]);
  });
});

describe("a key that is reached from another", () => {
  it("is so by the handover that the other signed", async () => {
    const { jwks, vkeys } = cases.find(({ name }) => name === "all of a log, from its first key")!;
    const keys = await parseKeySet(jwks);
    expect(keys.reached.size).toBe(0);
    const trusted = await keys.trusting(vkeys!);
    const [first, second] = [...trusted.keys.keys()];
    const reached = [...trusted.reached].map(([keyId, { by, from }]) => [keyId, from.keyId, by.checkpoint.origin]);
    expect(reached).toEqual([[second, first, "kms.example.com/acme"]]);
  });
});
