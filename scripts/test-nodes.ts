/**
 * `npm run test:nodes`: the service under a Node whose JSON.parse misreads names, beside the installed one. Python reads the same requests, so
 * that nothing of JavaScript judges itself: tools/spec-suite.ts says how what it needs is installed. `-- NAME` runs one file. The last line is
 * `N passed, N failed`.
 */
import { join } from "node:path";
import { installPackages } from "./tools/npm-packages.ts";
import { type Need, need, runSpecs, type Specs } from "./tools/spec-suite.ts";

const former: Need = {
  name: "Node 26.10",
  install: async () => void (await installPackages("nodes", join(import.meta.dirname, "tools", "nodes"))),
};
const python: Need = { name: "Python", install: () => need("python3", ["--version"]) };

const specs: Specs = { names: [former], readers: [former, python] };

process.exitCode = await runSpecs("nodes", specs, process.argv.slice(2));
