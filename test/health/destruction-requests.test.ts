/** What an operator hears of destructions that wait for a second caller. */
import { textsOf } from "../support/notice-texts.ts";
import { expect, it } from "vitest";
import { watchDestructions } from "../../src/health/destruction-requests.ts";
import { dayMs } from "../support/keys-fixture.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import { addKey } from "../support/store-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";
import { wallTime } from "../support/wall-time.ts";

const start = new Date("2026-01-01T00:00:00.000Z");

async function withRequests(count: number) {
  const store = memoryStore(realTime);
  const clock = { now: start };
  const ids: string[] = [];
  for (let n = 0; n < count; n += 1) {
    const record = await addKey(store, { tenantId: `tenant-${n}` });
    const request = { at: new Date(start.getTime() + n), rule: "ops", days: 7 };
    const by = { actor: "ann", requestId: "", action: "request_destruction", at: start } as const;
    await store.update(record, { ...record, destruction: { by: "token:ann", request, confirmedBy: undefined } }, by);
    ids.push(record.keyId);
  }
  return {
    store,
    clock,
    ids,
    watch: watchDestructions(
      store,
      wallTime(() => clock.now),
    ),
  };
}

it("is nothing where none waits", async () => {
  const { watch } = await withRequests(0);
  expect(await watch.remarks()).toEqual([]);
  expect(watch.waiting()).toBe(0);
});

it("is whose it is, and since when", async () => {
  const { watch, ids } = await withRequests(1);
  expect(watch.waiting()).toBe(0);
  expect(textsOf(await watch.remarks())).toEqual([
    `The destruction of 1 key waits for a second caller: data key ${ids[0]} of tenant tenant-0, requested by token:ann at 2026-01-01T00:00:00.000Z.`,
  ]);
  expect(watch.waiting()).toBe(1);
});

it("names the first five, and counts the rest", async () => {
  const { watch } = await withRequests(7);
  const [remark] = textsOf(await watch.remarks());
  expect(remark).toMatch(/^The destruction of 7 keys waits for a second caller: .*tenant-0.*tenant-4.*; 2 more\.$/);
  expect(remark).not.toContain("tenant-5");
  expect(watch.waiting()).toBe(7);
});

it("is nothing of one that has lapsed, or is of a clock that was ahead", async () => {
  const { watch, clock } = await withRequests(1);
  clock.now = new Date(start.getTime() + 7 * dayMs);
  expect(await watch.remarks()).toEqual([]);
  clock.now = new Date(start.getTime() - dayMs);
  expect(await watch.remarks()).toEqual([]);
  expect(watch.waiting()).toBe(0);
});
