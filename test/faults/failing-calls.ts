/**
 * Files whose writes or syncs fail while the test says so, for a process that the test starts: by failing-calls.c, compiled here and
 * preloaded there. Works without privileges, on Linux with a C compiler. Node, and the SQLite in it, make these calls through libc.
 */
import { mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { compiledLibrary } from "../support/preloaded-library.ts";

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

/** Makes calls fail on files below `dir`, which must exist. Works if libraries can be preloaded. */
export function failingCalls(dir: string): FailingCalls {
  const own = mkdtempSync(join(tmpdir(), "fluo-kms-faults-"));
  const library = compiledLibrary(join(import.meta.dirname, "failing-calls.c"), own);

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
