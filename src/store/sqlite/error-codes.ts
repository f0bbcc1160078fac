/** Errors of SQLite in our codes, and in words for whoever has to do something about them. */
import { KmsError } from "../../errors.ts";
import type { Query } from "../sql/rows/database.ts";

interface SqliteError extends Error {
  code: "ERR_SQLITE_ERROR";
  errcode: number;
  errstr: string;
}

const codes = { error: 1, busy: 5, ioError: 10, corrupt: 11, full: 13, constraint: 19, notDatabase: 26 } as const;

export function isSqlite(error: unknown): error is SqliteError {
  return (error as Partial<SqliteError>)?.code === "ERR_SQLITE_ERROR";
}

export function isConstraint({ errcode }: SqliteError): boolean {
  return (errcode & 0xff) === codes.constraint;
}

/** Another process has what is needed. */
export function isBusy(error: unknown): boolean {
  return isSqlite(error) && (error.errcode & 0xff) === codes.busy;
}

/** The disk is full. */
export function isFull({ errcode }: SqliteError): boolean {
  return (errcode & 0xff) === codes.full;
}

/** Extended codes keep the primary one in their low byte. What did not come from SQLite stays as it is. */
export function translated(cause: unknown, more = ""): unknown {
  if ((cause as { code?: string })?.code === "ERR_OUT_OF_RANGE") {
    return new KmsError("DATA_LOSS", "the store holds a number that was never written to it", { cause });
  }
  if (!isSqlite(cause)) return cause;
  if (isConstraint(cause)) return new KmsError("CONFLICT", "another was first", { cause });
  if (isOfDamage(cause)) {
    const why = cause.errcode === codes.error ? cause.message : cause.errstr;
    return damaged(why, cause);
  }
  return new KmsError("STORE_UNAVAILABLE", `the SQLite store failed: ${reasonOf(cause)}${more}`, { cause });
}

/** Why a page of the file cannot be what was written; undefined if all can. Reads the whole file. */
export async function pagesProblem(query: Query): Promise<string | undefined> {
  const [row] = await query("pragma integrity_check(1)");
  return row?.integrity_check === "ok" ? undefined : String(row?.integrity_check).split("\n").at(-1);
}

/** DATA_LOSS where a page of the file cannot be what was written. Reads the whole file. */
export async function refuseDamaged(query: Query): Promise<void> {
  const problem = await pagesProblem(query);
  if (problem !== undefined) throw damaged(problem);
}

function damaged(why: string, cause?: unknown): KmsError {
  return new KmsError("DATA_LOSS", `the SQLite file is damaged (${why}): restore it from a backup`, { cause });
}

/**
 * Our statements are always the same, so what SQLite cannot run is tables or numbers that were never written so. All that it says of transactions
 * follows another error.
 */
function isOfDamage({ errcode, message }: SqliteError): boolean {
  const primary = errcode & 0xff;
  if (primary === codes.corrupt || primary === codes.notDatabase) return true;
  return errcode === codes.error && !message.includes("transaction");
}

export interface Failures {
  /** Translates the error of a piece of work. */
  failure(error: unknown): unknown;
  /** A group of writes was committed. */
  succeeded(): void;
}

/** Tells with each failure of SQLite the first one since a commit, whose consequence it may be. */
export function createFailures(): Failures {
  let firstReason: string | undefined;
  return {
    failure(error) {
      if (!isSqlite(error)) return translated(error);
      const reason = reasonOf(error);
      firstReason ??= reason;
      return translated(error, firstReason === reason ? "" : `, after: ${firstReason}`);
    },
    succeeded() {
      firstReason = undefined;
    },
  };
}

/** What the system refused, of I/O errors: SQLite has one text for all. */
const refused: Readonly<Record<number, string>> = {
  266: "read",
  522: "read",
  778: "write",
  1034: "sync",
  1290: "sync of the directory",
  1546: "change of length",
  4618: "opening",
  4874: "change of length",
};

export function reasonOf({ errcode, errstr }: SqliteError): string {
  if ((errcode & 0xff) === codes.busy) return "another process holds the file";
  if ((errcode & 0xff) === codes.ioError) return `${errstr} (${refused[errcode] ?? `SQLite code ${errcode}`})`;
  return errstr;
}
