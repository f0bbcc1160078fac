/** Packages of PyPI in a Python environment of their own under tools/, at the versions and with the hashes of a file. */
import { spawnSync } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Does nothing where these requirements are met already. `works` is a command of the environment that then ends well. */
export async function installEnvironment(
  environment: string,
  requirements: string,
  works: readonly [string, ...string[]],
) {
  const mark = join(environment, "requirements.txt");
  const wanted = await readFile(requirements, "utf8");
  const [command, ...args] = works;
  const isInstalled = spawnSync(join(environment, "bin", command), args).status === 0;
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
