/** A work tree of a commit in which mutants live, one at a time. */
import { chmodSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { command } from "../tools/command.ts";
import { type Change, changed, type Sources } from "./change.ts";

export interface Tree {
  root: string;
  sources: Sources;
  mutate(change: Change): void;
  /** Puts the file of the last mutant back. */
  restore(): void;
  remove(): void;
}

/** Makes a tree of `commit` in tools/ of `repository`, with hard links to its node_modules. */
export function makeTree(repository: string, commit: string): Tree {
  const folder = join(repository, "tools");
  mkdirSync(folder, { recursive: true });
  const root = mkdtempSync(join(folder, "mutants-"));
  chmodSync(root, 0o755); // some tests read it as another user
  const git = (...args: string[]) => command("git", ["-c", "safe.directory=*", ...args], { cwd: repository });
  git("worktree", "add", "--quiet", "--force", "--detach", root, commit);
  command("cp", ["-al", join(repository, "node_modules"), join(root, "node_modules")]);
  const paths = globSync("src/**/*.{ts,js}", { cwd: root }).sort();
  const sources: Sources = new Map(paths.map((path) => [path, readFileSync(join(root, path), "utf8")]));
  let mutated: string | undefined;
  return {
    root,
    sources,
    mutate(change) {
      this.restore();
      mutated = change.path;
      writeFileSync(join(root, mutated), changed(sources.get(mutated)!, change));
    },
    restore() {
      if (mutated !== undefined) writeFileSync(join(root, mutated), sources.get(mutated)!);
      mutated = undefined;
    },
    remove() {
      rmSync(root, { recursive: true, force: true });
      git("worktree", "prune");
    },
  };
}
