/**
 * `npm run test:page`: the pages of the service in Chromium, which axe-core judges. All is installed first, at fixed versions where it has any:
 * tools/spec-suite.ts says how. The last line is `N passed, N failed`.
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

process.exitCode = await runSpecs("page", { "front-page": [packages, chromium, curl] }, process.argv.slice(2));
