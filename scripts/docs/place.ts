/** A directory with all that the project's has, in which a guide may leave files, and a reader's environment: nothing of this machine's settings. */
import { readdirSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

export interface Place extends AsyncDisposable {
  cwd: string;
  env: Record<"PATH" | "HOME" | "TMPDIR" | "LANG" | "npm_config_update_notifier", string>;
}

/** The command lines of tools/, by name. */
const tools = { aws: ["aws", "bin", "aws"], bao: ["openbao", "bin", "bao"] } as const;
/** Of a checkout that was worked in. */
const notOurs = [".git", "application.properties", "data"];

export async function makePlace(root: string): Promise<Place> {
  const home = await mkdtemp(join(tmpdir(), "fluo-kms-docs-"));
  const [cwd, bin, temporary] = [join(home, "fluo-kms"), join(home, "bin"), join(home, "tmp")];
  for (const folder of [cwd, bin, temporary]) await mkdir(folder);
  const entries = readdirSync(root).filter(
    (name) => !notOurs.includes(name) && !/\.(db|db-wal|db-shm|key)$/.test(name),
  );
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
      npm_config_update_notifier: "false",
    },
    [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }),
  };
}
