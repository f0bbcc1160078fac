/** When keys rest because their use could not be audited: where the store hangs, and not where the service itself was late. */
import { status } from "@grpc/grpc-js";
import { join } from "node:path";
import pg from "pg";
import { afterAll, expect, it, onTestFinished } from "vitest";
import { Health } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { stopsWithinMs } from "../../src/audit/trail.ts";
import { directory } from "../support/config-fixture.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import { failureOf, startService } from "../support/running-service.ts";
import { inPostgresToo, virtualTime } from "../support/virtual-time.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

/** A service, and a session that may keep its rows from being written. */
async function start() {
  const url = await server.createDatabase();
  const time = virtualTime();
  inPostgresToo(time);
  const service = await startService(
    {
      "fluo.kms.store": "postgres",
      "fluo.kms.postgres.url": url,
      "fluo.kms.local.master-key-file": join(directory(), "master.key"),
    },
    { time },
  );
  onTestFinished(() => service.stop());
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  onTestFinished(() => other.end());
  const { grpc } = service;
  let used = 0;
  return {
    grpc,
    time,
    async use(): Promise<void> {
      await grpc.generateDataKey({ tenantId: "acme" });
      used += 1;
    },
    /** Has the next rows wait until they are released. */
    async hold(): Promise<void> {
      await other.query("begin");
      await other.query("lock table kms_audit in share mode"); // it is read, and not written
      time.hanging.add("store");
    },
    /** Resolves when the rows are written. */
    async release(): Promise<void> {
      await other.query("rollback");
      time.hanging.delete("store");
      await time.idle();
    },
    /** Expects a row for each use. */
    async isWhole(): Promise<void> {
      await time.advance(500);
      const { events } = await grpc.admin.listAuditEvents({ tenantId: "acme", pageSize: 1_000 });
      const counts = events.filter(({ action }) => action === "generate_data_key").map(({ count }) => count);
      expect(counts.reduce((total, count) => total + count, 0n)).toBe(BigInt(used));
    },
  };
}

it("refuses no call because its loop was blocked for three seconds while rows were written", async () => {
  const { grpc, time, use, hold, release, isWhole } = await start();
  await use();
  await time.advance(500);
  await hold();
  for (let round = 0; round < 3; round += 1) {
    await use();
    await time.advance(500); // they are given to the store
    await time.skip(3_000); // and its answer waits behind all timers that are due by now
    for (let n = 0; n < 8; n += 1) await use();
    await release();
    for (let n = 0; n < 8; n += 1) await use();
    await hold();
  }
  await release();
  expect(await grpc.status({})).toMatchObject({ status: Health.OPERATIONAL, audit: { problem: "" } });
  await isWhole();
});

it("uses no key while PostgreSQL writes no row, and all of them again when it does, with nothing lost", async () => {
  const { grpc, time, use, hold, release, isWhole } = await start();
  await use();
  await time.advance(500);
  await hold();
  await use();
  await time.advance(stopsWithinMs - 1);
  await use();
  await time.advance(1);
  const refusal = { code: status.UNAVAILABLE, reason: "AUDIT_UNAVAILABLE", retry: true };
  expect(await failureOf(use())).toMatchObject(refusal);
  expect((await grpc.status({})).audit?.problem).toContain("too long");
  await time.advance(10_000);
  expect(await failureOf(use())).toMatchObject(refusal);
  await release();
  await use();
  expect((await grpc.status({})).audit?.problem).toBe("");
  await isWhole();
});
