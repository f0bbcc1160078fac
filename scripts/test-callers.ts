/**
 * `npm run test:callers`: the service under a policy, called by clients that are not ours, with tokens of a real issuer, from pages of a real
 * browser and over an address that is no loopback. All is installed first, at fixed versions where it has any: tools/spec-suite.ts says how.
 * The last line is `N passed, N failed`.
 */
import { join } from "node:path";
import { linkTool, tools } from "./tools/cache.ts";
import { command } from "./tools/command.ts";
import { installChromium, unpackDebian } from "./tools/debian.ts";
import { buildGo, installGo } from "./tools/go.ts";
import { grpcurl } from "./tools/grpcurl.ts";
import { installPackages } from "./tools/npm-packages.ts";
import { installEnvironment } from "./tools/python-environment.ts";
import { type Need, need, runSpecs, type Specs } from "./tools/spec-suite.ts";

const root = join(import.meta.dirname, "..");
const versions = join(import.meta.dirname, "tools");

const curl: Need = { name: "curl", install: () => need("curl") };
const go: Need = {
  name: "clients in Go",
  async install() {
    need("go", ["version"]);
    await installGo(grpcurl);
    buildGo(join(root, "test", "callers", "go"), join(tools, "bin", "callers"));
  },
};
const connectGo: Need = {
  name: "a client of connect-go",
  async install() {
    need("go", ["version"]);
    buildGo(join(root, "test", "callers", "connect-go"), join(tools, "bin", "connect-caller"));
  },
};
const connectKotlin: Need = {
  name: "a client of connect-kotlin",
  install() {
    need("java");
    need("mvn");
    const cwd = join(root, "test", "callers", "connect-kotlin");
    command("mvn", ["-q", "-B", "-ntp", "package"], { cwd });
  },
};
const python: Need = {
  name: "a client in Python",
  async install() {
    need("python3", ["-m", "venv", "--help"]);
    const works = ["python", "-c", "import grpc, google.protobuf"] as const;
    await installEnvironment("callers-python", join(versions, "callers.txt"), works);
  },
};
const packages: Need = {
  name: "packages of npm",
  install: async () => void (await installPackages("callers-npm", join(versions, "callers"))),
};
const chromium: Need = { name: "Chromium", install: installChromium };
const prometheus: Need = {
  name: "Prometheus",
  install: async () => void linkTool("prometheus", await unpackDebian("prometheus")),
};
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
  "connect-go": [connectGo],
  "connect-kotlin": [connectKotlin],
  "trust-domains": [go, curl],
};

process.exitCode = await runSpecs("callers", specs, process.argv.slice(2), ["renewal"]);
