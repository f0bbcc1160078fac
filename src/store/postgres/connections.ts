/** How connections to a PostgreSQL server are made: by its URL, with a password that a file may hold, over TLS whose authorities a file may hold. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import pg from "pg";
import { parseIntoClientConfig } from "pg-connection-string";
import { KmsError } from "../../errors.ts";
import { serviceName, version } from "../../version.ts";

export interface PostgresServer {
  /** Holds the password, unless a file does: never shown. */
  url: string;
  /** Absolute. Holds the password; read for each new connection, as it may be rotated. */
  passwordFile?: string | undefined;
  /** Absolute. PEM of the authorities that the server's certificate may be by, instead of the public ones; read once. */
  ca?: string | undefined;
}

/** Name of sessions in `pg_stat_activity`, unless the URL gives another. Those of 0.1 have no version in it. */
export const ownName = `${serviceName}/${version}`;
export const nameOf01 = serviceName;

const connectMs = 5_000;
export const statementMs = 15_000;
/** Longest pause between two statements of a transaction, which waits for nothing but us. */
const idleMs = 5_000;
const int8 = 20;

/** Whole numbers come as numbers; ours are all exact ones. */
const types = {
  getTypeParser: (oid: number, format?: never) => (oid === int8 ? Number : pg.types.getTypeParser(oid, format)),
} as pg.CustomTypesConfig;

/** `longestMs` is for one statement; 0 for no bound. STORE_UNAVAILABLE if the authorities cannot be read. */
export function connectionsTo({ url, passwordFile, ca }: PostgresServer, longestMs = statementMs): pg.PoolConfig {
  // Not as `connectionString`, whose password, be it empty, pg takes before any other.
  const parsed = parseIntoClientConfig(url);
  return {
    application_name: ownName,
    types,
    connectionTimeoutMillis: connectMs,
    statement_timeout: longestMs,
    ...(longestMs > 0 && { query_timeout: longestMs + 1_000 }),
    // A process that was stopped in the middle of a transaction must not hold its locks for ever.
    idle_in_transaction_session_timeout: idleMs,
    keepAlive: true,
    ...parsed,
    ...(passwordFile !== undefined && { password: () => passwordIn(passwordFile) }),
    ...(ca !== undefined && { ssl: { ...(typeof parsed.ssl === "object" && parsed.ssl), ca: authoritiesIn(ca) } }),
  };
}

async function passwordIn(file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch((cause) => {
    throw unusable(`the password file ${file} of PostgreSQL cannot be read (${cause.code})`, cause);
  });
  const password = text.replace(/\r?\n$/, "");
  if (password === "") throw unusable(`the password file ${file} of PostgreSQL is empty`);
  return password;
}

function authoritiesIn(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw unusable(`the authorities ${file} of PostgreSQL cannot be read (${code})`, cause);
  }
}

function unusable(message: string, cause?: unknown): KmsError {
  return new KmsError("STORE_UNAVAILABLE", message, { cause });
}
