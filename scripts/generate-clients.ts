/**
 * Makes the generated code of the clients from proto/: `npm run gen:clients`, or `npm run gen:clients -- java` for one of them. What the
 * languages need beside Node is installed in the cache; where it cannot be had the command fails. Go's and Ruby's code is committed, see
 * generate.ts. Python's, Java's and Rust's builds generate by themselves: here they do so for editors and tests. Rust gets the protos as
 * descriptors, with their comments.
 */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { usePackageCaches } from "./tools/cache.ts";
import { installPythonPackages } from "./tools/client-builds.ts";
import { committedCode } from "./tools/client-codegen.ts";

const root = join(import.meta.dirname, "..");

/** Each returns what it wrote. */
const generators: Readonly<Record<string, () => Promise<string> | string>> = {
  go: () => byTemplate("go"),
  ruby: () => byTemplate("ruby"),

  async python() {
    run(join(await installPythonPackages(), "bin", "python"), join("clients", "python", "backend.py"));
    return "clients/python/src/fluo";
  },

  java() {
    run("mvn", "-q", "-B", "-ntp", "-f", join("clients", "java"), "generate-sources");
    return "clients/java/target/generated-sources";
  },

  rust() {
    const descriptors = "clients/rust/fluo.kms.v1.binpb";
    run("buf", "build", "proto", "--path", "proto/fluo", "--output", descriptors);
    return descriptors;
  },
};

const languages = Object.keys(generators);
const asked = process.argv.slice(2);
const unknown = asked.find((language) => !languages.includes(language));
if (unknown !== undefined) {
  process.stderr.write(`${unknown} is none of ${languages.join(", ")}\n`);
  process.exit(2);
}
usePackageCaches();
for (const language of asked.length === 0 ? languages : asked)
  process.stdout.write(`${await generators[language]!()} written\n`);

async function byTemplate(language: keyof typeof committedCode): Promise<string> {
  const { folder, installGenerators } = committedCode[language];
  await installGenerators();
  // As a whole: what is no longer generated must go.
  rmSync(join(root, folder), { recursive: true, force: true });
  run("buf", "generate", "--template", `clients/codegen/${language}.yaml`);
  return folder;
}

function run(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { cwd: root, stdio: "inherit" });
}
