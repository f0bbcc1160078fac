/**
 * The outages for longer than in `npm run test:providers`: `npm run soak:outage -- --minutes 15`, of one kind with `--mode refused`.
 * What each prints is in the output of its tests.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { modeNames } from "./modes.ts";

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "15" }, mode: { type: "string", default: modeNames.join() } },
});
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new Error("--minutes is a number above 0");
const unknown = values.mode.split(",").filter((mode) => !(modeNames as string[]).includes(mode));
if (unknown.length > 0) throw new Error(`--mode is one or more of ${modeNames.join()}`);

const root = join(import.meta.dirname, "..", "..");
const { status } = spawnSync(
  process.execPath,
  [
    join(root, "node_modules", "vitest", "vitest.mjs"),
    "run",
    "--config",
    join("test", "providers", "vitest.config.ts"),
    "--testTimeout",
    "0",
    "test/outage/outage",
  ],
  {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, OUTAGE_SECONDS: String(minutes * 60), OUTAGE_MODE: values.mode },
  },
);
process.exitCode = status ?? 1;
