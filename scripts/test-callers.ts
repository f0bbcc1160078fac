/**
 * `npm run test:callers`: the service under a policy, called by clients that are not ours, with tokens of a real issuer, from pages of a real
 * browser and over an address that is no loopback. All is installed first, at fixed versions where it has any; what needs something that is
 * not there is skipped, said loudly, and with CI=true nothing is run and it is a failure. `-- --install` installs and runs nothing.
 * The last line is `N passed, N failed`.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { installChromium, installPrometheus, isThere } from "./tools/debian.ts";
import { buildGo, installGo } from "./tools/go.ts";
import { grpcurl } from "./tools/grpcurl.ts";
import { installPackages } from "./tools/npm-packages.ts";
import { installEnvironment } from "./tools/python-environment.ts";

interface Need {
  name: string;
  /** Throws, with what is missing, where it cannot be had. */
  install(): Promise<void> | void;
}

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

const specs: Readonly<Record<string, readonly Need[]>> = {
  // Those that wait for long come first.
  renewal: [go],
  issuer: [packages],
  reload: [go, python, curl],
  network: [network, prometheus, go, curl],
  clients: [go, python, curl],
  browser: [packages, chromium],
  "trust-domains": [go, curl],
};
const isCi = process.env.CI === "true";

process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const [asked, options] = [words.filter(isSpec), words.filter((word) => !isSpec(word))];
  const chosen = Object.keys(specs).filter((spec) => asked.length === 0 || asked.some((word) => spec.includes(word)));
  const missing = await install([...new Set(chosen.flatMap((spec) => specs[spec]!))]);
  if (options.includes("--install")) return missing.size === 0 ? 0 : 1;
  if (isCi && missing.size > 0) return summary(missing.size);
  const possible = chosen.filter((spec) => !specs[spec]!.some((need) => missing.has(need)));
  if (possible.length === 0) return summary(0);
  const files = possible.map((spec) => `test/callers/${spec}.spec.ts`);
  const config = join("test", "callers", "vitest.config.ts");
  return (
    spawnSync("vitest", ["run", "--config", config, ...files, ...options], { cwd: root, stdio: "inherit" }).status ?? 1
  );
}

/** Gives those that cannot be had. */
async function install(needs: readonly Need[]): Promise<Set<Need>> {
  const missing = new Set<Need>();
  for (const each of needs) {
    try {
      await each.install();
    } catch (error) {
      missing.add(each);
      const affected = Object.keys(specs).filter((spec) => specs[spec]!.includes(each));
      const what = isCi ? "FAILED" : `SKIPPED: ${affected.join(", ")}`;
      process.stderr.write(`${what}: there is no way to have ${each.name} here: ${(error as Error).message}\n`);
    }
  }
  return missing;
}

function need(command: string, args?: readonly string[]): void {
  if (!isThere(command, args)) throw new Error(`${[command, ...(args ?? [])].join(" ")} does not work`);
}

function isSpec(word: string): boolean {
  return !word.startsWith("-");
}

function summary(failed: number): number {
  process.stdout.write(`0 passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}
