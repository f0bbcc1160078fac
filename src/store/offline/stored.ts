/** A SQLite store as it lies on the disk, of any schema, to be judged before anything may write to it. */
import { existsSync, rmSync } from "node:fs";
import type { KeyObject } from "node:crypto";
import { KmsError } from "../../errors.ts";
import { realTime } from "../../runtime/time.ts";
import type { HeadsReader } from "../heads-store.ts";
import type { Database, Query } from "../sql/rows/database.ts";
import { countingSchema } from "../sql/rows/schema.ts";
import { lockedSqlStore } from "../sql/store.ts";
import { readSchema, refuseOthers } from "../sql/upgrade/migration.ts";
import { embeddedDatabase, sqliteDialect } from "../sqlite/embedded.ts";
import { immutable, realPath, refuseSpecial, sizeOf } from "../sqlite/file.ts";
import { aloneWith, holdDatabase } from "../sqlite/hold.ts";
import { examineLog, type ReadyFile, refuseSpecialFiles } from "../sqlite/ready-log.ts";
import { refuseMarked } from "./backup-mark.ts";
import { sqliteTableDialect } from "./sqlite.ts";
import { headsReader, snapshotsOf, type Tables } from "./tables.ts";

/** The reads that judge a store. */
export type StoredStore = Pick<Tables, "storeKey" | "heads">;

/**
 * Runs `work` on a store while nothing of it is opened for writing, and no other process begins to use it; one that uses it already goes on. A store
 * that is not there has no store key, and is not made. DATA_LOSS or ROLLBACK_SUSPECTED if the log lost commits; STORE_UNAVAILABLE for a backup, and for
 * a store that is not for this release.
 */
export async function whileStored<T>(
  { file: path, headsFile }: ReadyFile,
  work: (stored: StoredStore) => Promise<T>,
): Promise<T> {
  refuseSpecial(path);
  const file = realPath(path);
  const ready = { file, headsFile };
  refuseSpecialFiles(file);
  if (["", "-wal"].every((end) => sizeOf(file + end) === 0)) return work(unused);
  const alone = async () => {
    const { problem, verdict } = examineLog(ready);
    if (problem !== undefined) throw problem;
    if (sizeOf(file) === 0) return work(unused);
    // The pages of a damaged log whose content is in the database are older than those there.
    const name = verdict.kind === "settled" ? immutable(file) : file;
    return leavingNothing(file, () => opened(name, work));
  };
  const besideOthers = async () => {
    let isAlone = false;
    const hold = holdDatabase(file, () => {
      isAlone = true; // the other process has ended meanwhile
    });
    try {
      if (!isAlone) return await opened(file, work);
    } finally {
      hold.release();
    }
    return whileStored({ file, headsFile }, work);
  };
  return aloneWith(file, alone, besideOthers);
}

/** Removes what SQLite made beside a file that no other process has open. */
async function leavingNothing<T>(file: string, work: () => Promise<T>): Promise<T> {
  const made = ["-wal", "-shm"].map((end) => file + end).filter((path) => !existsSync(path));
  try {
    return await work();
  } finally {
    for (const path of made) rmSync(path, { force: true });
  }
}

async function opened<T>(name: string, work: (stored: StoredStore) => Promise<T>): Promise<T> {
  const db = embeddedDatabase({ file: name, readOnly: true, soon: setImmediate, time: realTime });
  try {
    return await work(await storedIn(db));
  } finally {
    await db.close();
  }
}

/** A store that nothing was written to stands for nothing. */
const unused: StoredStore = {
  storeKey: async () => undefined,
  heads() {
    throw new KmsError("STORE_UNAVAILABLE", "the store has no key yet");
  },
};

async function storedIn(db: Database): Promise<StoredStore> {
  const state = await db.read((query) => readSchema(query, sqliteDialect));
  if (state === undefined) return unused;
  await db.read(refuseMarked);
  refuseOthers(state);
  const { storeKey } = lockedSqlStore("sqlite", db);
  const snapshot = snapshotsOf(db, sqliteTableDialect);
  if (state.version >= countingSchema) return { storeKey, heads: (key) => headsReader(snapshot, db, key) };
  const heads = (key: KeyObject | undefined): HeadsReader => ({
    ...headsReader((read) => snapshot((query) => read(withoutCount(query))), db, key),
    acceptsHeads: async () => false,
  });
  return { storeKey, heads };
}

/** Reads a store of before commits were counted. */
function withoutCount(query: Query): Query {
  return async (text, ...values) => (text.includes("kms_commits") ? [] : query(text, ...values));
}
