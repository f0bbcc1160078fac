/** What a change consists of: the commit that it is based on, and the paths that differ from it. */
import { spawnSync } from "node:child_process";

export interface Base {
  commit: string;
  /** How it was found, for the reader of the log. */
  how: string;
}

const dayMs = 86_400_000;

/**
 * Returns the base by the first of these that there is: `named` (FLUO_CI_BASE), the merge base with origin/HEAD, and the newest commit that
 * is older than a day. A merge base that is HEAD itself says nothing of a change, so it does not count. Undefined if a clone has none of them.
 * Throws if `named` is no commit.
 */
export function findBase(root: string, named: string | undefined, now: Date): Base | undefined {
  if (named) {
    const commit = git(root, "rev-parse", "--verify", "--quiet", `${named}^{commit}`);
    if (commit === undefined) throw new Error(`FLUO_CI_BASE is ${named}, which is no commit here`);
    return { commit, how: "FLUO_CI_BASE" };
  }
  const head = git(root, "rev-parse", "HEAD");
  const merged = git(root, "merge-base", "HEAD", "origin/HEAD");
  if (merged !== undefined && merged !== head) return { commit: merged, how: "the merge base with origin/HEAD" };
  const yesterday = new Date(now.getTime() - dayMs).toISOString();
  const older = git(root, "rev-list", "--max-count=1", `--before=${yesterday}`, "HEAD");
  return older ? { commit: older, how: "the newest commit that is older than a day" } : undefined;
}

/** Returns the paths that differ from `base`, also those that are not committed yet, or of which Git does not know. */
export function changedSince(root: string, { commit }: Pick<Base, "commit">): string[] {
  const differing = git(root, "diff", "--name-only", "--no-renames", "-z", commit) ?? "";
  const unknown = git(root, "ls-files", "--others", "--exclude-standard", "-z") ?? "";
  return [...differing.split("\0"), ...unknown.split("\0")].filter((path) => path !== "").sort();
}

/** Standard output without blanks around it. Undefined if the command fails. A checkout may belong to another user. */
function git(cwd: string, ...args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync("git", ["-c", "safe.directory=*", ...args], { cwd, encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}
