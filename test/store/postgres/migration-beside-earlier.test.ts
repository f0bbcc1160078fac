/** A start on PostgreSQL that would shut the way back of an earlier release whose services are connected. */
import pg from "pg";
import { afterAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { KmsError } from "../../../src/errors.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { openPostgres, postgresDatabase, postgresDialect } from "../../../src/store/postgres/open.ts";
import { migrateStore } from "../../../src/store/registry.ts";
import { firstRollingSchema, migrations, newestSchema } from "../../../src/store/sql/rows/schema.ts";
import { migrate } from "../../../src/store/sql/upgrade/migration.ts";
import { thrownBy } from "../../support/matchers.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

const earlier = firstRollingSchema - 1;
let url: string;

/** The tables as a release of before `firstRollingSchema` left them. */
beforeEach(async () => {
  url = await server.createDatabase();
  const db = postgresDatabase({ url }, 1, realTime);
  const release = { steps: migrations.slice(0, earlier), oldest: earlier };
  await db.write((tx) => migrate(tx, postgresDialect, release));
  await db.close();
});

function named(name: string, of = url): string {
  return Object.assign(new URL(of), { search: `?application_name=${name}` }).href;
}

/** A connection by the name that services of 0.1 have. */
async function connected(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

async function started(at = url): Promise<void> {
  await (await openPostgres({ name: "postgres", url: at, maxConnections: 2 }, realTime)).close();
}

async function schemaVersion(): Promise<number> {
  const client = await connected(named("psql"));
  return Number((await client.query("select version from kms_schema")).rows[0].version);
}

/** Waits for the server's own end of a session, which comes after the client's. */
async function sessionsEnded(): Promise<void> {
  const client = await connected(named("psql"));
  const others = "select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
  await expect.poll(async () => (await client.query(`${others} and application_name <> 'psql'`)).rowCount).toBe(0);
}

describe("a start that migrates", () => {
  it("is refused beside a service of the earlier release, changes nothing, and says what to do", async () => {
    const service = await connected(named("fluo-kms"));
    const refused = await thrownBy(() => started());
    expect(refused).toBeKmsError("STORE_UNAVAILABLE", "services of an earlier release use the store (connections: 1)");
    expect((refused as KmsError).advice).toContain("fluo-kms migrate");
    expect(await schemaVersion()).toBe(earlier);

    await service.end();
    await sessionsEnded();
    await started();
    expect(await schemaVersion()).toBe(newestSchema);
  });

  it("is refused beside one whose URL gives both releases one name", async () => {
    await connected(named("ours"));
    expect(await thrownBy(() => started(named("ours")))).toBeKmsError("STORE_UNAVAILABLE", "an earlier release");
    expect(await schemaVersion()).toBe(earlier);
  });

  it("goes on beside another start, whoever else is connected, and services of other databases", async () => {
    await connected(named("psql"));
    await connected(named("fluo-kms", await server.createDatabase()));
    await Promise.all([started(), started(), started()]);
    expect(await schemaVersion()).toBe(newestSchema);
  });

  it("goes on beside any service once the store is this release's", async () => {
    await started();
    await connected(named("fluo-kms"));
    await started();
  });

  it("makes the tables of an empty database beside any service", async () => {
    url = await server.createDatabase();
    await connected(named("fluo-kms"));
    await started();
    expect(await schemaVersion()).toBe(newestSchema);
  });
});

it("is done all the same by the command", async () => {
  await connected(named("fluo-kms"));
  const { before } = await migrateStore({ name: "postgres", url, maxConnections: 1 }, () => {});
  expect([before, await schemaVersion()]).toEqual([earlier, newestSchema]);
});
