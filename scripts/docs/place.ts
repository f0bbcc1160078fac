/** A directory with all that the project's has, in which a guide may leave files, and a reader's environment: nothing of this machine's settings. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { cacheFolder } from "../tools/cache.ts";

export interface Place extends AsyncDisposable {
  cwd: string;
  env: Record<"PATH" | "HOME" | "TMPDIR" | "LANG" | "XDG_CACHE_HOME" | "npm_config_update_notifier", string>;
}

/** The command lines of tools/, by name. */
const tools = {
  aws: ["aws", "bin", "aws"],
  bao: ["openbao", "bin", "bao"],
  grpcurl: ["bin", "grpcurl"],
  helm: ["bin", "helm"],
} as const;
/** What git ignores, and guides need all the same. */
const needed: ReadonlySet<string> = new Set(["node_modules", "tools"]);

export async function makePlace(root: string): Promise<Place> {
  const home = await mkdtemp(join(tmpdir(), "fluo-kms-docs-"));
  const [cwd, bin, temporary] = [join(home, "fluo-kms"), join(home, "bin"), join(home, "tmp")];
  for (const folder of [cwd, bin, temporary]) await mkdir(folder);
  const leftOver = ignored(root);
  const entries = readdirSync(root).filter((name) => name !== ".git" && !leftOver.has(name));
  for (const name of entries) await symlink(join(root, name), join(cwd, name));
  for (const [name, path] of Object.entries(tools)) await symlink(join(root, "tools", ...path), join(bin, name));
  // npm puts the project's own programs first, which a reader's shell does not have.
  const paths = (process.env.PATH ?? "").split(delimiter).filter((path) => !path.includes("node_modules"));
  return {
    cwd,
    env: {
      PATH: [bin, ...paths].join(delimiter),
      HOME: home,
      TMPDIR: temporary,
      LANG: "C.UTF-8",
      XDG_CACHE_HOME: dirname(cacheFolder()), // where `npm run local-kms` finds what it would otherwise build
      npm_config_update_notifier: "false",
    },
    [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }),
  };
}

/** What somebody who walked through a guide in the checkout has left there: a guide would trip over it, or write into it. */
function ignored(root: string): ReadonlySet<string> {
  const args = ["ls-files", "--others", "--ignored", "--exclude-standard", "--directory"];
  const { stdout } = spawnSync("git", args, { cwd: root, encoding: "utf8" });
  const names = (stdout ?? "").split("\n").map((name) => name.replace(/\/$/, ""));
  return new Set(names.filter((name) => !needed.has(name)));
}
