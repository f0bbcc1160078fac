/** A SQLite store in a directory of its own, for a service that is started again and again. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface StoreDir {
  /** Of the database alone. */
  dir: string;
  file: string;
  env: Record<string, string>;
}

/** `at` is where the database is to be, unless it is on the same disk as the master key. */
export function newStoreDir(finished: (end: () => void) => void, at?: string): StoreDir {
  const own = mkdtempSync(join(tmpdir(), "fluo-kms-faults-store-"));
  finished(() => rmSync(own, { recursive: true, force: true }));
  const dir = at ?? join(own, "store");
  if (at === undefined) mkdirSync(dir);
  const file = join(dir, "kms.db");
  const env = {
    FLUO_KMS_STORE: "sqlite",
    FLUO_KMS_SQLITE_FILE: file,
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(own, "master.key"),
  };
  return { dir, file, env };
}
