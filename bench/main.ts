/**
 * `npm run bench`: prints what each path costs as a ratio to its limit, both taken in the same run, and what grows with the store. Timing
 * never fails it. `npm run bench -- PART …` runs only `paths`, `growth` or `rotation`. Options: `--json FILE`; and for the paths
 * `--only NAME`, `--cpu-prof DIR` (of the service's process). README.md says what the figures mean.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { dirname } from "node:path";
import { parseArgs } from "node:util";

const parts: Readonly<Record<string, () => Promise<unknown>>> = {
  paths: async () => (await import("./paths.ts")).paths({ only: options.only, profile: options["cpu-prof"] }),
  growth: async () => (await import("./growth/main.ts")).growth(),
  rotation: async () => (await import("./rotation/main.ts")).rotation(),
};

const { values: options, positionals } = parseArgs({
  options: { json: { type: "string" }, only: { type: "string" }, "cpu-prof": { type: "string" } },
  allowPositionals: true,
});
const isForPaths = options.only !== undefined || options["cpu-prof"] !== undefined;
const asked = positionals.length > 0 ? positionals : isForPaths ? ["paths"] : Object.keys(parts);
const unknown = asked.filter((name) => !Object.hasOwn(parts, name));
if (unknown.length > 0) throw new Error(`${unknown.join(", ")}: a part is ${Object.keys(parts).join(", ")}`);

console.log(`node ${process.version}, ${availableParallelism()} cores, ${cpus()[0]?.model ?? "unknown"}\n`);
const results: Record<string, unknown> = {};
for (const name of asked) results[name] = await parts[name]!();
if (options.json !== undefined) {
  mkdirSync(dirname(options.json), { recursive: true });
  writeFileSync(options.json, `${JSON.stringify(results, undefined, 2)}\n`);
}
