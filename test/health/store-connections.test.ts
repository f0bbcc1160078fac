/** A store whose connections of one kind are held, those of long reads or those of all else: what health makes of it. */
import pg from "pg";
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from "vitest";
import { startHealthMonitor } from "../../src/health/monitor.ts";
import { openPostgres } from "../../src/store/postgres/open.ts";
import { type SharedPostgres, sharedPostgres } from "../support/shared-postgres.ts";
import { unlocked } from "../support/store-fixture.ts";
import { virtualTime } from "../support/virtual-time.ts";

let server: SharedPostgres;
beforeAll(async () => {
  server = await sharedPostgres();
});
afterAll(() => server.close());

/** A store with one connection for calls, and another client of its database. */
async function watched() {
  const url = await server.createDatabase();
  const time = virtualTime();
  const store = await unlocked(await openPostgres({ name: "postgres", url, maxConnections: 1 }, time));
  const reads = { counts: vi.spyOn(store, "counts"), auditHead: vi.spyOn(store, "auditHead") };
  const monitor = await startHealthMonitor({ time, watches: [], store, notices: [] });
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  onTestFinished(async () => {
    monitor.close();
    await store.close();
    await other.end();
  });
  expect(monitor.current()).toMatchObject({ status: "operational", notices: [] });
  /** Looks, and has 3 s pass once this read of the look is answered. */
  async function lookAnswered(read: keyof typeof reads) {
    time.hanging.add("store");
    const looking = monitor.look();
    await time.idle();
    await reads[read].mock.results.at(-1)!.value;
    await time.advance(3_000);
    return looking;
  }
  return { store, monitor, other, lookAnswered };
}

it("is down while calls get no connection, though long reads are answered: no key can be loaded or made", async () => {
  const { store, monitor, other, lookAnswered } = await watched();
  await other.query("begin; lock table kms_leases in access exclusive mode");
  const waiting = store.lease("rotation/2", "a", 1_000);
  expect(await lookAnswered("counts")).toMatchObject({
    status: "down",
    notices: [{ code: "STORE_UNAVAILABLE", text: "The store postgres does not answer: no answer within 3 s." }],
  });
  await other.query("rollback");
  await waiting;
  expect(await monitor.look()).toMatchObject({ status: "operational", notices: [] });
});

it("is degraded, and not down, while reads that take long have all connections for them: keys are used and made", async () => {
  const { store, monitor, other, lookAnswered } = await watched();
  await other.query("begin; lock table kms_audit in access exclusive mode");
  const waiting = Promise.all([1, 2].map(() => store.auditEvents({ limit: 1 })));
  expect(await lookAnswered("auditHead")).toMatchObject({
    status: "degraded",
    notices: [
      {
        code: "LONG_READS_UNAVAILABLE",
        subject: "postgres",
        text: "Long reads of the store postgres get no answer, all else does: no answer within 3 s.",
      },
    ],
  });
  await other.query("rollback");
  await waiting;
  expect(await monitor.look()).toMatchObject({ status: "operational", notices: [] });
});
