/**
 * SQLite in this thread, by node:sqlite. One piece of work runs at a time, whole: it sees nothing half done of another. Writes that wait
 * together are committed together, each behind a savepoint of its own, so that one that fails takes nothing with it; none is answered
 * before the commit.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { KmsError } from "../errors.ts";
import { step } from "../steps.ts";
import type { Database, Query, Row, Transaction } from "./sql.ts";
import type { Dialect } from "./sql-schema.ts";

export const sqliteDialect: Dialect = {
  bytes: "blob",
  integer: "integer",
  text: "text",
  serial: "integer primary key autoincrement",
  tableEnd: " strict",
};

export interface EmbeddedOptions {
  /** A path, or `:memory:`. */
  file: string;
  readOnly?: boolean;
  /** Run when the file is opened. */
  schema?: readonly string[];
  /** When waiting writes are committed: later collects more, sooner answers faster. */
  soon: (work: () => void) => void;
}

interface Work {
  isWrite: boolean;
  run(): Promise<void>;
  /** Answers, once what it did is durable. */
  settle(problem?: unknown): void;
}

/** Of writes in one commit: bounds how long a read waits behind them. */
const maxGroup = 256;
const busyMs = 5_000;

export interface EmbeddedDatabase extends Database {
  /**
   * Whether another connection committed, or may have, since this was last asked or, the first time, since the file was opened. Scrubs
   * what a reader kept from being scrubbed.
   */
  look(): Promise<boolean>;
}

export function embeddedDatabase(options: EmbeddedOptions): EmbeddedDatabase {
  const { file, readOnly = false, schema = [], soon } = options;
  const inMemory = file === ":memory:";
  let connection: DatabaseSync | undefined;
  let statements = new Map<string, StatementSync>();
  let waiting: Work[] = [];
  let isRunning = false;
  let isClosed = false;
  let isDirty = false;
  /** What SQLite counts of others' commits, a connection: that of one that was given up says nothing about the next. */
  let seenVersion: number | "another connection's" | undefined;

  function open(): DatabaseSync {
    if (isClosed) throw new KmsError("STORE_UNAVAILABLE", "the store is closed");
    if (connection === undefined) {
      const opened = new DatabaseSync(file, { readOnly, timeout: busyMs });
      try {
        // FULL: a commit that was answered survives a loss of power.
        opened.exec("pragma secure_delete = on; pragma trusted_schema = off");
        if (!readOnly) opened.exec("pragma journal_mode = wal; pragma synchronous = full");
        if (!readOnly && !inMemory) settleLog(opened);
        for (const statement of schema) opened.exec(statement);
        seenVersion ??= dataVersion(opened); // before anything is read that another may change
      } catch (error) {
        opened.close();
        throw error;
      }
      connection = opened;
    }
    return connection;
  }

  /** After an error that leaves its state unclear the file is opened anew. What is only in memory cannot be. */
  function doubt(): void {
    const doubted = connection;
    if (inMemory && !isClosed) {
      if (doubted?.isTransaction) doubted.exec("rollback");
      return;
    }
    connection = undefined;
    statements = new Map();
    if (seenVersion !== undefined) seenVersion = "another connection's";
    try {
      doubted?.close();
    } catch {} // it is given up anyway
  }

  const query: Query = async (text, ...values) => {
    let statement = statements.get(text);
    if (statement === undefined) {
      statement = open().prepare(text);
      statements.set(text, statement);
    }
    return statement.all(...values) as Row[];
  };

  const transaction: Transaction = {
    query,
    async lock() {}, // a transaction that writes is alone
    async announce() {},
    now: async () => Date.now(),
  };

  async function runGroup(group: readonly Work[]): Promise<void> {
    const done: Work[] = [];
    try {
      open().exec("begin immediate");
      step("sqlite.began");
      for (const work of group) if (await runOne(work)) done.push(work);
      step("sqlite.written");
      open().exec("commit");
      step("sqlite.committed");
      for (const work of done) work.settle();
    } catch (error) {
      const problem = translated(error);
      doubt();
      for (const work of group) work.settle(problem);
    }
  }

  /** Whether it did what it wanted; if not it is settled. Throws where the whole group is lost. */
  async function runOne(work: Work): Promise<boolean> {
    open().exec("savepoint one");
    try {
      await work.run();
      open().exec("release one");
      return true;
    } catch (error) {
      if (isSqlite(error) && !isConstraint(error)) throw error;
      open().exec("rollback to one; release one");
      work.settle(translated(error));
      return false;
    }
  }

  async function drain(): Promise<void> {
    if (isRunning) return;
    isRunning = true;
    while (waiting.length > 0) {
      const group = waiting.filter(({ isWrite }) => isWrite).slice(0, maxGroup);
      const reads = waiting.filter(({ isWrite }) => !isWrite);
      waiting = waiting.filter((work) => work.isWrite && !group.includes(work));
      for (const read of reads) {
        await read.run().then(
          () => read.settle(),
          (error) => {
            if (isSqlite(error)) doubt();
            read.settle(translated(error));
          },
        );
      }
      if (group.length > 0) await runGroup(group);
    }
    isRunning = false;
  }

  function enqueue<T>(isWrite: boolean, work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let result: T;
      waiting.push({
        isWrite,
        async run() {
          result = await work();
        },
        settle: (problem) => (problem === undefined ? resolve(result) : reject(problem)),
      });
      if (!isRunning) soon(drain);
    });
  }

  /** Moves all pages out of the log and empties it. A reader that still needs the old ones is not waited for. */
  function scrub(): void {
    const connected = open();
    connected.exec("pragma busy_timeout = 0");
    try {
      const [row] = connected.prepare("pragma wal_checkpoint(truncate)").all();
      if (Number(row?.busy) !== 0) return;
      isDirty = false;
      step("sqlite.scrubbed");
    } finally {
      connected.exec(`pragma busy_timeout = ${busyMs}`);
    }
  }

  return {
    read: (work) => enqueue(false, () => work(query)),
    write: (work) => enqueue(true, () => work(transaction)),
    async scrub() {
      if (inMemory) return;
      isDirty = true;
      await enqueue(false, async () => scrub());
    },
    look: () =>
      enqueue(false, async () => {
        if (isDirty) scrub();
        const version = dataVersion(open());
        const changed = seenVersion !== version;
        seenVersion = version;
        return changed;
      }),
    watch: () => () => {},
    async close() {
      await enqueue(false, async () => {
        isClosed = true;
        doubt();
      });
    },
  };
}

