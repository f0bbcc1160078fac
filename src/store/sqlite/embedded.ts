/**
 * SQLite in this thread, by node:sqlite. One piece of work runs at a time, whole: it sees nothing half done of another. Writes that wait
 * together are committed together, each behind a savepoint of its own, so that one that fails takes nothing with it; none is answered
 * before the commit.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { KmsError } from "../../errors.ts";
import { step } from "../../failpoints.ts";
import type { Database, Query, Row, Transaction } from "../sql/database.ts";
import type { Dialect } from "../sql/schema.ts";
import { isBusy, isConstraint, isSqlite, reasonOf, translated } from "./errors.ts";
import { type FileWatch, watchFile } from "./file.ts";
import { holdsAny } from "./residue.ts";

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
  kind: "read" | "write" | "close";
  run(): Promise<void>;
  /** Answers, once what it did is durable. */
  settle(problem?: unknown): void;
}

/** In the file's header, by `user_version`: whether erased bytes may still be somewhere in the file. */
const residue = { none: 0, due: 1 } as const;
/** Of writes in one commit: bounds how long a read waits behind them. */
const maxGroup = 256;
/** How long a write waits for another process's transaction. */
const busyMs = 2_000;
/** How long this thread sleeps for it at once. */
const pollMs = 50;

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
  /** What is to be overwritten, and not proven to be yet. */
  let erased: Uint8Array[] = [];
  /** Transactions that erase and have not said what yet. One that was rolled back stays among them, at the price of a look too many. */
  let erasing = 0;
  /** A crash left something to overwrite, and nobody knows what. */
  let isResidueUnknown = false;
  let watch: FileWatch | undefined;
  /** The files beside it when the connection was made. */
  let beside: string | undefined;
  /** Of the first failure since a piece of work succeeded: those that follow may be its consequences. */
  let firstReason: string | undefined;
  /** What SQLite counts of others' commits, a connection: that of one that was given up says nothing about the next. */
  let seenVersion: number | "another connection's" | undefined;

  function open(): DatabaseSync {
    if (isClosed) throw new KmsError("STORE_UNAVAILABLE", "the store is closed");
    if (connection === undefined) {
      watch?.refuseAnother(); // SQLite would make one
      const opened = new DatabaseSync(file, { readOnly, timeout: busyMs });
      try {
        // FULL: a commit that was answered survives a loss of power.
        opened.exec("pragma secure_delete = on; pragma trusted_schema = off");
        if (!readOnly) opened.exec("pragma journal_mode = wal; pragma synchronous = full");
        if (!readOnly && !inMemory) settleLog(opened);
        for (const statement of schema) opened.exec(statement);
        if (!readOnly && pragma(opened, "user_version") === residue.due && erased.length === 0) isResidueUnknown = true;
        seenVersion ??= dataVersion(opened); // before anything is read that another may change
        if (!readOnly && !inMemory) {
          watch ??= watchFile(file);
          beside = watch.beside();
        }
      } catch (error) {
        opened.close();
        throw error;
      }
      opened.exec(`pragma busy_timeout = ${pollMs}`);
      connection = opened;
    }
    return connection;
  }

  /** What is wrong, if the files of the connection are not those that others, and the next start, would open. */
  function displacement(): unknown {
    try {
      watch?.refuseAnother();
      // Nothing is lost yet: this connection has the log open, moves it into the database, and the next one has a new log.
      if (connection !== undefined && watch !== undefined && watch.beside() !== beside) {
        settleLog(connection);
        doubt();
      }
      return undefined;
    } catch (error) {
      return translated(error);
    }
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

  /** Of the group that is being written. */
  let committed: (() => void)[] = [];
  const transaction: Transaction = {
    query,
    rowsAStatement: 1,
    async lock() {}, // a transaction that writes is alone
    async announce() {},
    afterCommit: (work) => committed.push(work),
    async erases() {
      erasing += 1;
      await query(`pragma user_version = ${residue.due}`);
    },
    now: async () => Date.now(),
  };

  async function runGroup(group: readonly Work[]): Promise<void> {
    const done: Work[] = [];
    committed = [];
    try {
      await begin();
      step("sqlite.began");
      for (const work of group) if (await runOne(work)) done.push(work);
      step("sqlite.written");
      open().exec("commit");
      step("sqlite.committed");
      for (const each of committed) each();
      firstReason = undefined;
      for (const work of done) work.settle();
    } catch (error) {
      const problem = failure(error);
      // Those that came meanwhile have waited for the same, and not less than a caller should.
      const lost = isBusy(error) ? [...group, ...take("write")] : group;
      if (!isBusy(error) || connection?.isTransaction) doubt();
      for (const work of lost) work.settle(problem);
    }
  }

  /** Another process's transaction is waited for, but reads do not wait with it. */
  async function begin(): Promise<void> {
    const until = performance.now() + busyMs;
    for (;;) {
      try {
        return open().exec("begin immediate");
      } catch (error) {
        if (!isBusy(error) || performance.now() >= until) throw error;
      }
      await new Promise<void>((resolve) => setImmediate(resolve)); // the next calls arrive
      await runReads();
    }
  }

  function take(...kinds: Work["kind"][]): Work[] {
    const taken = waiting.filter(({ kind }) => kinds.includes(kind));
    waiting = waiting.filter((work) => !taken.includes(work));
    return taken;
  }

  async function runReads(): Promise<void> {
    for (const read of take("read", "close")) {
      await read.run().then(
        () => read.settle(),
        (error) => {
          const problem = failure(error);
          if (isSqlite(error)) doubt();
          read.settle(problem);
        },
      );
    }
  }

  /** Whether it did what it wanted; if not it is settled. Throws where the whole group is lost. */
  async function runOne(work: Work): Promise<boolean> {
    open().exec("savepoint one");
    const before = committed.length;
    try {
      await work.run();
      open().exec("release one");
      return true;
    } catch (error) {
      if (isSqlite(error) && !isConstraint(error)) throw error;
      open().exec("rollback to one; release one");
      committed.length = before;
      work.settle(translated(error));
      return false;
    }
  }

  async function drain(): Promise<void> {
    if (isRunning) return;
    isRunning = true;
    while (waiting.length > 0) {
      const displaced = displacement();
      if (displaced !== undefined) for (const work of take("read", "write")) work.settle(displaced);
      const writes = take("write");
      const group = writes.slice(0, maxGroup);
      waiting.push(...writes.slice(maxGroup));
      await runReads();
      if (group.length > 0) await runGroup(group);
    }
    isRunning = false;
  }

  /** Of what lost the connection. */
  function failure(error: unknown): unknown {
    if (!isSqlite(error)) return translated(error);
    const reason = reasonOf(error);
    firstReason ??= reason;
    return translated(error, firstReason === reason ? "" : `, after: ${firstReason}`);
  }

  function enqueue<T>(kind: Work["kind"], work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let result: T;
      waiting.push({
        kind,
        async run() {
          result = await work();
        },
        settle: (problem) => (problem === undefined ? resolve(result) : reject(problem)),
      });
      if (!isRunning) soon(drain);
    });
  }

  /**
   * Leaves nothing of what was erased: moves all pages out of the log and empties it; and where the file still holds a copy, writes it anew
   * without. A reader that needs the old pages, or another's transaction, is not waited for: the next look tries again.
   */
  function scrub(): void {
    if (erased.length === 0 && !isResidueUnknown) return;
    const connected = open();
    connected.exec("pragma busy_timeout = 0");
    try {
      if (!emptiesLog(connected)) return;
      if (isResidueUnknown || holdsAny(file, erased)) {
        connected.exec("vacuum");
        if (!emptiesLog(connected)) return;
      }
      erased = [];
      isResidueUnknown = false;
      if (erasing === 0) connected.exec(`pragma user_version = ${residue.none}`);
      step("sqlite.scrubbed");
    } catch (error) {
      if (!isBusy(error)) throw error;
    } finally {
      connected.exec(`pragma busy_timeout = ${pollMs}`);
    }
  }

  return {
    read: (work) => enqueue("read", () => work(query)),
    write: (work) => enqueue("write", () => work(transaction)),
    async scrub(bytes) {
      if (inMemory) return;
      erasing -= 1;
      erased.push(bytes);
      await enqueue("read", async () => scrub());
    },
    look: () =>
      enqueue("read", async () => {
        scrub();
        const version = dataVersion(open());
        const changed = seenVersion !== version;
        seenVersion = version;
        return changed;
      }),
    watch: () => () => {},
    async close() {
      await enqueue("close", async () => {
        isClosed = true;
        doubt();
        watch?.close();
        watch = undefined;
      });
    },
  };
}

function dataVersion(connection: DatabaseSync): number {
  return pragma(connection, "data_version");
}

function pragma(connection: DatabaseSync, name: "data_version" | "user_version"): number {
  return Number(connection.prepare(`pragma ${name}`).get()?.[name]);
}

function emptiesLog(connection: DatabaseSync): boolean {
  const [row] = connection.prepare("pragma wal_checkpoint(truncate)").all();
  return Number(row?.busy) === 0;
}

/**
 * A crash, or a sync that failed, can leave a commit in the log that nobody was told of and that is not on the disk. It is read as if it
 * were, so before anything is read the log is moved into the database, which is synced: or else the store cannot be used.
 */
function settleLog(connection: DatabaseSync): void {
  if (emptiesLog(connection)) return;
  throw new KmsError("STORE_UNAVAILABLE", "the SQLite file is held by another process: end it, or wait for its backup");
}
