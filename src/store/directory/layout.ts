/** The data directory of a service that has no settings for its keys: what is in it, and the mark by which it is known. */
import { existsSync } from "node:fs";
import { join } from "node:path";

export interface DataDirectory {
  /** Absolute. */
  readonly directory: string;
  readonly database: string;
  readonly masterKey: string;
}

/** Names of files in a data directory, beside those that SQLite makes for the database. */
export const fileNames = {
  /** Tells a data directory from any other, whatever else is in it. */
  mark: ".fluo-kms-data",
  gitignore: ".gitignore",
  lock: "serve.lock",
  holder: "serve.pid",
  database: "kms.db",
  masterKey: "master.key",
} as const;

export function filesIn(directory: string): DataDirectory {
  const { database, masterKey } = fileNames;
  return { directory, database: join(directory, database), masterKey: join(directory, masterKey) };
}

export function isDataDirectory(directory: string): boolean {
  return existsSync(join(directory, fileNames.mark));
}
