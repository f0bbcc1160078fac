/**
 * `npm run test:versions`: this release rolled to ones to come and back, the version before beside it, on PostgreSQL, and this one on what a former one
 * kept. Sources of former ones come from the history of the repository: tools/spec-suite.ts says what happens without it.
 * `-- NAME` runs one file, `-- --short` one roll alone. The last line is `N passed, N failed`.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Need, runSpecs, type Specs } from "./tools/spec-suite.ts";

const root = join(import.meta.dirname, "..");
const dir = mkdtempSync(join(tmpdir(), "fluo-kms-before-"));

const before = former("the version before", {
  // The last one with schema 6, and so with the dependencies of this one.
  commit: "0c6fc36",
  variable: "FLUO_VERSIONS_SOURCES",
});
const forgetful = former("a version without a data directory", {
  // The last one that keeps nothing unless a setting says so.
  commit: "3eafd7f4",
  variable: "FLUO_VERSIONS_FORGETFUL",
});

const specs: Specs = { rolling: [], earlier: [before.need], kept: [forgetful.need] };

try {
  process.exitCode = await runSpecs("versions", specs, process.argv.slice(2), ["earlier", "kept"]);
} finally {
  for (const { sources } of [before, forgetful]) {
    if (existsSync(sources)) git("worktree", "remove", "--force", sources);
  }
  rmSync(dir, { recursive: true, force: true });
}

/** Has the sources of a commit where `variable` tells the suite. */
function former(name: string, { commit, variable }: { commit: string; variable: string }) {
  const sources = join(dir, commit);
  process.env[variable] = sources;
  const need: Need = {
    name,
    install() {
      if (git("worktree", "add", "--detach", sources, commit) !== 0)
        throw new Error(`the history of this checkout has no commit ${commit}`);
      symlinkSync(join(root, "node_modules"), join(sources, "node_modules"));
    },
  };
  return { need, sources };
}

function git(...args: string[]): number {
  const { status } = spawnSync("git", ["-c", "safe.directory=*", ...args], { cwd: root, stdio: "inherit" });
  return status ?? 1;
}
