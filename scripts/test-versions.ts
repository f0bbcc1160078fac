/**
 * `npm run test:versions`: the version before beside this one on PostgreSQL, from its own sources, which come from the history of the
 * repository. Without history nothing is run: said loudly, and with CI=true a failure.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
/** The last commit with schema 6, and so with the dependencies of this one. */
const before = "0c6fc36";

const dir = mkdtempSync(join(tmpdir(), "fluo-kms-before-"));
const sources = join(dir, "sources");
try {
  if (git("worktree", "add", "--detach", sources, before) === 0) {
    symlinkSync(join(root, "node_modules"), join(sources, "node_modules"));
    process.exitCode = run("npx", ["vitest", "run", "--config", "test/versions/vitest.config.ts"]);
  } else {
    console.error(`SKIPPED: the history of this checkout has no commit ${before}`);
    if (process.env.CI) process.exitCode = 1;
  }
} finally {
  git("worktree", "remove", "--force", sources);
  rmSync(dir, { recursive: true, force: true });
}

function git(...args: string[]): number {
  return run("git", ["-c", "safe.directory=*", ...args]);
}

function run(command: string, args: readonly string[]): number {
  const env = { ...process.env, FLUO_VERSIONS_SOURCES: sources };
  return spawnSync(command, args, { cwd: root, env, stdio: "inherit" }).status ?? 1;
}
