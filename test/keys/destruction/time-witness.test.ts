/** Distance of the wall clock from the second clock, as the last look at the two found it. */
import { expect, it, onTestFinished } from "vitest";
import { KmsError } from "../../../src/errors.ts";
import { createTimeWitness } from "../../../src/keys/destruction/time-witness.ts";
import { memoryStore } from "../../../src/store/sqlite/memory.ts";
import { thrownBy } from "../../support/matchers.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { wallTime } from "../../support/wall-time.ts";

const start = Date.parse("2026-03-01T12:00:00.000Z");

/** A wall clock that stands, and a second one that differs by what the test sets. */
function clocks() {
  const store = memoryStore(realTime);
  onTestFinished(() => store.close());
  const world = { aheadMs: undefined as number | undefined, isStoreAway: false };
  const witness = createTimeWitness({
    store: {
      ...store,
      async witnessedTime() {
        if (world.isStoreAway) throw new KmsError("STORE_UNAVAILABLE", "away");
        return store.witnessedTime();
      },
    },
    time: wallTime(() => new Date(start)),
    second: {
      name: "the provider local",
      read: async () => (world.aheadMs === undefined ? undefined : new Date(start + world.aheadMs)),
    },
  });
  return { world, witness };
}

it("is not known before a look, nor without a second clock", async () => {
  const { witness } = clocks();
  expect(witness.differenceMs()).toBeUndefined();
  await witness.read();
  expect(witness.differenceMs()).toBeUndefined();
});

it("is the same whichever clock is ahead, by a read or a note", async () => {
  const { witness, world } = clocks();
  world.aheadMs = 90_000;
  await witness.read();
  expect(witness.differenceMs()).toBe(90_000);
  world.aheadMs = -30_000;
  await witness.note();
  expect(witness.differenceMs()).toBe(30_000);
  world.aheadMs = 3_600_000;
  await thrownBy(() => witness.noteAgreed());
  expect(witness.differenceMs()).toBe(3_600_000);
});

it("is forgotten with a second clock that cannot be read any more, and with a look that fails", async () => {
  const { witness, world } = clocks();
  for (const fail of [() => (world.aheadMs = undefined), () => (world.isStoreAway = true)]) {
    Object.assign(world, { aheadMs: 1_000, isStoreAway: false });
    await witness.read();
    expect(witness.differenceMs()).toBe(1_000);
    fail();
    await witness.read().catch(() => {});
    expect(witness.differenceMs()).toBeUndefined();
  }
});
