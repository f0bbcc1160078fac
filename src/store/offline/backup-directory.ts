/**
 * The backups of a store in a directory: `fluo-kms-<8 digits of the store's id>-<UTC time>.db`. The new one is written under a name that
 * begins with a dot, synced, and renamed; then the oldest go. Files with other names are never touched, and so are those of other stores.
 *
 * Whoever writes a draft holds a lock file of the directory. Whoever holds it alone removes the drafts that others left.
 */
import { existsSync, lstatSync, readdirSync, rmSync, statSync, unlinkSync } from "node:fs";
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
}

export interface DatedBackup {
  file: string;
  contents: Contents;
  /** Number of older backups that went. */
  removed: number;
  /** Why older ones could not go, although the new one is there. */
  problem: string | undefined;
}

/** Largest number of backups that may be kept. */
export const mostKept = 10_000;

const idDigits = 8;

/** STORE_UNAVAILABLE if the store or the directory cannot be used, or if no service has used the store. */
export async function backUpInto(tables: Tables, { directory, keep, at }: DatedBackups): Promise<DatedBackup> {
  refuseNoDirectory(directory);
  const stored = await tables.storeKey();
  if (stored === undefined) throw new KmsError("STORE_UNAVAILABLE", "no service has used the store: it has no key yet");
  const names = namesOf(stored.storeId);
  const hold = holdDatabase(join(directory, names.hold), () => removeDrafts(directory, names));
  try {
    const name = names.free(directory, at);
    const file = join(directory, name);
    const contents = await tables.backUp(file, rename);
    return { file, contents, ...prune(directory, names, { name, keep }) };
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
 * Removes all but the newest `keep` of those up to the new one, whose names sort as their times do. Later ones are another process's, or
 * were named by a clock that was ahead: they stay until the time comes that they name.
 */
function prune(directory: string, { isBackup }: Names, { name, keep }: { name: string; keep: number }) {
  let removed = 0;
  try {
    const older = readdirSync(directory).filter((each) => isBackup(each) && each < name);
    for (const each of older
      .sort()
      .reverse()
      .slice(keep - 1)) {
      const path = join(directory, each);
      if (!lstatSync(path, { throwIfNoEntry: false })?.isFile()) continue;
      rmSync(path, { force: true }); // two at once may remove the same
      removed += 1;
      step("backup.pruned");
    }
    if (removed > 0) syncDirectory(directory);
    return { removed, problem: undefined };
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    return { removed, problem: `${path ?? directory} cannot be removed (${code})` };
  }
}

/** Removes what backups that were killed left. */
function removeDrafts(directory: string, { isDraft }: Names): void {
  for (const name of readdirSync(directory).filter(isDraft)) unlinkSync(join(directory, name));
}

function refuseNoDirectory(directory: string): void {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory()) return;
  const message = `there is no directory ${directory} for backups: make it, or mount its volume`;
  throw new KmsError("STORE_UNAVAILABLE", message);
}
