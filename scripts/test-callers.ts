/**
 * `npm run test:callers`: the service under a policy, called by clients that are not ours, with tokens of a real issuer, from pages of a real
 * browser and over an address that is no loopback. All is installed first, at fixed versions where it has any; what needs something that is
 * not there is skipped, said loudly, and with CI=true nothing is run and it is a failure. `-- --install` installs and runs nothing.
 * The last line is `N passed, N failed`.
 */
import { join } from "node:path";
import { installChromium, installPrometheus } from "./tools/debian.ts";
import { buildGo, installGo } from "./tools/go.ts";
import { grpcurl } from "./tools/grpcurl.ts";
import { installPackages } from "./tools/npm-packages.ts";
import { installEnvironment } from "./tools/python-environment.ts";
import { type Need, need, runSpecs, type Specs } from "./tools/spec-suite.ts";

const root = join(import.meta.dirname, "..");
const tools = join(root, "tools");
const versions = join(import.meta.dirname, "tools");

const curl: Need = { name: "curl", install: () => need("curl") };
const go: Need = {
  name: "clients in Go",
  install() {
    need("go", ["version"]);
    installGo(grpcurl, join(tools, "bin"));
    buildGo(join(root, "test", "callers", "go"), join(tools, "bin", "callers"));
  },
};
const python: Need = {
  name: "a client in Python",
  async install() {
    need("python3", ["-m", "venv", "--help"]);
    const works = ["python", "-c", "import grpc, google.protobuf"] as const;
    await installEnvironment(join(tools, "callers-python"), join(versions, "callers.txt"), works);
  },
};
const packages: Need = {
  name: "packages of npm",
  install: () => installPackages(join(tools, "callers-npm"), join(versions, "callers")),
};
const chromium: Need = { name: "Chromium", install: installChromium };
const prometheus: Need = { name: "Prometheus", install: () => installPrometheus(join(tools, "prometheus")) };
const network: Need = {
  name: "a network of its own",
  install: () => need("unshare", ["--net", "ip", "link", "add", "host", "type", "veth", "peer", "name", "client"]),
};

const specs: Specs = {
  renewal: [go],
  issuer: [packages],
  reload: [go, python, curl],
  network: [network, prometheus, go, curl],
  clients: [go, python, curl],
  browser: [packages, chromium],
  "trust-domains": [go, curl],
};

process.exitCode = await runSpecs("callers", specs, process.argv.slice(2));
