/** The place of a store's heads file, and the lock under which it is written. */
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Time } from "../../runtime/time.ts";
import { KmsError } from "../../errors.ts";
import type { StoreSettings } from "../registry.ts";
import { realPath } from "../sqlite/file.ts";
import { makeLockFile, takesAlone } from "../sqlite/hold.ts";

export interface HeadsSettings {
  /** Absolute; undefined for beside the SQLite file, and for none with PostgreSQL. */
  readonly file: string | undefined;
  /** Whether a start without it is refused, with PostgreSQL. */
  readonly required: boolean;
}

export interface HeadsPlace {
  file: string;
  required: boolean;
  /** Held by whoever writes the file. */
  lock: string;
  /** The SQLite file; undefined if the store is elsewhere. */
  database: string | undefined;
}

const aloneMs = 2_000;
const lookMs = 20;

/** Undefined if no heads file is kept. */
export function placeOf(store: StoreSettings, { file, required }: HeadsSettings): HeadsPlace | undefined {
  if (store.name === "memory") return undefined;
  if (store.name === "postgres")
    return file === undefined ? file : { file, required, lock: `${file}.lock`, database: undefined };
  const database = realPath(store.file);
  return { file: file ?? `${database}-heads`, required: false, lock: `${database}.heads.lock`, database };
}

/** Whether what puts the store back, as a snapshot of a volume, may put the heads file back with it. */
export async function sharesFileSystem({ file, database }: HeadsPlace): Promise<boolean> {
  if (database === undefined) return false;
  const [own, stores] = await Promise.all(
    [stat(dirname(file)), stat(database)].map((each) => each.catch(() => undefined)),
  );
  return own !== undefined && own.dev === stores?.dev;
}

/** Runs `work` while no other process writes the file. STORE_UNAVAILABLE if another does not end. */
export async function whileAlone<T>(
  { lock, database, file }: HeadsPlace,
  time: Time,
  work: () => Promise<T>,
): Promise<T> {
  makeLockFile(lock, database ?? file);
  const held = new DatabaseSync(lock);
  try {
    const until = time.monotonicMs() + aloneMs;
    while (!takesAlone(held, 0)) {
      if (time.monotonicMs() >= until) {
        throw new KmsError("STORE_UNAVAILABLE", `another process holds ${lock}: wait for it, or end it`);
      }
      await time.sleep(lookMs);
    }
    return await work();
  } finally {
    held.close();
  }
}
