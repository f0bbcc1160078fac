/** What the process of a backup is asked, and what it answers: plain values, as messages between processes have. */
import { KmsError } from "../errors.ts";
import { placeOf } from "../store/heads/place.ts";
import { refuseBehind } from "../store/heads/judge.ts";
import { backUpInto, type DatedBackup, type DatedBackups } from "../store/offline/backup-directory.ts";
import { openTables, type SqliteSettings } from "../store/registry.ts";

export interface Order extends DatedBackups {
  store: SqliteSettings;
}

/** A backup that is on disk. */
export type Made = Pick<DatedBackup, "file" | "removed" | "problem">;

/** `failure` is one sentence for an operator. */
export type OrderAnswer = { made: Made } | { failure: string };

export async function answerTo({ store, ...backups }: Order): Promise<OrderAnswer> {
  try {
    const tables = await openTables(store);
    try {
      const place = placeOf(store, { file: store.headsFile, required: false });
      await refuseBehind(tables.heads(undefined), undefined, place);
      const { file, removed, problem } = await backUpInto(tables, backups);
      return { made: { file, removed, problem } };
    } finally {
      await tables.close();
    }
  } catch (error) {
    return { failure: error instanceof KmsError ? error.message : `internal error: ${String(error)}` };
  }
}
