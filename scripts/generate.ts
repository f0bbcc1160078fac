/**
 * Makes gen/ from proto/: `npm run gen`. With `--check` (`npm run gen:check`) it writes nothing and fails when gen/ is
 * not what the protos produce. Either way the protos must be formatted, lint clean and, against the API that
 * gen/descriptor.binpb records, not breaking: so an incompatible change cannot reach gen/.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

const check = process.argv.includes("--check");
const root = join(import.meta.dirname, "..");
const gen = join(root, "gen");
const recorded = join(gen, "descriptor.binpb");

function buf(...args: string[]): void {
  execFileSync("buf", args, { cwd: root, stdio: "inherit" });
}

function files(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(directory, name)).isFile())
    .sort();
}

function differences(fresh: string): string[] {
  const names = new Set([...files(fresh), ...(existsSync(gen) ? files(gen) : [])]);
  return [...names].filter((name) => {
    const [a, b] = [join(fresh, name), join(gen, name)];
    return !existsSync(a) || !existsSync(b) || !readFileSync(a).equals(readFileSync(b));
  });
}

function main(): void {
  buf("format", "--diff", "--exit-code");
  buf("lint");
  if (existsSync(recorded)) buf("breaking", "--against", relative(root, recorded));
  else if (check) throw new Error("gen/descriptor.binpb is missing: it records the API that must not break");
  const fresh = mkdtempSync(join(tmpdir(), "fluo-kms-gen-"));
  try {
    buf("generate", "--output", fresh);
    // buf joins --output with the plugin's own `out: gen/ts`.
    buf("build", "--exclude-source-info", "--output", join(fresh, "gen", "descriptor.binpb"));
    const changed = differences(join(fresh, "gen"));
    if (check) {
      if (changed.length > 0)
        throw new Error(`gen/ is not what proto/ produces; run \`npm run gen\`:\n${changed.join("\n")}`);
    } else {
      rmSync(gen, { recursive: true, force: true });
      cpSync(join(fresh, "gen"), gen, { recursive: true });
    }
    process.stdout.write(check ? "gen/ is up to date\n" : `gen/ written, ${changed.length} files changed\n`);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

try {
  main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
