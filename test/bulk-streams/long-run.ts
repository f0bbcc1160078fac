/** The streams for longer than in `npm run test:bulk`: `npm run soak:streams -- --seconds 60`. What happened is in the output of its test. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { seconds: { type: "string", default: "60" } } });
const seconds = Number(values.seconds);
if (!Number.isInteger(seconds) || seconds < 1) throw new Error("--seconds is a whole number from 1 on");

const vitest = join(import.meta.dirname, "..", "..", "node_modules", "vitest", "vitest.mjs");
const { status } = spawnSync(
  process.execPath,
  [vitest, "run", "--config", join(import.meta.dirname, "vitest.config.ts"), "test/bulk-streams/streams"],
  { stdio: "inherit", env: { ...process.env, STREAM_SECONDS: String(seconds) } },
);
process.exitCode = status ?? 1;
