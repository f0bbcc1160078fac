/**
 * Makes the dashboard that is committed: `node scripts/dashboard.ts`. With `--check` it writes nothing, and fails if
 * the file differs. Never edit the file; change scripts/dashboard/.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { dashboard, dashboardFile } from "./dashboard/dashboard.ts";

const root = join(import.meta.dirname, "..");
const file = join(root, dashboardFile);

// Formats it as `npm run format` would.
const input = JSON.stringify(dashboard);
const text = execFileSync("biome", ["format", `--stdin-file-path=${dashboardFile}`], { cwd: root, input });

if (!process.argv.includes("--check")) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  process.stdout.write(`${dashboardFile} written\n`);
} else if (existsSync(file) && readFileSync(file).equals(text)) {
  process.stdout.write(`${dashboardFile}: up to date\n`);
} else {
  process.stderr.write(`${dashboardFile} differs: run \`node scripts/dashboard.ts\`\n`);
  process.exitCode = 1;
}
