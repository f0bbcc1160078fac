/**
 * `npm run test:interop`: the service's evidence, verified with other people's software alone: Go's checksum-database packages, those of
 * transparency.dev, Tessera's fsck, torchwood, in-toto's and secure-systems-lab's libraries, and an RFC 8785 of Python. Each is installed
 * under tools/ first, at a fixed version; where Go or Python is not there, or Go's newer toolchain cannot be had, its specs are skipped,
 * said loudly, and with CI=true nothing is run and it is a failure. The last line is `N passed, N failed`.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { buildGo, installGo } from "./tools/go.ts";
import { installEnvironment } from "./tools/python-environment.ts";

interface Verifier {
  /** What it takes to install it, on the PATH. */
  tool: { command: string; args: readonly string[]; env?: Record<string, string> };
  install(): Promise<void> | void;
  specs: readonly string[];
}

const root = join(import.meta.dirname, "..");
const [bin, interop] = [join(root, "tools", "bin"), join(root, "test", "interop")];
const fsck = { name: "fsck", module: "github.com/transparency-dev/tessera", package: "/cmd/fsck", version: "v1.0.4" };
/** Torchwood is written for a newer Go than the others; an older one gets it by itself, where it may. */
const newerGo = { GOTOOLCHAIN: "go1.27.3" };

const verifiers: Readonly<Record<string, Verifier>> = {
  "Go's and transparency.dev's packages": {
    tool: { command: "go", args: ["version"] },
    install: () => buildGo(join(interop, "go"), join(bin, "interop")),
    specs: ["checkpoint", "proof", "statement", "go-instants"],
  },
  "Tessera's fsck": {
    tool: { command: "go", args: ["version"] },
    install: () => installGo(fsck, bin),
    specs: ["tiles"],
  },
  torchwood: {
    tool: { command: "go", args: ["version"], env: newerGo },
    install: () => buildGo(join(interop, "torchwood"), join(bin, "interop-torchwood"), newerGo),
    specs: ["torchwood"],
  },
  "Python's packages": {
    tool: { command: "python3", args: ["-m", "venv", "--help"] },
    install: () =>
      installEnvironment(join(root, "tools", "interop"), join(import.meta.dirname, "tools", "interop.txt"), [
        "python",
        "-c",
        "import rfc8785, securesystemslib.dsse, google.protobuf",
      ]),
    specs: ["python", "python-instants"],
  },
};

process.exitCode = await main();

async function main(): Promise<number> {
  const present = Object.entries(verifiers).filter(([, { tool }]) => isThere(tool));
  const missing = Object.entries(verifiers).filter(([, { tool }]) => !isThere(tool));
  const isFailure = process.env.CI === "true" && missing.length > 0;
  for (const [name, { tool }] of missing) {
    const what = isFailure ? "FAILED" : "SKIPPED";
    const needed = [tool.env?.GOTOOLCHAIN, tool.command].filter(Boolean).join(" by ");
    process.stderr.write(`${what}: nothing is verified by ${name}, as there is no ${needed} to install them\n`);
  }
  if (isFailure) return summary(missing.length);
  for (const [name, { install }] of present) {
    try {
      await install();
    } catch (error) {
      process.stderr.write(`FAILED: ${name}: ${error}\n`);
      return summary(1);
    }
  }
  const words = process.argv.slice(2);
  const [asked, options] = [
    words.filter((word) => !word.startsWith("-")),
    words.filter((word) => word.startsWith("-")),
  ];
  const specs = present.flatMap(([, { specs }]) => specs.map((spec) => `test/interop/${spec}.spec.ts`));
  const chosen = specs.filter((spec) => asked.length === 0 || asked.some((word) => spec.includes(word)));
  if (chosen.length === 0) return summary(0);
  const config = join("test", "interop", "vitest.config.ts");
  return (
    spawnSync("vitest", ["run", "--config", config, ...chosen, ...options], { cwd: root, stdio: "inherit" }).status ?? 1
  );
}

function isThere({ command, args, env }: Verifier["tool"]): boolean {
  return spawnSync(command, args, { env: { ...process.env, ...env } }).status === 0;
}

function summary(failed: number): number {
  process.stdout.write(`0 passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}
