/** What an operator hears of destructions that are scheduled, and of clocks. */
import { textsOf } from "../support/notice-texts.ts";
import { afterAll, describe, expect, it } from "vitest";
import { watchWaits } from "../../src/health/waits.ts";
import { destructionStatus } from "../../src/service/kms/destruction-status.ts";
import { statusJson } from "../../src/transport/http/status-json.ts";
import { create } from "@bufbuild/protobuf";
import { StatusResponseSchema } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { dayMs } from "../support/keys-fixture.ts";
import { thrownBy } from "../support/matchers.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import { postgresBackdoor, sqliteBackdoor, unlocked } from "../support/store-fixture.ts";
import { hourMs, minuteMs, newWorld, withoutClock, yearMs } from "../support/replicas.ts";

const right = { secondAheadMs: 0 };

async function scheduled(count: number, ...given: Parameters<typeof newWorld>) {
  const world = newWorld(...given);
  const replica = world.start();
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) {
    const tenantId = `tenant-${n}`;
    const keyId = await world.newKey(replica, tenantId);
    await replica.schedule(keyId, 7 + n, tenantId);
    ids.push(keyId);
  }
  const lost: string[] = [];
  const watch = watchWaits(world.store, replica.witness, (what) => lost.push(what));
  /** What Status says, as JSON. */
  const shown = () => {
    const destructionsWaiting = destructionStatus(watch.seen()!);
    return statusJson(create(StatusResponseSchema, { destructionsWaiting })).destructions_waiting!;
  };
  return { ...world, replica, ids, watch, shown, lost };
}

it("is nothing where none waits and clocks agree, or there is one alone", async () => {
  const { watch, shown } = await scheduled(0, right);
  expect(watch.seen()).toBeUndefined();
  expect(await watch.remarks()).toEqual([]);
  expect(shown()).toEqual({
    total: 0,
    first: [],
    witnessed_seconds: 0,
    witnessed_at: null,
    second_clock: "the second clock",
    clock_ahead_seconds: 0,
  });
  const alone = await scheduled(0);
  expect(await alone.watch.remarks()).toEqual([]);
  expect(alone.shown()).toMatchObject({ second_clock: null, clock_ahead_seconds: null });
});

it("is nothing of a key whose time has not come; Status has it", async () => {
  const { watch, ids, shown, clocks, replica } = await scheduled(1, right);
  clocks.ms += dayMs;
  await replica.witness.note();
  expect(await watch.remarks()).toEqual([]);
  expect(shown()).toMatchObject({
    total: 1,
    first: [
      {
        tenant_id: "tenant-0",
        key_id: ids[0],
        destroy_at: "2026-01-08T00:00:00.000Z",
        unwitnessed_seconds: 6 * 86_400,
        why: "its time has not come",
      },
    ],
    witnessed_seconds: 86_400,
    witnessed_at: "2026-01-02T00:00:00.000Z",
  });
});

it("is which keys are due by the clock alone, and how much time nobody saw pass", async () => {
  const { watch, ids, clocks, shown } = await scheduled(1, { secondAheadMs: undefined });
  clocks.ms += 8 * dayMs;
  expect(textsOf(await watch.remarks())).toEqual([
    `Due by the clock, and not destroyed before services have seen the days pass: data key ${ids[0]} of tenant tenant-0, 168 h to go.`,
    "There is no second clock: time in which no service runs does not count for the destruction of 1 key.",
  ]);
  expect(shown().first[0]!.why).toBe("it is due by the clock, and services have not seen its days pass");
});

it("names the first five of them, and counts the rest that Status names", async () => {
  const { watch, clocks, shown } = await scheduled(12);
  clocks.ms += yearMs;
  const [remark] = textsOf(await watch.remarks());
  expect(remark).toMatch(/tenant-0, 168 h to go; .*tenant-4.*; 5 more\.$/);
  expect(shown()).toMatchObject({ total: 12 });
  expect(shown().first).toHaveLength(10);
});

