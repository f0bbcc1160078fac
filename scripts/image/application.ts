/** Our own part of the root file system, /app: the source as it is, and the packages of production without what nothing reads. */
import { cpSync, globSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { command } from "../tools/command.ts";
import { type Architecture, git, root } from "./recipe.ts";

/** Licences stay, whatever their name ends with. */
const licences = /^(licen[cs]e|notice|copying|copyright|authors)/i;

/** Node does not run TypeScript below node_modules, and nobody compiles, documents or tests there. */
const unread =
  /\.(d\.ts|ts|mts|cts|map|md|markdown|tsbuildinfo|bare|c|cc|h|gypi?|flow|html|sh|py|zip|ya?ml|jsdoc|bnf|ico)$|\.(test|spec)\.[cm]?js$|^(CMakeLists\.txt|Makefile|CODEOWNERS|CNAME|\..*)$/;

/** Folders for those who work on a package. test/image holds that no other file of a package asks for one below them. */
export const folderOfAuthors = /^(tests?|__tests__|bench(marks?)?|examples?|fixtures|\.github|\.husky)$/;

export interface Application {
  /** Where package.json is. */
  readonly folder: string;
  /** The package of the pinned Node, out of node_modules. */
  readonly nodePackage: string;
  /** Libraries that Node loads. */
  readonly addons: readonly string[];
}

/** Copies what git knows of, and installs what the lock file pins, in `work`. */
export function prepareApplication(work: string, { npm }: Architecture): Application {
  const folder = join(work, "app");
  for (const file of git("ls-files", "-z", "src", "gen").split("\0").filter(Boolean)) {
    cpSync(join(root, file), join(folder, file));
  }
  for (const file of ["package.json", "package-lock.json", "LICENSE"]) cpSync(join(root, file), join(folder, file));
  const quietly = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
  command("npm", ["ci", "--omit=dev", ...quietly, "--os=linux", `--cpu=${npm}`, "--libc=glibc"], { cwd: folder });
  const modules = join(folder, "node_modules");
  const nodePackage = join(work, "node");
  renameSync(join(modules, `node-linux-${npm}`), nodePackage);
  trim(modules, npm);
  rmSync(join(folder, "package-lock.json"));
  return { folder, nodePackage, addons: globSync("**/*.node", { cwd: modules }).map((name) => join(modules, name)) };
}

function trim(modules: string, npm: Architecture["npm"]): void {
  const others = readdirSync(modules).filter((name) => /^node-(linux|darwin|win|bin)-/.test(name));
  for (const name of [...others, "@types", ".package-lock.json"]) {
    rmSync(join(modules, name), { recursive: true, force: true });
  }
  for (const folder of globSync("**/.bin", { cwd: modules })) rmSync(join(modules, folder), { recursive: true });
  for (const folder of globSync("**/prebuilds/*", { cwd: modules })) {
    if (!folder.endsWith(`/linux-${npm}`)) rmSync(join(modules, folder), { recursive: true });
  }
  for (const entry of readdirSync(modules, { recursive: true, withFileTypes: true })) {
    if (!entry.isDirectory() || !folderOfAuthors.test(entry.name)) continue;
    rmSync(join(entry.parentPath, entry.name), { recursive: true, force: true });
  }
  for (const entry of readdirSync(modules, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory() || licences.test(entry.name) || !unread.test(entry.name)) continue;
    rmSync(join(entry.parentPath, entry.name));
  }
  command("find", [modules, "-type", "d", "-empty", "-delete"]);
}
