/** The tables of a PostgreSQL database. */
import { openPostgres, postgresDatabase, type PostgresSettings } from "../postgres/open.ts";
import { sqlTables, type TableDialect, type Tables } from "./tables.ts";

const dialect: TableDialect = {
  beginSnapshot: "begin isolation level repeatable read read only",
  hasSchema: "select count(to_regclass('kms_schema')) as present",
};

/** To read: nothing is written, nor made. STORE_UNAVAILABLE where there is no such store. */
export async function openPostgresTables({ url, maxConnections }: PostgresSettings): Promise<Tables> {
  const db = postgresDatabase(url, maxConnections);
  try {
    return await sqlTables("postgres", db, dialect);
  } catch (error) {
    await db.close();
    throw error;
  }
}

/** To fill: the tables are made if need be. */
export async function makePostgresTables(settings: PostgresSettings): Promise<Tables> {
  await (await openPostgres(settings)).close();
  return openPostgresTables(settings);
}
