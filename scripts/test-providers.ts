/**
 * `npm run test:providers`: the providers on servers that are not ours. Each is installed first, at a fixed version; where that needs
 * a tool that is not there, its specs are skipped, said loudly, and with CI=true nothing is run and it is a failure.
 * The last line is `N passed, N failed`.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { installLocalKms } from "./tools/local-kms.ts";
import { installOpenBao } from "./tools/openbao.ts";

interface Peer {
  /** On the PATH, to install it. */
  tool: { command: string; args: readonly string[] };
  install(bin: string): Promise<void>;
}

const root = join(import.meta.dirname, "..");
const bin = join(root, "tools", "bin");
const peers: Readonly<Record<string, Peer>> = {
  "local-kms": { tool: { command: "go", args: ["version"] }, install: installLocalKms },
  OpenBao: { tool: { command: "python3", args: ["-m", "venv", "--help"] }, install: installOpenBao },
};

/** With the peers that each needs. */
const specs: Readonly<Record<string, readonly string[]>> = {
  "test/providers/aws-local-kms.spec.ts": ["local-kms"],
  "test/provider/azure/contract.test.ts": [],
  "test/provider/gcp/contract.test.ts": [],
  "test/providers/vault-openbao.spec.ts": ["OpenBao"],
  "test/providers/whole-service.spec.ts": ["local-kms", "OpenBao"],
  "test/outage/outage.spec.ts": [],
  "test/outage/regions.spec.ts": [],
};

process.exitCode = await main();

async function main(): Promise<number> {
  const missing = Object.entries(peers).filter(([, { tool }]) => spawnSync(tool.command, tool.args).status !== 0);
  const isFailure = process.env.CI === "true" && missing.length > 0;
  for (const [name, { tool }] of missing) {
    const what = isFailure ? "FAILED" : "SKIPPED";
    process.stderr.write(
      `${what}: nothing is tested on ${name}, as there is no ${tool.command} to install it; put it on the PATH\n`,
    );
  }
  if (isFailure) return summary(missing.length);
  const absent = missing.map(([name]) => name);
  for (const [name, { install }] of Object.entries(peers)) {
    if (absent.includes(name)) continue;
    try {
      await install(bin);
    } catch (error) {
      process.stderr.write(`FAILED: ${name} is not installed: ${error}\n`);
      return summary(1);
    }
  }
  const [asked, options] = [
    process.argv.slice(2).filter(isSpec),
    process.argv.slice(2).filter((word) => !isSpec(word)),
  ];
  const possible = Object.keys(specs).filter((spec) => !specs[spec]!.some((name) => absent.includes(name)));
  const chosen = possible.filter((spec) => asked.length === 0 || asked.some((word) => spec.includes(word)));
  const config = join("test", "providers", "vitest.config.ts");
  return (
    spawnSync("vitest", ["run", "--config", config, ...chosen, ...options], { cwd: root, stdio: "inherit" }).status ?? 1
  );
}

function isSpec(word: string): boolean {
  return !word.startsWith("-");
}

function summary(failed: number): number {
  process.stdout.write(`0 passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}
