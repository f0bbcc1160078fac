/** Destructions on real stores, by the job that does them: clocks jump by ten years, machines sleep, and replicas come and go. */
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import type { Store } from "../../../src/store/store.ts";
import { randomFrom } from "../../crash/random.ts";
import { dayMs } from "../../support/keys-fixture.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";
import { hourMs, minuteMs, newWorld, withoutClock, yearMs } from "../../support/replicas.ts";
import { postgresBackdoor, sqliteBackdoor, unlocked } from "../../support/store-fixture.ts";

const days = 7;
const steps = 150;

/** What happened to a key by the end of some steps, and then of clocks that stay right. */
async function walk(store: Store, seed: number) {
  const { below: dice } = randomFrom(seed);
  const world = newWorld({ store, secondAheadMs: 0 });
  const { clocks } = world;
  let replica = world.start();
  await replica.round();
  const keyId = await world.newKey(replica);
  await replica.schedule(keyId);
  const isGone = async () => (await world.stateOf(keyId)) === "DESTROYED";
  const wrongMs = () => (dice(21) - 10) * yearMs;

  const setWall = () => {
    clocks.wallAheadMs = dice(2) * wrongMs();
  };
  /** Never as wrong as the wall clock. */
  const setSecond = () => {
    clocks.secondAheadMs = [0, undefined, wrongMs() + yearMs / 2][dice(3)];
  };
  const events: (() => Promise<unknown> | unknown)[] = [
    () => replica.live((1 + dice(4)) * minuteMs),
    () => replica.suspend(dice(30) * hourMs),
    () => replica.pause(dice(30) * hourMs),
    setWall,
    setSecond,
    async () => {
      await replica.die();
      clocks.ms += dice(12) * hourMs;
      if (dice(2) === 0) setWall();
      if (dice(2) === 0) setSecond();
      replica = world.start();
    },
  ];
  for (let step = 0; step < steps && !(await isGone()); step += 1) {
    await events[dice(events.length)]!();
    await replica.round();
  }
  const isEarly = (await isGone()) && clocks.ms < days * dayMs - hourMs;
  Object.assign(clocks, { wallAheadMs: 0, secondAheadMs: 0 });
  await replica.round();
  // All clocks are right, and nobody runs for as long as a key may wait.
  await replica.die();
  clocks.ms += (days + 1) * dayMs;
  await world.start().liveBriefly();
  return { seed, isEarly, isGone: await isGone() };
}

/** The cases of some seeds, on every kind of store. */
export function storeWalks(seeds: readonly number[]): void {
  const server = sharedPostgres();
  afterAll(async () => (await server).close());

  describe.each([
    ["sqlite", async () => sqliteBackdoor()],
    ["postgres", async () => postgresBackdoor(await server)],
  ] as const)("on %s", (_name, make) => {
    it.each(seeds)("walk %d ends with a key that is destroyed, and not early", async (seed) => {
      const store = await unlocked(await (await make()).open());
      onTestFinished(() => store.close());
      expect(await walk(withoutClock(store), seed)).toEqual({ seed, isEarly: false, isGone: true });
    });
  });
}
