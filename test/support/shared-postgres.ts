/** The PostgreSQL server that all files of a Vitest run share, each with databases of its own. No test may stop it or change its settings. */
import { randomBytes } from "node:crypto";
import pg from "pg";
import { openPostgres } from "../../src/store/postgres/open.ts";
import { askRun } from "./ask-run.ts";
import { realTime } from "../../src/runtime/time.ts";

/** The databases of a file. */
export interface SharedPostgres {
  /** Of the superuser, with a password, in the database `postgres`. */
  url: string;
  /** The URL of a new, empty database. */
  createDatabase(): Promise<string>;
  /** The URL of a new database with the tables of a store, and nothing in them. It is a copy, at a third of the work of making them. */
  createStoreDatabase(): Promise<string>;
  /** The URL of a copy of a database, to which nobody is connected. */
  createCopy(of: string): Promise<string>;
  /** Removes the databases of this file, whoever is connected. */
  close(): Promise<void>;
}

export async function sharedPostgres(): Promise<SharedPostgres> {
  const { url } = await askRun<{ url: string }>("server");
  const admin = new pg.Pool({ connectionString: url, max: 2, allowExitOnIdle: true });
  const at = (database: string) => Object.assign(new URL(url), { pathname: database }).href;
  const names: string[] = [];
  let withTables: Promise<string> | undefined;

  async function create(like: string): Promise<string> {
    const name = `test_${randomBytes(8).toString("hex")}`;
    names.push(name);
    // Copied as files: half of the work of copying page by page, as checkpoints cost nothing without fsync.
    await admin.query(`CREATE DATABASE ${name} TEMPLATE ${like} STRATEGY file_copy`);
    return name;
  }

  async function createWithTables(): Promise<string> {
    const name = await create("template0");
    await (await openPostgres({ name: "postgres", url: at(name), maxConnections: 1 }, realTime)).close();
    return name;
  }

  return {
    url,
    // Nobody can be connected to template0, which would make this fail.
    createDatabase: async () => at(await create("template0")),
    async createStoreDatabase() {
      withTables ??= createWithTables();
      return at(await create(await withTables));
    },
    createCopy: async (of) => at(await create(new URL(of).pathname.slice(1))),
    async close() {
      await Promise.all(names.map((name) => admin.query(`DROP DATABASE ${name} WITH (FORCE)`)));
      await admin.end();
    },
  };
}
