/**
 * A drill: the newest backup is restored into an empty directory and checked, and the store notes that. Run by the image's Node, which has
 * no shell. Ends with the exit code of the first command that fails.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

const names = ["program", "backups", "work", "drill-config", "config"];
const options = Object.fromEntries(names.map((name) => [name, { type: "string" }]));
const { program, backups, work, "drill-config": drillConfig, config } = parseArgs({ options }).values;

// The time ends the name. Stores that came after one another may share the folder, so the id before it does not count.
const timeOf = (name) => /^fluo-kms-[0-9a-f]{8}-(.+)\.db$/.exec(name)?.[1];
const [newest] = readdirSync(backups)
  .filter((name) => timeOf(name) !== undefined)
  .sort((a, b) => (timeOf(a) < timeOf(b) ? 1 : -1));
if (newest === undefined) fail(`there is no backup in ${backups}`, 1);
console.log(`the newest backup is ${newest}`);

rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true, mode: 0o700 });
run(["restore", "--config", drillConfig, join(backups, newest)]);
const report = join(work, "report.json");
writeFileSync(report, run(["check", "--json", "--config", drillConfig]), { mode: 0o600 });
run(["note-check", "--config", config, report]);
console.log("the drill is noted in the store");

/** Gives what the command printed. */
function run(args) {
  const { status, stdout } = spawnSync(process.execPath, [program, ...args], {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.stdout.write(stdout ?? "");
  if (status !== 0) fail(`fluo-kms ${args[0]} failed`, status ?? 1);
  return stdout;
}

function fail(message, code) {
  console.error(`drill: ${message}`);
  process.exit(code);
}
