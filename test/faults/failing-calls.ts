/**
 * Files whose writes or syncs fail while the test says so, for a process that the test starts: by failing-calls.c, compiled here and
 * preloaded there. Works without privileges, on Linux with a C compiler. Node, and the SQLite in it, make these calls through libc.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";

export interface FailingCalls {
  /** To be added to the environment of the process. */
  env: Record<string, string>;
  /**
   * From now on, every fsync and fdatasync (`sync`), or every write and change of length (`write`), of a file below the directory fails
   * with this error. Replaces what was said before.
   */
  fail(call: "sync" | "write", error: "EIO" | "ENOSPC" | "EDQUOT" | "EROFS"): void;
  /** From now on, nothing fails. */
  heal(): void;
  /** Removes the library; nothing fails any more. */
  close(): void;
}

/** Why it cannot be done here, if so. */
export function whyCallsCannotFail(): string | undefined {
  if (process.platform !== "linux") return "calls can be made to fail on Linux only";
  if (spawnSync(compiler(), ["--version"]).status !== 0) return "there is no C compiler: install cc, or set CC";
  return undefined;
}

/** For the files below `dir`, which must exist. */
export function failingCalls(dir: string): FailingCalls {
  const why = whyCallsCannotFail();
  if (why !== undefined) throw new Error(why);
  const own = mkdtempSync(join(tmpdir(), "fluo-kms-faults-"));
  const library = join(own, "failing-calls.so");
  const source = join(import.meta.dirname, "failing-calls.c");
  const { status, stderr } = spawnSync(
    compiler(),
    ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"],
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`cannot compile ${source}: ${stderr}`);

  const control = join(own, "switch");
  // By a rename, as the process reads it at any time.
  const say = (what: string) => {
    writeFileSync(`${control}.new`, what);
    renameSync(`${control}.new`, control);
  };
  say("");
  return {
    env: { LD_PRELOAD: library, FAULTS_DIR: realpathSync(dir), FAULTS_SWITCH: control },
    fail: (call, error) => say(`${call} ${constants.errno[error]}`),
    heal: () => say(""),
    close: () => rmSync(own, { recursive: true }),
  };
}

function compiler(): string {
  return process.env.CC ?? "cc";
}
