/**
 * `npm run soak:upgrade -- --rows 10000000`: the releases of `npm run test:versions -- rolling` rolled on a store with so many rows, half of them keys,
 * each of which is written anew. Takes room for 1 KB a row, and some minutes for a million.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { rows: { type: "string", default: "10000000" } } });
const rows = Number(values.rows);
if (!Number.isInteger(rows) || rows < 2) throw new Error("--rows is a whole number from 2 on");

const root = join(import.meta.dirname, "..", "..");
const { status } = spawnSync(
  process.execPath,
  [
    join(root, "node_modules", "vitest", "vitest.mjs"),
    "run",
    "--config",
    "test/versions/vitest.config.ts",
    "rolling",
    "--testTimeout",
    "0",
  ],
  { cwd: root, stdio: "inherit", env: { ...process.env, ROLLING_KEYS: String(Math.floor(rows / 2)) } },
);
process.exitCode = status ?? 1;
