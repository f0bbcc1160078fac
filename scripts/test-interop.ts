/**
 * `npm run test:interop`: the service's evidence, verified with other people's software alone: Go's checksum-database packages, those of
 * transparency.dev, Tessera's fsck, torchwood, in-toto's and secure-systems-lab's libraries, and an RFC 8785 of Python. Each is installed
 * first, at a fixed version: tools/spec-suite.ts says how. `-- NAME` runs one file. The last line is `N passed, N failed`.
 */
import { join } from "node:path";
import { tools } from "./tools/cache.ts";
import { buildGo, installGo } from "./tools/go.ts";
import { installEnvironment } from "./tools/python-environment.ts";
import { type Need, need, runSpecs, type Specs } from "./tools/spec-suite.ts";

const interop = join(import.meta.dirname, "..", "test", "interop");
const tessera = {
  name: "fsck",
  module: "github.com/transparency-dev/tessera",
  package: "/cmd/fsck",
  version: "v1.0.4",
};
/** Torchwood is written for a newer Go than the others; an older one gets it by itself, where it may. */
const newerGo = { GOTOOLCHAIN: "go1.27.3" };

const go: Need = {
  name: "Go's and transparency.dev's packages",
  install() {
    need("go", ["version"]);
    buildGo(join(interop, "go"), join(tools, "bin", "interop"));
  },
};
const fsck: Need = {
  name: "Tessera's fsck",
  async install() {
    need("go", ["version"]);
    await installGo(tessera);
  },
};
const torchwood: Need = {
  name: "torchwood",
  install() {
    need("go", ["version"], newerGo);
    buildGo(join(interop, "torchwood"), join(tools, "bin", "interop-torchwood"), newerGo);
  },
};
const python: Need = {
  name: "Python's packages",
  async install() {
    need("python3", ["-m", "venv", "--help"]);
    const works = ["python", "-c", "import rfc8785, securesystemslib.dsse, google.protobuf"] as const;
    await installEnvironment("interop", join(import.meta.dirname, "tools", "interop.txt"), works);
  },
};

const specs: Specs = {
  checkpoint: [go],
  proof: [go],
  statement: [go],
  "go-instants": [go],
  tiles: [fsck],
  torchwood: [torchwood],
  python: [python],
  "python-instants": [python],
};

/** Half a million spellings each. */
const long = ["go-instants", "python-instants"];

process.exitCode = await runSpecs("interop", specs, process.argv.slice(2), long);
