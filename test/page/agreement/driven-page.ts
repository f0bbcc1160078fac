/** The verifier's page, driven case after case as somebody would drive it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "../../support/chromium.ts";
import { foreignRequests, openVerifier } from "../verifier-page.ts";
import type { Case, CaseFile } from "./cases.ts";
import type { Outcome, Verified } from "./outcome.ts";

export interface DrivenPage {
  /** Throws if the table shows other verdicts than the worker gave. */
  verify(each: Case): Promise<Outcome>;
  /** The report of the last case, as the page saves it. */
  report(date: string): Promise<string>;
  /** What stands in the page that only a name can have put there. */
  injected(): Promise<string[]>;
  /** What it complained about, or asked of a network. */
  complaints(): readonly string[];
}

const drive = readFileSync(join(import.meta.dirname, "drive.js"), "utf8");

export async function openDriven(browser: Browser): Promise<DrivenPage> {
  const opened = await openVerifier(browser, { before: drive });
  const { page } = opened;
  return {
    async verify({ spans, keys, checkpoints, asked }) {
      const files = { spans: [sent(spans)], keys: [sent(keys)], checkpoints: checkpoints.map(sent) };
      // Given as an argument: the browser keeps the text of each expression that it was given.
      const outcome = await page.evaluate(driveIn, JSON.stringify({ files, asked }));
      if (!("refusal" in outcome)) needSame(outcome);
      return outcome;
    },
    report: (date) => page.evaluate<string>(`reported(${JSON.stringify(date)})`),
    injected: () => page.evaluate<string[]>("injected()"),
    complaints: () => [...opened.complaints, ...foreignRequests(opened)],
  };
}

/** Runs in the page. */
function driveIn(given: string): Promise<Driven> {
  return (globalThis as unknown as { drive(given: string): Promise<Driven> }).drive(given);
}

type Driven = (Verified & { shown: readonly string[] }) | { refusal: string };

function needSame({ rows, shown }: { rows: Verified["rows"]; shown: readonly string[] }): void {
  const verdicts = rows.map(({ verdict }) => verdict);
  if (verdicts.join() !== shown.join())
    throw new Error(`the table shows ${shown.join()} in place of ${verdicts.join()}`);
}

function sent({ name, bytes }: CaseFile): { name: string; base64: string } {
  return { name, base64: Buffer.from(bytes).toString("base64") };
}
