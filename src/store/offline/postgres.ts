/** The tables of a PostgreSQL database. */
import { realTime } from "../../runtime/time.ts";
import { openPostgres, postgresDatabase, postgresDialect, type PostgresSettings } from "../postgres/open.ts";
import { type Migrated, migrated } from "../sql/upgrade/migration.ts";
import { sqlTables, type TableDialect, type Tables } from "./tables.ts";

const dialect: TableDialect = {
  beginSnapshot: "begin isolation level repeatable read read only",
  hasSchema: postgresDialect.hasSchema,
};

/** To read: nothing is written, nor made. STORE_UNAVAILABLE where there is no such store. */
export async function openPostgresTables({ maxConnections, ...server }: PostgresSettings): Promise<Tables> {
  const db = postgresDatabase(server, maxConnections, realTime);
  try {
    return await sqlTables("postgres", db, dialect);
  } catch (error) {
    await db.close();
    throw error;
  }
}

/** A backup may hold a table for minutes, and whoever is at work waits behind a migration that waits: it gives up soon, and comes again. */
const pauseMs = 5_000;
const maxTries = 60;

/** Brings the tables up to date, however long a statement takes. `held` is told of each try that met a table which others hold. */
export async function migratePostgres(settings: PostgresSettings, held: () => void): Promise<Migrated> {
  const db = postgresDatabase(settings, 1, realTime, 0);
  try {
    for (let tries = 1; ; tries += 1) {
      try {
        return await migrated(db, postgresDialect);
      } catch (error) {
        if (!isHeld(error) || tries === maxTries) throw error;
        held();
        await realTime.sleep(pauseMs);
      }
    }
  } finally {
    await db.close();
  }
}

/** lock_not_available */
function isHeld(error: unknown): boolean {
  return ((error as Error).cause as { code?: string } | undefined)?.code === "55P03";
}

/** To fill: the tables are made if need be. */
export async function makePostgresTables(settings: PostgresSettings): Promise<Tables> {
  await (await openPostgres(settings, realTime)).close();
  return openPostgresTables(settings);
}
