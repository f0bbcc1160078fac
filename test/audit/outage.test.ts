/** A service whose audit rows cannot be written, and then can: keys rest, health says so, nothing is lost, nobody restarts it. */
import { create } from "@bufbuild/protobuf";
import { afterEach, expect, it, vi } from "vitest";
import { GenerateDataKeyRequestSchema } from "../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import { watchProvider } from "../../src/provider-keys/watch.ts";
import { KmsError } from "../../src/errors.ts";
import { createAuditTrail, durableWithinMs } from "../../src/audit/trail.ts";
import { createAlarm } from "../../src/alarm.ts";
import { startHealthMonitor } from "../../src/health/monitor.ts";
import { thrownBy } from "../support/matchers.ts";
import { sqliteBackdoor, unlocked } from "../support/store-fixture.ts";
import { call, setUp } from "../support/service-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";
import { wallTime } from "../support/wall-time.ts";

afterEach(() => {
  vi.useRealTimers();
});

it("uses no key while the store fails, is down, and recovers without losing a use", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  let isFull = false;
  const alarm = createAlarm();
  const { kms, trail, store, provider } = setUp(
    (store) => ({
      async appendAudit(events) {
        if (isFull) throw new KmsError("STORE_UNAVAILABLE", "the disk is full");
        return store.appendAudit(events);
      },
    }),
    alarm,
  );
  const monitor = await startHealthMonitor({
    time: realTime,
    alarm,
    watches: [await watchProvider({ time: realTime, provider })],
    store,
    auditProblem: trail.problem,
    notices: [],
  });
  const generate = async () => kms.generateDataKey(create(GenerateDataKeyRequestSchema, { tenantId: "acme" }), call());
  const advance = async (ms: number) => {
    await vi.advanceTimersByTimeAsync(ms);
    for (let turn = 0; turn < 5; turn++) await store.counts();
  };

  await generate();
  await advance(5_000);
  isFull = true;
  await generate();
  await generate();
  await advance(durableWithinMs);
  for (let n = 0; n < 20; n++) expect(await thrownBy(generate)).toBeKmsError("AUDIT_UNAVAILABLE");
  await advance(0);
  expect(monitor.current()).toMatchObject({
    status: "down",
    notices: [{ code: "AUDIT_UNWRITABLE", text: expect.stringContaining("the disk is full") }],
  });
  await advance(60_000);
  expect(monitor.current().status).toBe("down");
  isFull = false;
  await advance(2_000);
  expect(monitor.current()).toMatchObject({ status: "operational", notices: [] });
  await generate();
  await trail.close();
  const rows = await store.auditEvents({ limit: 100 });
  expect(rows.filter(({ action }) => action === "generate_data_key").map(({ count }) => count)).toEqual([1, 2, 1]);
  monitor.close();
});

it("has uses in the file without being told to write them, for whoever reads it besides", async () => {
  const door = sqliteBackdoor();
  const store = await unlocked(await door.open());
  const trail = createAuditTrail({ store, time: wallTime(() => new Date()) });
  for (let n = 0; n < 1_000; n++) trail.used("ann", "sign_span", "acme", "0".repeat(32), "signing", 1);
  await expect.poll(() => door.sql("select count from kms_audit")).toEqual([{ count: 1_000 }]);
  await store.close();
});
