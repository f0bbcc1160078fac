/**
 * Makes the dashboard that is committed, and the chart's copies of it and of the alerts: `node scripts/dashboard.ts`. The copies are files, since
 * a link does not survive every checkout and package. With `--check` it writes nothing, and fails if a file differs. Edit scripts/dashboard/
 * and monitoring/prometheus/, never what this writes.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { alertsFile, chartCopies, dashboard, dashboardFile } from "./dashboard/dashboard.ts";

const root = join(import.meta.dirname, "..");

// Formats it as `npm run format` would.
const input = JSON.stringify(dashboard);
const made = execFileSync("biome", ["format", `--stdin-file-path=${dashboardFile}`], { cwd: root, input });

const wanted: readonly (readonly [file: string, text: Buffer])[] = [
  [dashboardFile, made],
  [chartCopies[dashboardFile], made],
  [chartCopies[alertsFile], readFileSync(join(root, alertsFile))],
];

for (const [name, text] of wanted) {
  const file = join(root, name);
  if (!process.argv.includes("--check")) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    process.stdout.write(`${name} written\n`);
  } else if (existsSync(file) && readFileSync(file).equals(text)) {
    process.stdout.write(`${name}: up to date\n`);
  } else {
    process.stderr.write(`${name} differs: run \`node scripts/dashboard.ts\`\n`);
    process.exitCode = 1;
  }
}