it("is both clocks where they disagree, and what that keeps from being done", async () => {
  const { watch, clocks, shown } = await scheduled(1, right);
  clocks.wallAheadMs = -5 * minuteMs - 1_000;
  expect(textsOf(await watch.remarks())).toEqual([
    "This service's clock says 2025-12-31T23:54:59.000Z, and that of the second clock 2026-01-01T00:00:00.000Z: set the wrong one. Until they agree no destruction is scheduled, and downtime does not count.",
  ]);
  expect(shown()).toMatchObject({ second_clock: "the second clock", clock_ahead_seconds: -301 });
});

it("tells of a key whose days passed while the clock stayed behind, and of one that is due", async () => {
  const { watch, clocks, replica, shown } = await scheduled(1, right);
  clocks.ms += 7 * dayMs;
  await replica.witness.note();
  clocks.wallAheadMs = -hourMs;
  await watch.remarks();
  expect(shown().first[0]!.why).toContain("the clock has not come to its time");
  clocks.wallAheadMs = 0;
  await watch.remarks();
  expect(shown().first[0]!.why).toBe("it is due: within a minute or two");
});

it("tells of a key that is due although the last half hour of its days was not seen", async () => {
  const { watch, clocks, replica, shown } = await scheduled(1, right);
  clocks.ms += 7 * dayMs - hourMs / 2;
  await replica.witness.note();
  Object.assign(clocks, { ms: clocks.ms + hourMs / 2, secondAheadMs: undefined });
  expect(textsOf(await watch.remarks()).join()).not.toContain("Due by the clock");
  expect(shown().first[0]).toMatchObject({ unwitnessed_seconds: 1_800, why: "it is due: within a minute or two" });
  await replica.round();
  await watch.remarks();
  expect(shown().first).toEqual([]);
});

it("tells of a key that an earlier version scheduled", async () => {
  const { watch, store, ids, shown } = await scheduled(1, right);
  const record = (await store.get("tenant-0", ids[0]!))!;
  const by = { actor: "ann", requestId: "", at: new Date(), action: "schedule_destruction" } as const;
  await store.update(record, { ...record, destroyWait: undefined }, by);
  expect(await watch.remarks()).toEqual([]);
  expect(shown().first).toMatchObject([
    { unwitnessed_seconds: null, why: "an earlier version scheduled it: its days count from the next minute on" },
  ]);
});

describe.each([
  ["sqlite", async () => sqliteBackdoor()],
  ["postgres", async () => postgresBackdoor(await server)],
] as const)("in %s, a noted time", (_name, make) => {
  it.each([
    ["was altered", "update kms_time set witnessed = witnessed + 9000000000", "is not as it was written"],
    ["is gone", "delete from kms_time", "the witnessed time is gone from the store"],
  ])("that %s is a problem, and no key is destroyed or scheduled for it", async (_what, damage, words) => {
    const door = await make();
    const store = withoutClock(await unlocked(await door.open()));
    const { watch, replica, clocks, ids, stateOf, newKey, lost } = await scheduled(1, { ...right, store });
    await watch.remarks();
    expect(watch.problems()).toEqual([]);
    expect(lost).toEqual([]);
    await door.sql(damage);
    clocks.ms += 40 * dayMs;
    for (let round = 0; round < 3; round += 1) expect(await thrownBy(replica.round)).toBeKmsError("DATA_LOSS", words);
    expect(await watch.remarks()).toEqual([]);
    expect(watch.problems()).toEqual([
      {
        status: "degraded",
        notice: {
          code: "TIME_DAMAGED",
          subject: "",
          text: expect.stringMatching(
            /^No destruction is scheduled or done before the store is restored: the witnessed/,
          ),
        },
      },
    ]);
    expect(lost).toEqual([expect.stringContaining(words)]);
    const another = await newKey(replica, "another");
    expect(await thrownBy(() => replica.schedule(another, 7, "another"))).toBeKmsError("DATA_LOSS", words);
    expect(await stateOf(ids[0]!, "tenant-0")).toBe("DESTROY_SCHEDULED");
    await store.close();
  });
});

const server = sharedPostgres();
afterAll(async () => (await server).close());
