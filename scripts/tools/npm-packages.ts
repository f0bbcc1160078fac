/** Packages of npm in a folder of their own under tools/, at the versions and with the hashes of a lock file. No script of theirs is run. */
import { spawnSync } from "node:child_process";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

const files = ["package.json", "package-lock.json"] as const;

/** Does nothing where they are there already. `from` is the folder of package.json and package-lock.json. */
export async function installPackages(folder: string, from: string): Promise<void> {
  const mark = join(folder, "installed-lock.json");
  const wanted = await readFile(join(from, "package-lock.json"), "utf8");
  if ((await readFile(mark, "utf8").catch(() => "")) === wanted) return;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const file of files) await copyFile(join(from, file), join(folder, file));
  const { error, status, stderr } = spawnSync("npm", ["ci", "--ignore-scripts"], { cwd: folder, encoding: "utf8" });
  if (status !== 0) throw new Error(`npm ci failed: ${error?.message ?? stderr}`);
  await writeFile(mark, wanted);
}
