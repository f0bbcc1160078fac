/**
 * `npm run test:page`: the service's front page and the page that verifies, in Chromium: axe-core judges them, and the latter is compared with
 * the command. All is installed first, at fixed versions where it has any: tools/spec-suite.ts says how. `--seed S`, `--cases N` and `--from N`
 * choose the cases that are compared. The last line is `N passed, N failed`.
 */
import { join } from "node:path";
import { installChromium } from "./tools/debian.ts";
import { installPackages } from "./tools/npm-packages.ts";
import { type Need, need, runSpecs } from "./tools/spec-suite.ts";

const packages: Need = {
  name: "packages of npm",
  install: async () => void (await installPackages("page", join(import.meta.dirname, "tools", "page"))),
};
const chromium: Need = { name: "Chromium", install: installChromium };
const curl: Need = { name: "curl", install: () => need("curl") };

const specs = {
  agreement: [packages, chromium],
  verifier: [packages, chromium],
  "front-page": [packages, chromium, curl],
};

/** Takes `--NAME VALUE` from the words: the spec finds it in the environment. */
function take(words: readonly string[], name: string): readonly string[] {
  const at = words.indexOf(`--${name}`);
  if (at < 0) return words;
  process.env[`PAGE_${name.toUpperCase()}`] = words[at + 1];
  return words.toSpliced(at, 2);
}

process.exitCode = await runSpecs("page", specs, ["seed", "cases", "from"].reduce(take, process.argv.slice(2)));