function dataVersion(connection: DatabaseSync): number {
  return Number(connection.prepare("pragma data_version").get()?.data_version);
}

/**
 * A crash, or a sync that failed, can leave a commit in the log that nobody was told of and that is not on the disk. It is read as if it
 * were, so before anything is read the log is moved into the database, which is synced: or else the store cannot be used.
 */
function settleLog(connection: DatabaseSync): void {
  const [row] = connection.prepare("pragma wal_checkpoint(truncate)").all();
  if (Number(row?.busy) === 0) return;
  throw new KmsError("STORE_UNAVAILABLE", "the SQLite file is held by another process: end it, or wait for its backup");
}

interface SqliteError extends Error {
  code: "ERR_SQLITE_ERROR";
  errcode: number;
  errstr: string;
}

const codes = { corrupt: 11, constraint: 19, notDatabase: 26 } as const;

function isSqlite(error: unknown): error is SqliteError {
  return (error as Partial<SqliteError>)?.code === "ERR_SQLITE_ERROR";
}

function isConstraint({ errcode }: SqliteError): boolean {
  return (errcode & 0xff) === codes.constraint;
}

/** Extended codes keep the primary one in their low byte. What did not come from SQLite stays as it is. */
function translated(cause: unknown): unknown {
  if ((cause as { code?: string })?.code === "ERR_OUT_OF_RANGE") {
    return new KmsError("DATA_LOSS", "the store holds a number that was never written to it", { cause });
  }
  if (!isSqlite(cause)) return cause;
  if (isConstraint(cause)) return new KmsError("CONFLICT", "another was first", { cause });
  const primary = cause.errcode & 0xff;
  if (primary === codes.corrupt || primary === codes.notDatabase) {
    return new KmsError("DATA_LOSS", `the SQLite file is damaged (${cause.errstr}): restore it from a backup`, {
      cause,
    });
  }
  return new KmsError("STORE_UNAVAILABLE", `the SQLite store failed: ${cause.errstr}`, { cause });
}
