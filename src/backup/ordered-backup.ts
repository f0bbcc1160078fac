/** What the process of a backup is asked, and what it answers: plain values, as messages between processes have. */
import { KmsError } from "../errors.ts";
import { backUpInto, type DatedBackup, type DatedBackups } from "../store/offline/backup-directory.ts";
import { openTables, type StoreSettings } from "../store/registry.ts";

export type SqliteSettings = Extract<StoreSettings, { name: "sqlite" }>;

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
      const { file, removed, problem } = await backUpInto(tables, backups);
      return { made: { file, removed, problem } };
    } finally {
      await tables.close();
    }
  } catch (error) {
    return { failure: error instanceof KmsError ? error.message : `internal error: ${String(error)}` };
  }
}
