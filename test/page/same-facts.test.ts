/** The page's verifier and the service's own make the same facts of the same files. */
import { isDeepStrictEqual } from "node:util";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { type Case, makeCases } from "../../clients/conformance/judge/cases.ts";
import { logStory } from "../../clients/conformance/judge/log-cases.ts";
import { type LogOptions, keySetOf } from "../../clients/conformance/judge/reference.ts";
import { type Question, verifyFiles } from "../../clients/page/verification.ts";
import { Failure } from "../../src/cli/command.ts";
import { checkpointsIn } from "../../src/cli/files.ts";
import type { KeySet } from "../../src/cli/verify/key-set.ts";
import { judgeSpans } from "../../src/cli/verify/judged-spans.ts";
import { verifyLogs } from "../../src/cli/verify/log.ts";
import { factsOf } from "../../src/cli/verify/report-facts.ts";
import { parseVerifierKey } from "../../src/tlog/verifier-key.ts";
import type { Facts } from "../../src/verification-report/facts.ts";
import { randomFrom } from "../crash/random.ts";

/** 4,000 take two minutes. */
const cases = Number(process.env.CASES ?? 250);

/** What is verified, as texts and bytes. */
interface Story {
  jwks: string;
  vkeys?: readonly string[] | undefined;
  tenant?: string | undefined;
  spans: Buffer<ArrayBuffer>;
  /** Undefined for each span alone. */
  log?: LogOptions | undefined;
}

function questionOf({ jwks, vkeys = [], tenant, spans, log }: Story): Question {
  const { checkpoints = [], from, to, anyOrder = false } = log ?? {};
  const asked = { log: log !== undefined, tenant, vkeys, from, to, anyOrder, keptBy: undefined };
  return {
    spans: { name: "spans", bytes: spans },
    keys: { name: "jwks.json", bytes: Buffer.from(jwks) },
    checkpoints: checkpoints.map((text, i) => ({ name: `checkpoint-${i}`, bytes: Buffer.from(text) })),
    asked,
  };
}

/** As the command makes them. */
function factsOfService({ jwks, vkeys, tenant, spans, log }: Story, question: Question): Facts | "refused" {
  try {
    const [all, keys] = [keySetOf(jwks, undefined), keySetOf(jwks, vkeys)];
    if (all === undefined || keys === undefined || !(vkeys ?? []).every((vkey) => isIn(all, vkey))) return "refused";
    const judged = judgeSpans(spans, keys, tenant);
    const { from, to, anyOrder = false } = log ?? {};
    const kept = (log?.checkpoints ?? []).flatMap((text, i) => checkpointsIn(text, `checkpoint-${i}`));
    const logs = log === undefined ? [] : verifyLogs(judged, { keys, kept, from, to, isOrdered: !anyOrder }).logs;
    const files = [
      { role: "spans" as const, ...question.spans },
      { role: "keys" as const, ...question.keys },
      ...question.checkpoints.map((file) => ({ role: "checkpoints" as const, ...file })),
    ];
    return factsOf(question.asked, files, { keys, spans: judged, logs });
  } catch (error) {
    if (error instanceof Failure) return "refused";
    throw error;
  }
}

function isIn({ logKeys }: KeySet, vkey: string): boolean {
  const { publicKey } = parseVerifierKey(vkey)!;
  return logKeys.some((key) => Buffer.compare(key.publicKey, publicKey) === 0);
}

const named = ["KeySetError", "LogError", "UnreadableExportError"];

async function factsOfPage(question: Question): Promise<Facts | "refused"> {
  try {
    return (await verifyFiles(question, () => {})).facts;
  } catch (error) {
    if (named.includes((error as Error).name)) return "refused";
    throw error;
  }
}

/** The words of the two differ. */
function withoutMessages(facts: Facts | "refused"): Facts | "refused" {
  if (facts === "refused") return facts;
  const without = <Told extends { message: string }>(told: Told): Told => ({ ...told, message: "" });
  return {
    ...facts,
    spans: { ...facts.spans, failures: facts.spans.failures.map(without) },
    logs: facts.logs.map((log) => ({ ...log, findings: log.findings.map(without) })),
  };
}

