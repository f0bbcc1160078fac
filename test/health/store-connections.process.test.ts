/** A store whose connections of one kind are held, those of long reads or those of all else: what health makes of it. */
import pg from "pg";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { startHealthMonitor } from "../../src/health/monitor.ts";
import { openPostgres } from "../../src/store/postgres/open.ts";
import { type SharedPostgres, sharedPostgres } from "../support/shared-postgres.ts";
import { unlocked } from "../support/store-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";

let server: SharedPostgres;
beforeAll(async () => {
  server = await sharedPostgres();
});
afterAll(() => server.close());

/** A store with one connection for calls, and another client of its database. */
async function watched() {
  const url = await server.createDatabase();
  const store = await unlocked(await openPostgres({ name: "postgres", url, maxConnections: 1 }, realTime));
  const monitor = await startHealthMonitor({ time: realTime, watches: [], store, notices: [] });
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  onTestFinished(async () => {
    monitor.close();
    await store.close();
    await other.end();
  });
  expect(monitor.current()).toMatchObject({ status: "operational", notices: [] });
  return { store, monitor, other };
}

it("is down while calls get no connection, though long reads are answered: no key can be loaded or made", async () => {
  const { store, monitor, other } = await watched();
  await other.query("begin; lock table kms_leases in access exclusive mode");
  const waiting = store.lease("rotation/2", "a", 1_000);
  await store.counts();
  expect(await monitor.look()).toMatchObject({
    status: "down",
    notices: ["The store postgres does not answer: no answer within 3 s."],
  });
  await other.query("rollback");
  await waiting;
  expect(await monitor.look()).toMatchObject({ status: "operational", notices: [] });
});

it("is degraded, and not down, while reads that take long have all connections for them: keys are used and made", async () => {
  const { store, monitor, other } = await watched();
  await other.query("begin; lock table kms_audit in access exclusive mode");
  const waiting = Promise.all([1, 2].map(() => store.auditEvents({ limit: 1 })));
  await store.auditHead();
  expect(await monitor.look()).toMatchObject({
    status: "degraded",
    notices: ["Long reads of the store postgres get no answer, all else does: no answer within 3 s."],
  });
  await other.query("rollback");
  await waiting;
  expect(await monitor.look()).toMatchObject({ status: "operational", notices: [] });
});
