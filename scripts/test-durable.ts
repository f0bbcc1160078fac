/**
 * `npm run test:durable`: kills of service and database, races of replicas, failing disks, load while keys rotate. `-- NAME` runs one file,
 * `-- --short` the first case of each kind. The last line is `N passed, N failed`.
 */
import { globSync } from "node:fs";
import { join } from "node:path";
import { runSpecs } from "./tools/spec-suite.ts";

const files = globSync("test/{crash,durable}/*.spec.ts", { cwd: join(import.meta.dirname, "..") });

/** Files that wait for leases to end, or for what a second one shows already. */
const long = ["faults-readers", "race-api", "race-log", "race-news", "rotation-takeover"];

process.exitCode = await runSpecs(
  "durable",
  Object.fromEntries(files.map((file) => [file, []])),
  process.argv.slice(2),
  long.map((name) => `test/durable/${name}.spec.ts`),
);
