/** `preflight`: is a running service what it should be before production? The checklist is in docs/QUICKSTART.md. */
import type { Config } from "../../config/config.ts";
import { type Command, exitCode, Failure, jsonOption, type OptionValues, textOf, UsageError } from "../command.ts";
import { configOption } from "../configuration.ts";
import { withConfig } from "../open-store.ts";
import { printJson, printLine, printTable } from "../print.ts";
import { placeOf, serviceDetails, serviceOptions } from "../service-client.ts";
import { verdict } from "../styled.ts";
import { checklist, unanswered } from "./checklist.ts";
import { gather } from "./gather.ts";
import type { Line } from "./line.ts";

const mostReplicas = 10_000;

export const preflight: Command = {
  name: "preflight",
  summary: "Checks whether a running service is ready for production, line by line.",
  options: [
    ...serviceOptions,
    configOption,
    { name: "replicas", value: "N", description: "how many there will be, instead of those that run" },
    jsonOption,
  ],
  details: [
    "Asks the service, and reads its settings and its store: run it where the service runs, as its user, with its",
    "environment. It writes nothing but the audit rows of its calls. Exit code 0 if no line fails. Its caller needs the",
    "roles status, operate and audit.",
    ...serviceDetails,
  ],
  run(options) {
    const place = placeOf(options);
    const replicas = replicasIn(options);
    return withConfig(options, async (config) => {
      const lines = await looked(options, config, { place, replicas });
      const ok = lines.every(({ result }) => result !== "FAIL");
      if (options.json === true) printJson({ ok, checks: lines });
      else print(ok, lines);
      return ok ? exitCode.ok : exitCode.failed;
    });
  },
};

function replicasIn(options: OptionValues): number | undefined {
  const text = textOf(options, "replicas");
  if (text === undefined) return undefined;
  const count = Number(text);
  if (/^\d{1,5}$/.test(text) && count >= 1 && count <= mostReplicas) return count;
  throw new UsageError(`--replicas must be a whole number from 1 to ${mostReplicas}, not ${text}`);
}

async function looked(
  options: OptionValues,
  config: Config,
  asked: { place: ReturnType<typeof placeOf>; replicas: number | undefined },
): Promise<Line[]> {
  try {
    return checklist(await gather(options, { config, ...asked }));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return unanswered(error.message.split("\n").join("; "));
  }
}

function print(ok: boolean, lines: readonly Line[]): void {
  printTable([["overall", verdict(ok ? "PASS" : "FAIL")]]);
  printLine("checks");
  printTable(
    lines.map(({ name, result, ...line }) => [name, verdict(result), textOfLine(line)]),
    "  ",
  );
}

/** What the service wrote is a sentence. */
function textOfLine({ found, advice }: Pick<Line, "found" | "advice">): string {
  return advice === undefined ? found : `${found.replace(/\.$/, "")}; ${advice}`;
}