/** Throws at a difference. */
async function sameFacts(story: Story): Promise<Facts | "refused"> {
  const question = questionOf(story);
  const [page, service] = [
    withoutMessages(await factsOfPage(question)),
    withoutMessages(factsOfService(story, question)),
  ];
  if (!isDeepStrictEqual(page, service)) expect(page, JSON.stringify(story)).toStrictEqual(service);
  return page;
}

interface LogCase {
  name: string;
  jwks: string;
  vkeys?: string[];
  tenant?: string;
  /** Base64. */
  export: string;
  log: LogOptions;
}
const logs: LogCase[] = JSON.parse(readFileSync(new URL("../vectors/log/logs.json", import.meta.url), "utf8"));

it.each(logs)("of the vectors: $name", async ({ export: spans, log, ...story }) => {
  for (const asked of [undefined, log]) await sameFacts({ ...story, spans: Buffer.from(spans, "base64"), log: asked });
});

/** What is verified in the case, by the key sets that came before it; undefined where it is something else. */
function storyOf(given: Case, sets: Map<string, { jwks: string; vkeys?: readonly string[] }>): Story | undefined {
  if ("jwks" in given) {
    if ("keySet" in given) sets.set(given.keySet, given);
    return undefined;
  }
  if ("request" in given) return undefined;
  const { jwks, vkeys } = sets.get(given.keySet)!;
  const spans = "json" in given ? Buffer.from(given.json) : Buffer.from(given.export, "base64");
  return { jwks, vkeys, tenant: given.tenant, spans, log: "log" in given ? given.log : {} };
}

it("of random exports and keys", async () => {
  const sets = new Map<string, { jwks: string; vkeys?: readonly string[] }>();
  const seen = new Set<string>();
  for (const given of makeCases(cases, 45)) {
    const story = storyOf(given, sets);
    if (story === undefined) continue;
    for (const log of [undefined, story.log])
      for (const each of whatIsIn(await sameFacts({ ...story, log }))) seen.add(each);
  }
  expect([...seen]).toEqual(
    expect.arrayContaining([
      ...["verified", "refused", "SIGNATURE_MISMATCH", "PROOF_INVALID", "UNKNOWN_KEY", "KEY_STATE", "MALFORMED"],
      ...["by asker", "by handover", "by file", "handover"],
    ]),
  );
});

it("of random logs", async () => {
  const r = randomFrom(45);
  const seen = new Set<string>();
  for (let i = 0; i < cases / 5; i += 1) {
    const { keySet, tenant, export: spans, log } = logStory(r);
    const story = { ...keySet, tenant, spans: Buffer.from(spans, "base64"), log };
    for (const each of whatIsIn(await sameFacts(story))) seen.add(each);
  }
  expect([...seen]).toEqual(
    expect.arrayContaining([
      ...["verified", "missing", "reordered", "repeated", "rewritten", "changed", "unreadable", "compromised"],
      ...["neighbour", "checkpoint true", "checkpoint false", "checkpoint undefined"],
    ]),
  );
});

function whatIsIn(facts: Facts | "refused"): string[] {
  if (facts === "refused") return [facts];
  const { spans, logs: ofLogs, keys, handovers } = facts;
  const findings = ofLogs.flatMap((log) => log.findings);
  return [
    ...(spans.verified > 0 ? ["verified"] : []),
    ...spans.failures.map(({ reason }) => reason),
    ...findings.map(({ what }) => what),
    ...(findings.some(({ after, before }) => (after ?? before) !== undefined) ? ["neighbour"] : []),
    ...keys.map(({ vouchedBy }) => `by ${vouchedBy.by}`),
    ...(handovers.length > 0 ? ["handover"] : []),
    ...ofLogs.flatMap(({ checkpoints }) => checkpoints.map(({ agrees }) => `checkpoint ${agrees}`)),
  ];
}
