/**
 * `npm run test:versions`: this release rolled to ones to come and back, and the version before beside it, on PostgreSQL. That one's sources come
 * from the history of the repository: tools/spec-suite.ts says what happens without it.
 * `-- NAME` runs one file, `-- --short` one roll alone. The last line is `N passed, N failed`.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Need, runSpecs, type Specs } from "./tools/spec-suite.ts";

const root = join(import.meta.dirname, "..");
/** The last commit with schema 6, and so with the dependencies of this one. */
const before = "0c6fc36";

const dir = mkdtempSync(join(tmpdir(), "fluo-kms-before-"));
const sources = join(dir, "sources");
process.env.FLUO_VERSIONS_SOURCES = sources;

const history: Need = {
  name: "the version before",
  install() {
    if (git("worktree", "add", "--detach", sources, before) !== 0)
      throw new Error(`the history of this checkout has no commit ${before}`);
    symlinkSync(join(root, "node_modules"), join(sources, "node_modules"));
  },
};

const specs: Specs = { rolling: [], earlier: [history] };

try {
  process.exitCode = await runSpecs("versions", specs, process.argv.slice(2), ["earlier"]);
} finally {
  if (existsSync(sources)) git("worktree", "remove", "--force", sources);
  rmSync(dir, { recursive: true, force: true });
}

function git(...args: string[]): number {
  const { status } = spawnSync("git", ["-c", "safe.directory=*", ...args], { cwd: root, stdio: "inherit" });
  return status ?? 1;
}
