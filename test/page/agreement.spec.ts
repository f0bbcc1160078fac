/**
 * The verifier's page in Chromium against the service's own verifier: cases from a seed, and names that would do harm. Of each the same verdict of
 * every span, the same facts and the same conclusion, or a refusal by both. `npm run test:page -- agreement --seed S --from N --cases 1` is one case.
 */
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Browser, launchChromium } from "../support/chromium.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { isShort } from "../support/short.ts";
import { type Case, caseOf } from "./agreement/cases.ts";
import { commandOutcome } from "./agreement/command.ts";
import { type DrivenPage, openDriven } from "./agreement/driven-page.ts";
import { hostileCases, hostileNames, inJson, sizedCases } from "./agreement/hostile.ts";
import { endOfCommand, writtenCase } from "./agreement/real-command.ts";
import { differenceOf, type Outcome } from "./agreement/outcome.ts";
import { type World, worldsOf } from "./agreement/worlds.ts";

const seed = Number(process.env.PAGE_SEED ?? 1);
const first = Number(process.env.PAGE_FROM ?? 0);
const count = Number(process.env.PAGE_CASES ?? (isShort ? 250 : 10_000));
/** More differences of one test are not told. */
const mostTold = 10;
/** Cases of one test. */
const together = 1_000;

let browser: Browser;
let driven: DrivenPage;
let worlds: World[];
const conclusions = new Map<string, number>();
beforeAll(async () => {
  const service: RunningService = await startService();
  worlds = await worldsOf(seed, service);
  await service.stop();
  browser = await launchChromium("page");
  driven = await openDriven(browser);
});
afterAll(() => browser?.close());

/** What the two differ in, with where the files of the case are. */
async function judge(each: Case): Promise<{ outcome: Outcome; difference?: string }> {
  const outcome = commandOutcome(each);
  const difference = differenceOf(outcome, await driven.verify(each));
  if (difference === undefined) return { outcome };
  // Beside the temporary folder of the run, which is gone at its end.
  const { folder, args } = writtenCase(each, dirname(tmpdir()));
  return {
    outcome,
    difference: `${each.name} (${each.what.join(", ")}), in ${folder}, ${args.join(" ")}:\n  ${difference}`,
  };
}

const parts = Array.from({ length: Math.ceil(count / together) }, (_, i) => ({
  from: first + i * together,
  to: first + Math.min((i + 1) * together, count),
}));

describe(`seed ${seed}`, () => {
  it.each(parts)("says of the cases from $from to before $to what the command says", async ({ from, to }) => {
    const differences: string[] = [];
    for (let number = from; number < to; number += 1) {
      const { outcome, difference } = await judge(caseOf(seed, number, worlds));
      const conclusion = "refusal" in outcome ? "refused" : outcome.conclusion;
      conclusions.set(conclusion, (conclusions.get(conclusion) ?? 0) + 1);
      if (difference !== undefined) differences.push(difference);
      if (differences.length === mostTold) break;
    }
    if (differences.length > 0) console.log(`npm run test:page -- agreement --seed ${seed} --from NUMBER --cases 1`);
    expect(differences).toEqual([]);
  });

  it.runIf(count >= 250)("has cases of each conclusion, and at least 30 % in which nothing is wrong", () => {
    console.log([...conclusions].map(([conclusion, cases]) => `${conclusion} ${cases}`).join(", "));
    const share = (...names: string[]) => names.reduce((sum, name) => sum + (conclusions.get(name) ?? 0), 0) / count;
    expect(share("VERIFIED", "CONSISTENT")).toBeGreaterThan(0.3);
    expect(share("FAILED")).toBeGreaterThan(0.2);
    expect(share("VERIFIED_WITH_GAPS", "CONSISTENT_WITH_GAPS")).toBeGreaterThan(0);
    expect(share("refused")).toBeGreaterThan(0.05);
    expect(driven.complaints()).toEqual([]);
  });
});

/** Of so many cases one is also given to the command in a process of its own. */
const oneIn = 50;
const date = "2026-12-02";
/** A report is the same but for who made it. */
const maker = /(?:fluo-kms|fluo-verify\.html) \d[\w.-]*/g;

it("says what the command says in a process of its own, by its exit code and its report", async () => {
  for (let number = first; number < first + count; number += oneIn) {
    const each = caseOf(seed, number, worlds);
    const [{ code, report }, said] = [await endOfCommand(each, date), await driven.verify(each)];
    const conclusion = "refusal" in said ? undefined : said.conclusion;
    expect([number, code === 0], each.what.join()).toEqual([
      number,
      /^(?:VERIFIED|CONSISTENT)$/.test(conclusion ?? ""),
    ]);
    expect([number, report === undefined], each.what.join()).toEqual([number, conclusion === undefined]);
    if (code === 0) expect((await driven.report(date)).replace(maker, "")).toBe(report!.replace(maker, ""));
  }
});

describe("names that others chose", () => {
  it.each(Object.keys(hostileNames))("%s", async (name) => {
    await judgeHostile(hostileCases(name));
  });

  it("and sizes at the limits", async () => {
    await judgeHostile(sizedCases());
  });
});

/** Afterwards the page is as it was, and has nothing in it that a name made. */
async function judgeHostile(cases: readonly Case[]): Promise<void> {
  const differences: string[] = [];
  for (const each of cases.flatMap(formsOf)) {
    const { difference } = await judge(each);
    if (difference !== undefined) differences.push(difference);
    expect(await driven.injected(), each.name).toEqual([]);
  }
  expect(differences).toEqual([]);
  expect(driven.complaints()).toEqual([]);
}

/** In the short form a case is not given in JSON, too. */
function formsOf(each: Case): Case[] {
  return isShort ? [each] : [each, inJson(each)].filter((form) => form !== undefined);
}
