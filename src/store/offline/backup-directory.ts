/**
 * The backups of a store in a directory: `fluo-kms-<8 digits of the store's id>-<UTC time>.db`. The new one is written under a name that
 * begins with a dot, synced, and renamed; then the oldest go. Files with other names are never touched, and so are those of other stores.
 *
 * Whoever writes a draft holds a lock file of the directory. Whoever holds it alone removes the drafts that others left.
 */
import { accessSync, constants, existsSync, lstatSync, readdirSync, rmSync, statSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { KmsError } from "../../errors.ts";
import { step } from "../../failpoints.ts";
import { syncDirectory } from "../sqlite/file.ts";
import { holdDatabase } from "../sqlite/hold.ts";
import { draftEnd } from "./backup-file.ts";
import type { Contents } from "./copy.ts";
import type { Tables } from "./tables.ts";

export interface DatedBackups {
  /** Must be there: a volume that is not mounted is not written to by mistake. */
  directory: string;
  /** Number of backups of the store that stay, the new one among them. */
  keep: number;
  /** Names the backup. */
  at: Date;
  /** Called with the number of rows written so far. */
  copied?: (rows: number) => void;
}

export interface DatedBackup {
  file: string;
  contents: Contents;
  /** Number of older backups that went. */
  removed: number;
  /** Why older ones, or what killed backups left, could not go, although the new one is there. */
  problem: string | undefined;
}

/** Largest number of backups that may be kept. */
export const mostKept = 10_000;

const idDigits = 8;

/** STORE_UNAVAILABLE if the store or the directory cannot be used, or if no service has used the store. */
export async function backUpInto(tables: Tables, { directory, keep, at, copied }: DatedBackups): Promise<DatedBackup> {
  refuseUnusable(directory);
  const stored = await tables.storeKey();
  if (stored === undefined) throw new KmsError("STORE_UNAVAILABLE", "no service has used the store: it has no key yet");
  const names = namesOf(stored.storeId);
  let drafts = nothingToRemove;
  const hold = holdDatabase(join(directory, names.hold), () => {
    drafts = removed(directory, (present) => present.filter(names.isDraft));
  });
  try {
    const name = names.free(directory, at);
    const file = join(directory, name);
    const contents = await tables.backUp(file, { named: rename, copied });
    const older = removed(directory, (present) => surplus(present, names, { name, keep }));
    const problems = [drafts.problem, older.problem].filter((each) => each !== undefined);
    return { file, contents, removed: older.count, problem: problems.join("; ") || undefined };
  } finally {
    hold.release();
  }
}

interface Names {
  /** Path of what is held, below the directory; it has the lock files beside it. */
  hold: string;
  isBackup(name: string): boolean;
  isDraft(name: string): boolean;
  /** A name that no file has. */
  free(directory: string, at: Date): string;
}

function namesOf(storeId: string): Names {
  const start = `fluo-kms-${storeId.slice(0, idDigits)}`;
  const rest = /^-\d{8}T\d{9}Z\.db$/;
  const isBackup = (name: string) => name.startsWith(start) && rest.test(name.slice(start.length));
  return {
    hold: `.${start}`,
    isBackup,
    isDraft: (name) => name.startsWith(".") && draftEnd.test(name) && isBackup(name.slice(1).replace(draftEnd, "")),
    free(directory, at) {
      for (let ms = at.getTime(); ; ms += 1) {
        const name = `${start}-${new Date(ms).toISOString().replaceAll(/[-:.]/g, "")}.db`;
        if (!existsSync(join(directory, name))) return name;
      }
    },
  };
}

/**
 * All but the newest `keep` of those up to the new one, whose names sort as their times do. Later ones are another process's, or
 * were named by a clock that was ahead: they stay until the time comes that they name.
 */
function surplus(present: readonly string[], { isBackup }: Names, { name, keep }: { name: string; keep: number }) {
  const older = present.filter((each) => isBackup(each) && each < name);
  return older
    .sort()
    .reverse()
    .slice(keep - 1);
}

const nothingToRemove = { count: 0, problem: undefined as string | undefined };

/** Removes files that are chosen of those in the directory. One that cannot go keeps no other from it, and nobody from the new backup. */
function removed(directory: string, chosen: (present: readonly string[]) => readonly string[]): typeof nothingToRemove {
  let count = 0;
  const problems: string[] = [];
  const attempt = (what: string, work: () => void) => {
    try {
      work();
    } catch (error) {
      problems.push(`${what} (${(error as NodeJS.ErrnoException).code})`);
    }
  };
  attempt(`${directory} cannot be used`, () => {
    for (const name of chosen(readdirSync(directory))) {
      const path = join(directory, name);
      if (!lstatSync(path, { throwIfNoEntry: false })?.isFile()) continue;
      attempt(`${path} cannot be removed`, () => {
        rmSync(path, { force: true }); // two at once may remove the same
        count += 1;
        step("backup.pruned");
      });
    }
    if (count > 0) syncDirectory(directory);
  });
  const [first, ...others] = problems;
  return { count, problem: others.length === 0 ? first : `${first}, nor can ${others.length} others` };
}

function refuseUnusable(directory: string): void {
  const found = accessProblem(directory);
  if (found === undefined) return;
  const [what, advice] =
    found === "ENOENT"
      ? [`there is no directory ${directory} for backups`, "make it, or mount its volume"]
      : [`the directory ${directory} for backups cannot be used (${found})`, "let this user read and write it"];
  throw new KmsError("STORE_UNAVAILABLE", `${what}: ${advice}`);
}

/** Code of the error; undefined where the directory can be used. */
function accessProblem(directory: string): string | undefined {
  try {
    if (!statSync(directory).isDirectory()) return "ENOENT";
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}
