/**
 * `npm run test:page`: the service's front page and the page that verifies, in Chromium, which axe-core judges. All is installed first, at fixed versions where it has any:
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

const specs = { verifier: [packages, chromium], "front-page": [packages, chromium, curl] };
process.exitCode = await runSpecs("page", specs, process.argv.slice(2));
