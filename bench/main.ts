/**
 * `npm run bench`: prints what each path costs as a ratio to its limit, both taken in the same run, what grows with the
 * store and the logs, what memory a load takes, and what the pool's threads take at rest, what a flood of refusals leaves,
 * what the heads file costs, what provider calls a day of use makes, how soon a disaster is over, what a signature takes of
 * PostgreSQL, what it takes to verify an export, and what calls notice of a rotation, of readers and of a greedy caller.
 * Timing never fails it. README.md says what the options are and what the figures mean.
 */
import { parseArgs } from "node:util";
import { printMachine, writeJson } from "./report.ts";

const parts: Readonly<Record<string, () => Promise<unknown>>> = {
  paths: async () => (await import("./paths/main.ts")).paths({ only: options.only, profile: options["cpu-prof"] }),
  connect: async () =>
    (await import("./connect/main.ts")).connect({ only: options.only, profile: options["cpu-prof"] }),
  auth: async () => (await import("./auth/main.ts")).auth({ profile: options["cpu-prof"] }),
  growth: async () => (await import("./growth/main.ts")).growth(),
  logs: async () => (await import("./logs/main.ts")).logs(),
  memory: async () => (await import("./memory/main.ts")).memory(),
  rest: async () => (await import("./memory/at-rest.ts")).atRest(),
  refusals: async () => (await import("./refusals/main.ts")).refusals(),
  cost: async () => (await import("./cost/main.ts")).cost(),
  heads: async () => (await import("./heads/main.ts")).heads(),
  integrity: async () => (await import("./integrity/main.ts")).integrity(),
  disaster: async () => (await import("./disaster/main.ts")).disaster(),
  sizing: async () => (await import("./sizing/main.ts")).sizing(),
  rotation: async () => (await import("./rotation/main.ts")).rotation(),
  verify: async () => (await import("./verify/main.ts")).verifying({ isShort: options.short === true }),
  readers: async () => (await import("./readers/main.ts")).readers({ isShort: options.short === true }),
  greed: async () =>
    (await import("./greed/main.ts")).greed({
      isShort: options.short === true,
      only: options.only,
    }),
};

const { values: options, positionals } = parseArgs({
  options: {
    json: { type: "string" },
    short: { type: "boolean" },
    only: { type: "string", multiple: true },
    "cpu-prof": { type: "string" },
  },
  allowPositionals: true,
});
const isForPaths = options.only !== undefined || options["cpu-prof"] !== undefined;
const asked = positionals.length > 0 ? positionals : isForPaths ? ["paths"] : Object.keys(parts);
const unknown = asked.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length > 0) throw new Error(`${unknown.join(", ")}: a part is ${Object.keys(parts).join(", ")}`);

printMachine();
const results: Record<string, unknown> = {};
for (const name of asked) {
  results[name] = await parts[name]!();
  if (options.json !== undefined) writeJson(options.json, results);
}
