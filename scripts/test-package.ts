/**
 * `npm run test:package`: packs the service for npm, looks at what is in it, and runs the tests of the command line and of a killed service
 * against it; then installs it by npm and pnpm under each Node that may find it. tools/spec-suite.ts says how what it needs is installed.
 * `-- NAME` runs one file. The last line is `N passed, N failed`.
 */
import { join } from "node:path";
import { installPackages } from "./tools/npm-packages.ts";
import { type Need, runSpecs, type Specs } from "./tools/spec-suite.ts";

const packages: Need = {
  name: "pnpm, publint, attw and Node 20, 22 and 24",
  install: async () => void (await installPackages("package", join(import.meta.dirname, "tools", "package"))),
};

const specs: Specs = {
  contents: [packages],
  "test/cli": [],
  "test/restart.process.test.ts": [],
  installs: [packages],
};

process.exitCode = await runSpecs("package", specs, process.argv.slice(2), ["installs"]);
