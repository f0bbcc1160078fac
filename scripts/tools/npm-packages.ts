/** Packages of npm in a folder of their own, at the versions and with the hashes of a lock file. No script of theirs is run. */
import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { cached, linkTool } from "./cache.ts";
import { command } from "./command.ts";

const files = ["package.json", "package-lock.json"] as const;

/** Installs the packages as `tools/NAME`. `from` is the folder of package.json and package-lock.json. */
export async function installPackages(name: string, from: string): Promise<string> {
  const wanted = await Promise.all(files.map((file) => readFile(join(from, file), "utf8")));
  const folder = await cached(name, wanted, async (made) => {
    for (const file of files) await copyFile(join(from, file), join(made, file));
    command("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: made });
  });
  return linkTool(name, folder);
}
