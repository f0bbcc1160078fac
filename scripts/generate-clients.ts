/**
 * Makes the generated code of the clients from proto/: `npm run gen:clients`, or `npm run gen:clients -- java` for one of them. What the
 * languages need beside Node is installed in the cache; where it cannot be had the command fails. Only Go's is committed. Rust's build
 * generates its code by itself: it gets the protos as descriptors, with their comments, and needs no generator here.
 */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { usePackageCaches } from "./tools/cache.ts";
import { type CodegenLanguage, codegenLanguages, codegenTools } from "./tools/client-codegen.ts";

const root = join(import.meta.dirname, "..");

/** What a generation writes as a whole: what is no longer generated must go. */
const folders: Readonly<Record<CodegenLanguage, string>> = {
  go: "clients/go/kmsv1",
  python: "clients/python/src/fluo",
  java: "clients/java/src/generated",
  ruby: "clients/ruby/lib/fluo/kms/v1",
};

const rust = "rust";
const rustDescriptors = "clients/rust/fluo.kms.v1.binpb";

const languages = [...codegenLanguages, rust];
const asked = process.argv.slice(2);
const unknown = asked.find((language) => !languages.includes(language));
if (unknown !== undefined) {
  process.stderr.write(`${unknown} is none of ${languages.join(", ")}\n`);
  process.exit(2);
}
usePackageCaches();
const isAsked = (language: string) => asked.length === 0 || asked.includes(language);
for (const language of codegenLanguages.filter(isAsked)) {
  await codegenTools[language]();
  rmSync(join(root, folders[language]), { recursive: true, force: true });
  buf("generate", "--template", `clients/codegen/${language}.yaml`);
  process.stdout.write(`${folders[language]} written\n`);
}
if (isAsked(rust)) {
  buf("build", "proto", "--path", "proto/fluo", "--output", rustDescriptors);
  process.stdout.write(`${rustDescriptors} written\n`);
}

function buf(...args: readonly string[]): void {
  execFileSync("buf", args, { cwd: root, stdio: "inherit" });
}
