/**
 * Makes the generated code of the clients from proto/: `npm run gen:clients`, or `npm run gen:clients -- java` for one of them. What the
 * languages need beside Node is installed under tools/; where it cannot be had the command fails. Only Go's is committed.
 */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { codegenLanguages, type CodegenLanguage, codegenTools } from "./tools/client-codegen.ts";

const root = join(import.meta.dirname, "..");

/** What a generation writes as a whole: what is no longer generated must go. */
const folders: Readonly<Record<CodegenLanguage, string>> = {
  go: "clients/go/kmsv1",
  python: "clients/python/src/fluo",
  java: "clients/java/src/generated",
  ruby: "clients/ruby/lib/fluo",
};

const asked = process.argv.slice(2);
const unknown = asked.find((language) => !codegenLanguages.includes(language as CodegenLanguage));
if (unknown !== undefined) {
  process.stderr.write(`${unknown} is none of ${codegenLanguages.join(", ")}\n`);
  process.exit(2);
}
for (const language of codegenLanguages.filter((each) => asked.length === 0 || asked.includes(each))) {
  await codegenTools[language]();
  rmSync(join(root, folders[language]), { recursive: true, force: true });
  execFileSync("buf", ["generate", "--template", `clients/codegen/${language}.yaml`], { cwd: root, stdio: "inherit" });
  process.stdout.write(`${folders[language]} written\n`);
}
