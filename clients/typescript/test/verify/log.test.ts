/** Logs whose spans somebody hands over, whole or not: test/vectors/log/make_logs.py made them, from nothing of this project. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { LogError, type LogOptions, parseKeySet, UnreadableExportError, verifyLog } from "../../src/verify.ts";
import { reportOnLogs } from "../../src/verify-report.ts";

interface LogCase {
  name: string;
  jwks: string;
  vkeys?: string[];
  tenant?: string;
  export: string;
  log: Omit<LogOptions, "checkpoints"> & { checkpoints?: string[] };
  want: object | "refused" | "unreadable";
}

const file = new URL("../../../../test/vectors/log/logs.json", import.meta.url);
const cases: LogCase[] = JSON.parse(readFileSync(file, "utf8"));
const named = (texts: readonly string[]) => texts.map((text, i) => ({ name: `checkpoint-${i}`, text }));

async function said({ jwks, vkeys, tenant, export: spans, log }: LogCase, more: LogOptions = {}) {
  const all = await parseKeySet(jwks);
  const keys = vkeys === undefined ? all : await all.trusting(vkeys);
  const { checkpoints = [], ...range } = log;
  const options = { ...range, tenant, checkpoints: named(checkpoints), ...more };
  const report = await verifyLog(keys, new Uint8Array(Buffer.from(spans, "base64")), options);
  const { json } = reportOnLogs(report, false);
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
});
