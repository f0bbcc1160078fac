/** The clients' verifiers against the service's own: random spans, mutated and not, the same verdict of each. */
import { createWriteStream } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningService, startService } from "../../test/support/running-service.ts";
import { isShort } from "../../test/support/short.ts";
import { type Case, makeCases, type Source } from "./judge/cases.ts";
import { answerOf, isSame, requestsOf, serviceTenant } from "./judge/service-tenant.ts";
import { newFolder, runProgram, whole } from "./programs.ts";

const count = Number(process.env.CONFORMANCE_CASES ?? (isShort ? 1_000 : 20_000));
const seed = Number(process.env.CONFORMANCE_SEED ?? 1);
/** Calls that are open at once. */
const breadth = 64;

const logFindings = [
  "missing",
  "changed",
  "repeated",
  "reordered",
  "rewritten",
  "compromised",
  "foreign",
  "unproven",
  "unreadable",
];

const path = join(newFolder("judge-"), "cases.jsonl");
const reasons = new Map<string, number>();
const differences: string[] = [];
let asked = 0;
let lines = 0;
let service: RunningService;

beforeAll(async () => {
  service = await startService();
  const sources = [await serviceTenant(service, "states", seed), await serviceTenant(service, "more-states", seed + 1)];
  const file = createWriteStream(path);
  const open = new Set<Promise<void>>();
  for (const each of makeCases(count, seed, sources)) {
    lines += 1;
    if (!file.write(`${JSON.stringify(each)}\n`)) await once(file, "drain");
    for (const { reason } of wantsOf(each)) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    const asking = askService(each, sources).finally(() => open.delete(asking));
    open.add(asking);
    if (open.size >= breadth) await Promise.race(open);
  }
  await Promise.all(open);
  await once(file.end(), "finish");
});
afterAll(() => service.stop());

function wantsOf(each: Case): { reason: string }[] {
  if (!("want" in each)) return [];
  if ("log" in each) return foundIn(each.want).map((what) => ({ reason: `log ${what}` }));
  return each.want === "unreadable" ? [{ reason: "unreadable" }] : [each.want].flat();
}

/** What is found in logs, or what is said in its place. */
function foundIn(want: unknown): string[] {
  if (typeof want === "string") return [want];
  const { ok, logs } = want as { ok: boolean; logs: { findings: { what: string }[] }[] };
  return ok ? ["whole"] : logs.flatMap(({ findings }) => findings.map(({ what }) => what));
}

/** Whatever VerifySpan can be asked: not what is not in protobuf, and nothing for a tenant that is not the service's. */
async function askService(each: Case, sources: readonly Source[]): Promise<void> {
  if (!("want" in each) || "log" in each || "json" in each || each.want === "unreadable") return;
  const { tenant } = each;
  if (tenant === undefined || tenant !== sources.find(({ name }) => name === each.keySet)?.tenant) return;
  const requests = "request" in each ? [base64(each.request)] : requestsOf(base64(each.export), tenant);
  const wants = [each.want].flat();
  if (requests?.length !== wants.length) return;
  for (const [i, request] of requests.entries()) {
    const answer = await answerOf(service, request);
    asked += 1;
    if (!isSame(answer, wants[i]!)) differences.push(`${JSON.stringify(answer)}, not ${JSON.stringify(wants[i])}`);
  }
}

function base64(text: string): Buffer {
  return Buffer.from(text, "base64");
}

describe(`${count} cases from seed ${seed}`, () => {
  it("are of each reason, many", () => {
    console.log(`${path}: ${lines} lines; ${[...reasons].map(([reason, n]) => `${reason} ${n}`).join(", ")}`);
    const all = ["OK", "SIGNATURE_MISMATCH", "SPAN_MISMATCH", "UNKNOWN_KEY", "KEY_STATE", "KEY_COMPROMISED"];
    for (const reason of [...all, "PROOF_INVALID", "MALFORMED", "unreadable"])
      expect(reasons.get(reason) ?? 0, reason).toBeGreaterThan(count / 100);
    for (const what of [...logFindings, "whole", "refused"])
      expect(reasons.get(`log ${what}`) ?? 0, what).toBeGreaterThanOrEqual(Math.floor(count / 2_000));
  });

  it("are judged by the running service as its code does offline", () => {
    console.log(`${asked} of the spans were given to VerifySpan`);
    expect(asked).toBeGreaterThan(count / 10);
    expect(differences).toEqual([]);
  });

  it.each(whole.map((language) => [language.title, language] as const))(
    "are judged the same in %s",
    async (_, language) => {
      const told = await runProgram(language, "judge", { cases: path });
      if (told.failed > 0)
        console.log(`npm run test:clients -- judge ${language.name} --cases ${count} --seed ${seed}`);
      expect(told.failures).toEqual([]);
      expect(told).toMatchObject({ passed: lines, failed: 0 });
    },
  );
});
