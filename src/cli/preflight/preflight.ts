/** `preflight`: is a running service what it should be before production? The checklist is in docs/QUICKSTART.md. */
import type { Config } from "../../config/config.ts";
import { realTime } from "../../runtime/time.ts";
import { version } from "../../version.ts";
import {
  type Command,
  exitCode,
  Failure,
  jsonOption,
  type OptionValues,
  textOf,
  textsOf,
  UsageError,
} from "../command.ts";
import { configOption } from "../configuration.ts";
import { withConfig } from "../open-store.ts";
import { printJson, printLine, printTable } from "../print.ts";
import { placeOf, serviceDetails, serviceOptions } from "../service-client.ts";
import { verdict } from "../styled.ts";
import { checklist, unanswered } from "./checklist.ts";
import { gather } from "./gather.ts";
import { waivedIn } from "./check-ids.ts";
import type { Line } from "./line.ts";

const mostReplicas = 10_000;

export const preflight: Command = {
  name: "preflight",
  summary: "Checks whether a running service is ready for production, line by line.",
  options: [
    ...serviceOptions,
    configOption,
    { name: "replicas", value: "N", description: "how many there will be, instead of those that run" },
    {
      name: "waive",
      value: "ID",
      repeatable: true,
      description: "the id of a check that may fail, as the first column has it",
    },
    jsonOption,
  ],
  details: [
    "Asks the service, and reads its settings and its store: run it where the service runs, as its user, with its",
    "environment. It writes nothing but the audit rows of its calls. Exit code 0 if no line fails that is not waived. Its caller",
    "needs the roles status, operate and audit.",
    ...serviceDetails,
  ],
  run(options) {
    const place = placeOf(options);
    const replicas = replicasIn(options);
    const waived = waivedIn(textsOf(options, "waive"));
    return withConfig(options, async (config) => {
      const time = realTime.now();
      const { lines, release } = await linesFrom(options, config, { place, replicas });
      const checks = lines.map((line) => ({ ...line, waived: waived.has(line.id) }));
      const ok = checks.every((check) => check.outcome !== "FAIL" || check.waived);
      const ran = { release: { command: version, service: release ?? null }, time: time.toISOString() };
      if (options.json === true) printJson({ ok, ...ran, address: place.text, checks: checks.map(checkJson) });
      else print(ok, checks);
      return ok ? exitCode.ok : exitCode.failed;
    });
  },
};

interface Check extends Line {
  /** True if `--waive` names it, whether it fails or not. */
  waived: boolean;
}

function checkJson({ id, outcome, waived, text, advice }: Check) {
  return { id, outcome, waived, text, ...(advice !== undefined && { advice }) };
}

function replicasIn(options: OptionValues): number | undefined {
  const text = textOf(options, "replicas");
  if (text === undefined) return undefined;
  const count = Number(text);
  if (/^\d{1,5}$/.test(text) && count >= 1 && count <= mostReplicas) return count;
  throw new UsageError(`--replicas must be a whole number from 1 to ${mostReplicas}, not ${text}`);
}

async function linesFrom(
  options: OptionValues,
  config: Config,
  asked: { place: ReturnType<typeof placeOf>; replicas: number | undefined },
): Promise<{ lines: Line[]; release?: string | undefined }> {
  try {
    const evidence = await gather(options, { config, ...asked });
    return { lines: checklist(evidence), release: evidence.status.version };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { lines: unanswered(error.message.split("\n").join("; ")) };
  }
}

function print(ok: boolean, checks: readonly Check[]): void {
  printTable([["overall", verdict(ok ? "PASS" : "FAIL")]]);
  printLine("checks");
  printTable(
    checks.map((check) => [check.id, verdict(shownOutcome(check)), sentenceOf(check)]),
    "  ",
  );
}

function shownOutcome({ outcome, waived }: Check): string {
  return outcome === "FAIL" && waived ? "WAIVED" : outcome;
}

/** What the service wrote is a sentence. */
function sentenceOf({ text, advice }: Line): string {
  return advice === undefined ? text : `${text.replace(/\.$/, "")}; ${advice}`;
}
