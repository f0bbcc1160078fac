/**
 * The file as the reading thread sees it: by a connection that cannot write, which is made when it is needed and closed when the writer gives its
 * own up. What it holds of the file it holds for one statement, or for what must be read of one moment, so that whoever empties the log waits for
 * that and no longer.
 */
import { DatabaseSync } from "node:sqlite";
import { KmsError } from "../../errors.ts";
import type { Database, Query } from "../sql/rows/database.ts";
import { createFailures, isSqlite } from "./error-codes.ts";
import { filesOf } from "./file.ts";
import { busyMs, statements } from "./file-connection.ts";
import type { ReaderGate } from "./reader-gate.ts";

/** Thrown where the writer must open the file before it can be read. The thread of the service has it done, and tries once more. */
export const reopensFirst = new KmsError("STORE_UNAVAILABLE", "the SQLite file is being opened anew: try again");

export interface Reading extends Pick<Database, "read" | "moment"> {
  /** The connection is made anew when it is needed next. */
  shut(): void;
}

export function readingOf(file: string, gate: ReaderGate): Reading {
  const failures = createFailures();
  let connection: DatabaseSync | undefined;
  let prepared = statements(open);
  /** Compares names and inode numbers: closing a descriptor of the file would drop SQLite's locks on it. */
  const isAdmitted = () => gate.isAdmitted(filesOf(file));

  function open(): DatabaseSync {
    connection ??= connect();
    return connection;
  }

  function connect(): DatabaseSync {
    if (!isAdmitted()) throw reopensFirst; // the writer must not find the file open meanwhile
    gate.enter();
    let made: DatabaseSync | undefined;
    try {
      if (!isAdmitted()) throw reopensFirst;
      made = new DatabaseSync(file, { readOnly: true, timeout: busyMs });
      made.exec("pragma trusted_schema = off");
      made.prepare("select count(*) from sqlite_schema").get(); // opens the log, too
      // The writer had it open all the while, or else what is in the log may not be durable.
      if (!isAdmitted()) throw reopensFirst;
      return made;
    } catch (error) {
      made?.close();
      gate.leave();
      throw error;
    }
  }

  function shut(): void {
    const closing = connection;
    if (closing === undefined) return;
    connection = undefined;
    prepared = statements(open);
    try {
      closing.close();
    } catch {} // it is given up anyway
    gate.leave();
  }

  /** Another file may have the name of the database, or of its log: then it is the writer that finds out what to do. */
  function refuseMoved(): void {
    if (connection === undefined) return;
    if (isAdmitted()) return;
    shut();
    throw reopensFirst;
  }

  async function attempt<T>(work: (query: Query) => Promise<T>): Promise<T> {
    try {
      refuseMoved();
      const answer = await work((...given) => prepared(...given));
      failures.succeeded();
      return answer;
    } catch (error) {
      if (isSqlite(error)) shut();
      throw failures.failure(error);
    }
  }

  // A read within another's transaction would be of that moment too, and lack what was committed since.
  const inTurn = oneAtATime();
  return {
    read: (work) => inTurn(() => attempt(work)),
    moment: (work) =>
      inTurn(() =>
        attempt(async (query) => {
          await query("begin");
          try {
            return await work(query);
          } finally {
            if (connection?.isTransaction) await query("rollback");
          }
        }),
      ),
    shut,
  };
}

function oneAtATime() {
  let before: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>): Promise<T> => {
    const done = before.then(work);
    before = done.catch(() => {});
    return done;
  };
}
