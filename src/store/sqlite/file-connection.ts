/**
 * The connection to a SQLite file, by node:sqlite. It is made when it is needed and given up after an error that leaves its state unclear:
 * the next use opens the file anew. Before each use it can be asked whether the file is still the one that others would open.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { KmsError } from "../../errors.ts";
import type { Query, Row } from "../sql/rows/database.ts";
import { translated } from "./error-codes.ts";
import { type FileWatch, watchFile } from "./file.ts";
import type { WriterGate } from "./reader-gate.ts";

export interface FileOptions {
  /** A path, or `:memory:`. */
  file: string;
  readOnly: boolean;
  /** Run when the file is opened. */
  schema: readonly string[];
  /** Gate of another thread that reads the file, if there may be one. */
  gate?: WriterGate | undefined;
  /** Run before the file is opened again: a connection that was given up leaves its log without an owner, as a crash does. */
  reopens?: (() => void) | undefined;
}

export interface FileConnection {
  /** The connection, made if need be. STORE_UNAVAILABLE once it was closed, or if another file has its name. */
  open(): DatabaseSync;
  /** A descriptor of the file, to read it by other means than SQLite. There is none of a file that is only read, or in memory. */
  descriptor(): number | undefined;
  query: Query;
  isInTransaction(): boolean;
  /** What is wrong, if the files of the connection are not those that others, and the next start, would open. */
  displacement(): unknown;
  /** Gives the connection up, after an error that leaves its state unclear. What is only in memory cannot be opened anew. */
  giveUp(): void;
  /**
   * Runs `work` while no other thread of this process has the file open, and gives its answer. False, without it, while one keeps the file open
   * beyond a page.
   */
  alone(work: () => boolean): boolean;
  /** Whether another connection committed, or may have, since this was last asked or, the first time, since the file was opened. */
  hasChanged(): boolean;
  close(): void;
}

/** How long a write waits for another process's transaction. */
export const busyMs = 2_000;
/** How long this thread sleeps for it at once. */
export const pollMs = 50;
/** How long a statement of the reading thread may take, with some to spare. */
export const pageMs = 200;
/** What is kept of a log that grew, once nobody reads it and it begins anew. One that is emptied in time has half of it. */
export const keptLogBytes = 8 * 2 ** 20;

/**
 * `opened` is called with each connection, before anything else uses it. It is one closure: whatever opens the file or gives it up moves
 * connection, statements, watch and gate together.
 */
export function fileConnection(options: FileOptions, opened: (connection: DatabaseSync) => void): FileConnection {
  const { file, readOnly, gate, reopens } = options;
  const inMemory = file === ":memory:";
  let connection: DatabaseSync | undefined;
  let query = statements(open);
  let isClosed = false;
  let watch: FileWatch | undefined;
  /** The files when the connection was made. */
  let files: string | undefined;
  /** What SQLite counts of others' commits, a connection: that of one that was given up says nothing about the next. */
  let seenVersion: number | "another connection's" | undefined;

  function open(): DatabaseSync {
    if (isClosed) throw new KmsError("STORE_UNAVAILABLE", "the store is closed");
    if (connection === undefined) {
      watch?.refuseAnother(); // SQLite would make one
      if (gate?.isEmpty(busyMs) === false) throw new KmsError("STORE_UNAVAILABLE", "a read keeps the SQLite file open");
      if (watch !== undefined) reopens?.();
      connection = connected(options, (made) => {
        opened(made);
        seenVersion ??= dataVersion(made); // before anything is read that another may change
        if (readOnly || inMemory) return;
        watch ??= watchFile(file);
        files = watch.files();
        gate?.admit(files);
      });
    }
    return connection;
  }

  function giveUp(): void {
    const doubted = connection;
    if (inMemory && !isClosed) {
      if (doubted?.isTransaction) doubted.exec("rollback");
      return;
    }
    gate?.shut();
    connection = undefined;
    query = statements(open);
    if (seenVersion !== undefined) seenVersion = "another connection's";
    try {
      doubted?.close();
    } catch {} // it is given up anyway
  }

  return {
    open,
    giveUp,
    descriptor: () => watch?.descriptor,

    query: (...given) => query(...given),

    isInTransaction: () => connection?.isTransaction ?? false,

    displacement() {
      try {
        watch?.refuseAnother();
        // Nothing is lost yet: this connection has the log open, moves it into the database, and the next one has a new log.
        if (connection !== undefined && watch !== undefined && watch.files() !== files) {
          gate?.shut();
          gate?.isEmpty(pageMs); // it would be taken for another process that keeps the log
          settleLog(connection);
          giveUp();
        } else if (connection !== undefined && files !== undefined) gate?.admit(files);
        return undefined;
      } catch (error) {
        gate?.shut();
        return translated(error);
      }
    },

    alone(work) {
      if (gate === undefined) return work();
      gate.shut();
      try {
        return gate.isEmpty(pageMs) && work();
      } finally {
        if (connection !== undefined && files !== undefined) gate.admit(files);
      }
    },

    hasChanged() {
      const version = dataVersion(open());
      const changed = seenVersion !== version;
      seenVersion = version;
      return changed;
    },

    close() {
      isClosed = true;
      giveUp();
      watch?.close();
      watch = undefined;
    },
  };
}

/** The statements of a connection, which `open` gives, each prepared when it is first run. */
export function statements(open: () => DatabaseSync): Query {
  const prepared = new Map<string, StatementSync>();
  return async (text, ...values) => {
    let statement = prepared.get(text);
    if (statement === undefined) {
      statement = open().prepare(text);
      prepared.set(text, statement);
    }
    return statement.all(...values) as Row[];
  };
}

/** A new connection, whose file and log are in order; `ready` is called before it is given out. */
function connected({ file, readOnly, schema }: FileOptions, ready: (made: DatabaseSync) => void): DatabaseSync {
  const made = new DatabaseSync(file, { readOnly, timeout: busyMs });
  try {
    // FULL: a commit that was answered survives a loss of power.
    made.exec("pragma secure_delete = on; pragma trusted_schema = off");
    if (!readOnly) {
      made.exec(`pragma journal_mode = wal; pragma synchronous = full; pragma journal_size_limit = ${keptLogBytes}`);
    }
    if (!readOnly && file !== ":memory:") settleLog(made);
    for (const statement of schema) made.exec(statement);
    ready(made);
  } catch (error) {
    made.close();
    throw error;
  }
  made.exec(`pragma busy_timeout = ${pollMs}`);
  return made;
}

function dataVersion(connection: DatabaseSync): number {
  return pragma(connection, "data_version");
}

export function pragma(connection: DatabaseSync, name: "data_version" | "user_version"): number {
  return Number(connection.prepare(`pragma ${name}`).get()?.[name]);
}

/** Moves all pages out of the log and empties it. False if another process has what is needed for that. */
export function emptiesLog(connection: DatabaseSync): boolean {
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
