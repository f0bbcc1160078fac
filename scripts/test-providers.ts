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
  name: string;
  /** On the PATH, to install it. */
  tool: { command: string; args: readonly string[] };
  specs: readonly string[];
  install(bin: string): Promise<void>;
}

const root = join(import.meta.dirname, "..");
const bin = join(root, "tools", "bin");
const peers: readonly Peer[] = [
  {
    name: "local-kms",
    tool: { command: "go", args: ["version"] },
    specs: ["test/providers/aws-local-kms.spec.ts"],
    install: installLocalKms,
  },
  {
    name: "OpenBao",
    tool: { command: "python3", args: ["-m", "venv", "--help"] },
    specs: ["test/providers/vault-openbao.spec.ts"],
    install: installOpenBao,
  },
];

process.exitCode = await main();

async function main(): Promise<number> {
  const missing = peers.filter(({ tool }) => spawnSync(tool.command, tool.args).status !== 0);
  const isFailure = process.env.CI === "true" && missing.length > 0;
  for (const { name, tool } of missing) {
    const what = isFailure ? "FAILED" : "SKIPPED";
    process.stderr.write(
      `${what}: nothing is tested on ${name}, as there is no ${tool.command} to install it; put it on the PATH\n`,
    );
  }
  const present = peers.filter((peer) => !missing.includes(peer));
  if (isFailure || present.length === 0) return summary(isFailure ? missing.length : 0);
  for (const { name, install } of present) {
    try {
      await install(bin);
    } catch (error) {
      process.stderr.write(`FAILED: ${name} is not installed: ${error}\n`);
      return summary(1);
    }
  }
  const config = join("test", "providers", "vitest.config.ts");
  const args = ["run", "--config", config, ...present.flatMap(({ specs }) => specs), ...process.argv.slice(2)];
  return spawnSync("vitest", args, { cwd: root, stdio: "inherit" }).status ?? 1;
}

function summary(failed: number): number {
  process.stdout.write(`0 passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}
