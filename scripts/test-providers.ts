/**
 * `npm run test:providers`: the providers on servers that are not ours. Each is installed first, at a fixed version: tools/spec-suite.ts says
 * how. `-- NAME` runs one file. The last line is `N passed, N failed`.
 */
import { installLocalKms } from "./tools/local-kms.ts";
import { installOpenBao } from "./tools/openbao.ts";
import { type Need, need, runSpecs, type Specs } from "./tools/spec-suite.ts";

const localKms: Need = {
  name: "local-kms",
  async install() {
    need("go", ["version"]);
    await installLocalKms();
  },
};
const openBao: Need = {
  name: "OpenBao",
  async install() {
    need("python3", ["-m", "venv", "--help"]);
    await installOpenBao();
  },
};

const specs: Specs = {
  "aws-local-kms": [localKms],
  "test/provider/azure/contract.test.ts": [],
  "test/provider/gcp/contract.test.ts": [],
  "vault-openbao": [openBao],
  "whole-service": [localKms, openBao],
  "test/outage/outage.spec.ts": [],
  "test/outage/regions.spec.ts": [],
};

/** The contracts are in `npm test` too. */
const long = [
  "test/provider/azure/contract.test.ts",
  "test/provider/gcp/contract.test.ts",
  "test/outage/regions.spec.ts",
];

process.exitCode = await runSpecs("providers", specs, process.argv.slice(2), long);
