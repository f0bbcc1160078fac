/**
 * Makes what is committed of the generated files: `npm run gen`. From proto/ that is the code in gen/, and that of the clients in Go and Ruby:
 * where a generator cannot be had, its folder is left alone, and tools/not-run.ts says so. From clients/page it is gen/fluo-verify.html, and its
 * digest as code. With `--check` (`npm run gen:check`) it writes nothing and fails when they are not what these produce. Either way the protos
 * must be formatted, lint clean and, against the API that gen/descriptor.binpb records, not breaking: so an incompatible change cannot reach them.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { committedCode } from "./tools/client-codegen.ts";
import { usePackageCaches } from "./tools/cache.ts";
import { notRun } from "./tools/not-run.ts";
import { makeVerifierPage } from "./verifier-page.ts";

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

function differences(fresh: string, folder: string): string[] {
  const made = join(fresh, folder);
  const committed = join(root, folder);
  const names = new Set([...files(made), ...(existsSync(committed) ? files(committed) : [])]);
  return [...names]
    .filter((name) => {
      const [a, b] = [join(made, name), join(committed, name)];
      return !existsSync(a) || !existsSync(b) || !readFileSync(a).equals(readFileSync(b));
    })
    .map((name) => join(folder, name));
}

/** Makes the committed code of the clients, and returns its folders. */
async function generateClients(fresh: string): Promise<string[]> {
  const made: string[] = [];
  for (const [language, { folder, installGenerators }] of Object.entries(committedCode)) {
    try {
      await installGenerators();
    } catch (error) {
      const failed = notRun(`gen/${folder}`, `${(error as Error).message}; it is left as it is`);
      if (failed > 0) throw new Error(`${folder} is not made`);
      continue;
    }
    buf("generate", "--template", `clients/codegen/${language}.yaml`, "--output", fresh);
    made.push(folder);
  }
  return made;
}

async function generatePage(fresh: string): Promise<void> {
  const { html, sha256 } = await makeVerifierPage();
  writeFileSync(join(fresh, "gen", "fluo-verify.html"), html);
  const comment = "/** SHA-256 of gen/fluo-verify.html, lower-case hex. Made by `npm run gen`. */";
  const code = `${comment}\nexport const verifierPageSha256 = "${sha256}";\n`;
  writeFileSync(join(fresh, "gen", "ts", "verifier_page.ts"), code);
}

async function main(): Promise<void> {
  usePackageCaches();
  buf("format", "--diff", "--exit-code");
  buf("lint");
  if (existsSync(recorded)) buf("breaking", "--against", relative(root, recorded));
  else if (check) throw new Error("gen/descriptor.binpb is missing: it records the API that must not break");
  const fresh = mkdtempSync(join(tmpdir(), "fluo-kms-gen-"));
  try {
    buf("generate", "--output", fresh);
    // buf joins --output with the plugin's own `out: gen/ts`.
    buf("build", "--exclude-source-info", "--output", join(fresh, "gen", "descriptor.binpb"));
    await generatePage(fresh);
    const folders = ["gen", ...(await generateClients(fresh))];
    const changed = folders.flatMap((folder) => differences(fresh, folder));
    if (check && changed.length > 0)
      throw new Error(`this is not what proto/ and clients/page produce; run \`npm run gen\`:\n${changed.join("\n")}`);
    for (const folder of check ? [] : folders) {
      rmSync(join(root, folder), { recursive: true, force: true });
      cpSync(join(fresh, folder), join(root, folder), { recursive: true });
    }
    const named = folders.join(", ");
    process.stdout.write(check ? `${named}: up to date\n` : `${named}: written, ${changed.length} files changed\n`);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
