/** A store whose long reads are answered, by their own connection, and nothing else is: no key can be loaded or made then. */
import pg from "pg";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { startHealthMonitor } from "../../src/health/monitor.ts";
import { openPostgres } from "../../src/store/postgres/open.ts";
import { type PostgresServer, startPostgres } from "../support/postgres-server.ts";
import { unlocked } from "../support/store-fixture.ts";

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.close());

it("is down, and up again when its connections are free", async () => {
  const url = await server.createDatabase();
  const store = await unlocked(await openPostgres({ name: "postgres", url, maxConnections: 1 }));
  const monitor = await startHealthMonitor({ watches: [], store, notices: [] });
  onTestFinished(async () => {
    monitor.close();
    await store.close();
  });
  expect(monitor.current().status).toBe("operational");

  const other = new pg.Client({ connectionString: url });
  await other.connect();
  onTestFinished(() => other.end());
  await other.query("begin; lock table kms_leases in access exclusive mode");
  const waiting = store.lease("rotation/2", "a", 1_000); // has the one connection
  expect(await store.counts()).toMatchObject({ byPurpose: {} });
  expect(await monitor.look()).toMatchObject({
    status: "down",
    notices: [expect.stringContaining("The store postgres does not answer: no answer within 3 s")],
  });

  await other.query("rollback");
  await waiting;
  expect(await monitor.look()).toMatchObject({ status: "operational", notices: [] });
});
