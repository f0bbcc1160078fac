/** The thread that reads the SQLite file for whoever reads long (long-reads.ts), beside the thread that owns it. It starts with the first such read. */
import type { KeyObject } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { KmsError } from "../../errors.ts";
import type { Database } from "../sql/rows/database.ts";
import { rowMac } from "../sql/rows/mac.ts";
import { sqlStore } from "../sql/store.ts";
import { refuseDamaged } from "./error-codes.ts";
import { realPath } from "./file.ts";
import { type GateParts, readerGate } from "./reader-gate.ts";
import { sqliteIndexes } from "./index-entries.ts";
import { readingOf, reopensFirst } from "./reading.ts";
import { answerCalls } from "./store-thread.ts";

export interface ReaderData extends GateParts {
  file: string;
  /** The store key, which the writer has unlocked the store with. */
  key: KeyObject;
}

const { file, key, ...parts } = workerData as ReaderData;
const reading = readingOf(
  realPath(file),
  readerGate(parts, () => reading.shut()),
);

function refuse(): never {
  throw new KmsError("INTERNAL", "the reading thread of the store writes nothing");
}

const db: Database = {
  read: reading.read,
  moment: reading.moment,
  indexes: sqliteIndexes(),
  refuseDamaged,
  write: async () => refuse(),
  scrub: async () => refuse(),
  watch: () => refuse(),
  now: async () => refuse(),
  close: async () => reading.shut(),
};
const store = sqlStore("sqlite", db, rowMac(key));

answerCalls(
  parentPort!,
  ({ method, args }) =>
    (store as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[method]!(...args),
  { isReopening: (error) => error === reopensFirst, closed: () => parts.port.close() },
);
