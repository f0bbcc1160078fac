/**
 * SQLite in this thread. One piece of work runs at a time, whole: it sees nothing half done of another. Reads that wait run first, then the
 * writes that wait, as a group (group-commit.ts).
 */
import type { Time } from "../../runtime/time.ts";
import type { Database } from "../sql/rows/database.ts";
import { type Dialect, earlierVersion } from "../sql/rows/schema.ts";
import { createErasure } from "./erasure.ts";
import { createFailures, isSqlite, refuseDamaged } from "./error-codes.ts";
import { fileConnection } from "./file-connection.ts";
import { groupCommit } from "./group-commit.ts";
import { sqliteIndexes } from "./index-entries.ts";
import type { WriterGate } from "./reader-gate.ts";
import { workQueue } from "./work-queue.ts";

export const sqliteDialect: Dialect = {
  bytes: "blob",
  integer: "integer",
  text: "text",
  serial: "integer primary key autoincrement",
  tableEnd: " strict",
  hasSchema: "select count(*) as present from sqlite_schema where name = 'kms_schema'",
  refuse: (name, { before, when }) => [
    `create trigger ${name} before ${before} when ${when} begin select raise(abort, '${earlierVersion}'); end`,
  ],
};

export interface EmbeddedOptions {
  /** A path, or `:memory:`. */
  file: string;
  readOnly?: boolean;
  /** Run when the file is opened. */
  schema?: readonly string[];
  /** When waiting writes are committed: later collects more, sooner answers faster. */
  soon: (work: () => void) => void;
  time: Time;
  /** Gate of another thread that reads the file, if there may be one. */
  gate?: WriterGate;
  /** Run before the file is opened again, after an error. */
  reopens?: () => void;
}

export interface EmbeddedDatabase extends Database {
  /**
   * Whether another connection committed, or may have, since this was last asked or, the first time, since the file was opened. Scrubs
   * what a reader kept from being scrubbed.
   */
  look(): Promise<boolean>;
}

export function embeddedDatabase(options: EmbeddedOptions): EmbeddedDatabase {
  const { file, readOnly = false, schema = [], soon, time, gate, reopens } = options;
  const erasure = createErasure(time);
  const failures = createFailures();
  const connection = fileConnection({ file, readOnly, schema, gate, reopens }, (opened) => {
    if (!readOnly) erasure.noticeMark(opened);
  });
  let isRunning = false;
  const queue = workQueue(() => {
    if (!isRunning) soon(drain);
  });
  const commit = groupCommit({ connection, queue, time, erasure, failures, runReads });

  async function drain(): Promise<void> {
    if (isRunning) return;
    isRunning = true;
    while (!queue.isEmpty()) {
      const problem = connection.displacement() ?? (await whyNotOpen());
      if (problem !== undefined) for (const work of queue.take("read", "write")) work.settle(problem);
      const group = queue.takeGroup();
      await runReads();
      if (group.length > 0) await commit.run(group);
    }
    isRunning = false;
  }

  /** An opening may wait for another process. The calls that arrived meanwhile have waited for the same, and are refused with the others. */
  async function whyNotOpen(): Promise<unknown> {
    if (!queue.needsFile()) return undefined;
    try {
      connection.open();
      return undefined;
    } catch (error) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      return failures.failure(error);
    }
  }

  async function runReads(): Promise<void> {
    for (const read of queue.take("read", "close")) {
      await read.run().then(
        () => read.settle(),
        (error) => {
          const problem = failures.failure(error);
          if (isSqlite(error)) connection.giveUp();
          read.settle(problem);
        },
      );
    }
  }

  return {
    read: (work) => queue.add("read", () => work(connection.query)),
    moment: (work) =>
      queue.add("read", async () => {
        await connection.query("begin");
        try {
          return await work(connection.query);
        } finally {
          if (connection.isInTransaction()) await connection.query("rollback");
        }
      }),
    write: (work) => queue.add("write", () => work(commit.transaction)),
    async scrub(bytes) {
      if (file === ":memory:") return;
      erasure.add(bytes);
      await queue.add("read", async () => erasure.scrub(connection));
    },
    look: () =>
      queue.add("read", async () => {
        erasure.scrub(connection);
        return connection.hasChanged();
      }),
    watch: () => () => {},
    now: async () => time.now().getTime(),
    indexes: sqliteIndexes(),
    refuseDamaged,
    ...(file !== ":memory:" && { countCommits: commit.countCommits }),
    close: () => queue.add("close", async () => connection.close()),
  };
}
