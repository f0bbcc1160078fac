/** When keys rest because their use could not be audited: where the store hangs, and not where the service itself was late. */
import { status } from "@grpc/grpc-js";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { afterAll, expect, it, onTestFinished } from "vitest";
import { Health } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { steps, type StepName } from "../../src/failpoints.ts";
import { startFaulty } from "../durable/faults-service.ts";
import { isStopped } from "../durable/replicas.ts";
import { directory } from "../support/config-fixture.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import { failureOf, type RunningService, startService } from "../support/running-service.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

async function serve(properties: Record<string, string>): Promise<RunningService> {
  const service = await startService(properties);
  onTestFinished(() => service.stop());
  return service;
}

const onSqlite = () => serve({ "fluo.kms.sqlite.file": join(directory(), "kms.db") });

it("refuses no call because its loop was blocked for three seconds while rows were written", async () => {
  const { grpc } = await onSqlite();
  await grpc.generateDataKey({ tenantId: "acme" });
  let flushes = 0;
  const listener = (name: unknown) => {
    if ((name as StepName) === "audit.flushed") flushes += 1;
    // The rows are given to the store when the loop goes on; its answer waits behind all timers that are due by then.
    if ((name as StepName) === "audit.flushing" && flushes === 1) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000);
    }
  };
  steps.subscribe(listener);
  onTestFinished(() => steps.unsubscribe(listener));
  const failed: unknown[] = [];
  const use = async () => {
    while (flushes < 4) await grpc.generateDataKey({ tenantId: "acme" }).catch((error) => failed.push(error));
  };
  await Promise.all(Array.from({ length: 8 }, use));
  expect(failed).toEqual([]);
  expect(await grpc.status({})).toMatchObject({ status: Health.OPERATIONAL, audit: { problem: "" } });
});

it("refuses no call, and is healthy, after the whole process was stopped for three seconds while its keys were in use", async () => {
  const file = join(directory(), "kms.db");
  const service = await startFaulty({ FLUO_KMS_SQLITE_FILE: file }, {});
  const { child } = service.process;
  const use = () => service.client.generateDataKey({ tenantId: "acme" });
  await use();
  const failed: unknown[] = [];
  let isOver = false;
  let used = 0;
  const users = Array.from({ length: 8 }, async () => {
    while (!isOver) {
      await use().catch((error) => failed.push(error));
      used += 1;
    }
  });
  const uses = async (count: number) => {
    const enough = used + count;
    await expect.poll(() => used).toBeGreaterThan(enough);
  };
  for (let round = 0; round < 2; round += 1) {
    await uses(50);
    child.kill("SIGSTOP");
    await expect.poll(() => isStopped(child)).toBe(true);
    await delay(3_000);
    child.kill("SIGCONT");
    await uses(50);
    await service.until("UP", 0);
  }
  isOver = true;
  await Promise.all(users);
  expect(failed).toEqual([]);
  expect((await service.client.status({})).audit?.problem).toBe("");
});

it("uses no key while PostgreSQL writes no row, and all of them again when it does, with nothing lost", async () => {
  const url = await server.createDatabase();
  const keyFile = join(directory(), "master.key");
  const { grpc } = await serve({
    "fluo.kms.store": "postgres",
    "fluo.kms.postgres.url": url,
    "fluo.kms.local.master-key-file": keyFile,
  });
  const use = () => grpc.generateDataKey({ tenantId: "acme" });
  await use();
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  onTestFinished(() => other.end());
  await other.query("begin");
  await other.query("lock table kms_audit in share mode"); // it is read, and not written
  let used = 1;
  const outcome = () =>
    use().then(
      () => {
        used += 1;
        return undefined;
      },
      (error) => failureOf(Promise.reject(error)),
    );
  const refusal = { code: status.UNAVAILABLE, reason: "AUDIT_UNAVAILABLE", retry: true };
  await expect.poll(outcome).toMatchObject(refusal);
  expect((await grpc.status({})).audit?.problem).toContain("too long");
  await other.query("rollback");
  await expect
    .poll(async () =>
      use().then(
        () => "used",
        (error) => error.message,
      ),
    )
    .toBe("used");
  used += 1;
  const sum = async () => {
    const { events } = await grpc.admin.listAuditEvents({ tenantId: "acme", pageSize: 1_000 });
    return events
      .filter(({ action }) => action === "generate_data_key")
      .reduce((total, { count }) => total + count, 0n);
  };
  await expect.poll(sum).toBe(BigInt(used));
});
