/** Destructions under clocks that jump, machines that sleep and replicas that come and go: none is early, and none is for ever away. */
import { describe, expect, it } from "vitest";
import { KmsError } from "../../../src/errors.ts";
import { memoryStore } from "../../../src/store/sqlite/memory.ts";
import type { Store } from "../../../src/store/store.ts";
import { dayMs } from "../../support/keys-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { hourMs, minuteMs, newWorld, yearMs } from "../../support/replicas.ts";
import { realTime } from "../../../src/runtime/time.ts";

const right = { secondAheadMs: 0 };
type Replica = ReturnType<ReturnType<typeof newWorld>["start"]>;

/** A key whose destruction was scheduled by a replica that lives on. */
async function scheduled(...given: Parameters<typeof newWorld>) {
  const world = newWorld(...given);
  const replica = world.start();
  await replica.round();
  const keyId = await world.newKey(replica);
  const record = await replica.schedule(keyId);
  return { ...world, replica, keyId, record, state: () => world.stateOf(keyId) };
}

describe("a destruction", () => {
  it("is done by replicas that live half an hour each, once they saw its days pass, without a second clock", async () => {
    const { start, clocks, replica, state, witnessedMs } = await scheduled();
    await replica.die();
    const lives = (7 * dayMs - hourMs) / (hourMs / 2);
    for (let life = 1; life <= lives; life += 1) {
      expect(await state()).toBe("DESTROY_SCHEDULED");
      clocks.ms += 2 * hourMs; // which nobody saw pass
      const next = start();
      await next.live(hourMs / 2);
      await next.die();
    }
    expect(await witnessedMs()).toBe(7 * dayMs - hourMs);
    expect(await state()).toBe("DESTROYED");
  });

  it.each([
    ["without a second clock", undefined],
    ["with one that is right", 0],
    ["with one that went ahead too, as on one machine", 10 * yearMs],
  ])("is not done by a wall clock that jumps ahead, %s", async (_what, secondAheadMs) => {
    const { clocks, replica, state } = await scheduled({ secondAheadMs: secondAheadMs && 0 });
    clocks.wallAheadMs = 10 * yearMs;
    clocks.secondAheadMs = secondAheadMs;
    await replica.live(hourMs);
    expect(await state()).toBe("DESTROY_SCHEDULED");
  });

  it("is not done by a wall clock that jumps ahead while nothing runs", async () => {
    const { clocks, start, replica, state } = await scheduled(right);
    await replica.die();
    clocks.wallAheadMs = 10 * yearMs;
    clocks.ms += hourMs;
    await start().live(hourMs);
    expect(await state()).toBe("DESTROY_SCHEDULED");
  });

  it("counts downtime where both clocks agreed before and after it", async () => {
    const { clocks, start, replica, state } = await scheduled(right);
    await replica.die();
    clocks.ms += 7 * dayMs - 1;
    await start().liveBriefly();
    expect(await state()).toBe("DESTROY_SCHEDULED"); // by the wall clock it is too early
    clocks.ms += 1;
    const last = start();
    await last.round();
    expect(await state()).toBe("DESTROYED");
    expect(last.destroyed).toEqual([1]);
  });

  it("counts a suspension of the machine where both clocks agreed, and none without a second clock", async () => {
    const sleeping = await scheduled(right);
    sleeping.replica.suspend(7 * dayMs);
    await sleeping.replica.round();
    expect(await sleeping.state()).toBe("DESTROYED");
    const alone = await scheduled();
    alone.replica.suspend(7 * dayMs);
    await alone.replica.live(hourMs);
    expect(await alone.state()).toBe("DESTROY_SCHEDULED");
    expect(await alone.witnessedMs()).toBe(hourMs);
  });

  it("counts nothing of a halt that the machine knows nothing of: it may as well be clocks that were set", async () => {
    const { replica, state, witnessedMs } = await scheduled(right);
    replica.pause(9 * dayMs);
    await replica.live(hourMs);
    expect(await witnessedMs()).toBe(hourMs);
    expect(await state()).toBe("DESTROY_SCHEDULED");
  });

  it.each([
    ["ten years behind, and was set right, after its days", -10 * yearMs, 7 * dayMs - hourMs],
    ["ten years ahead, and was set right, after a day more", 10 * yearMs, 8 * dayMs],
  ])("that was scheduled while the clock was %s", async (_what, aheadMs, afterMs) => {
    const world = newWorld({ wallAheadMs: 0 });
    world.clocks.wallAheadMs = aheadMs;
    const replica = world.start();
    const keyId = await world.newKey(replica);
    await replica.schedule(keyId);
    world.clocks.wallAheadMs = 0;
    world.clocks.secondAheadMs = 0; // the provider answers again
    await replica.round();
    await replica.die();
    world.clocks.ms += afterMs - 1;
    await world.start().liveBriefly();
    expect(await world.stateOf(keyId)).toBe("DESTROY_SCHEDULED");
    world.clocks.ms += 1;
    await world.start().liveBriefly();
    expect(await world.stateOf(keyId)).toBe("DESTROYED");
  });

  it("is scheduled only while the clocks agree, and the refusal names both and what to do", async () => {
    const world = newWorld({ secondAheadMs: 0 });
    const replica = world.start();
    const keyId = await world.newKey(replica);
    world.clocks.wallAheadMs = 5 * minuteMs + 1;
    const refusal = await thrownBy(() => replica.schedule(keyId));
    expect(refusal).toBeKmsError("CLOCKS_DISAGREE", "2026-01-01T00:05:00.001Z");
    expect(refusal).toBeKmsError("CLOCKS_DISAGREE", "the second clock 2026-01-01T00:00:00.000Z; set the wrong one");
    expect(await world.stateOf(keyId)).toBe("ACTIVE");
    expect(await world.witnessedMs()).toBeUndefined();
    world.clocks.wallAheadMs = 5 * minuteMs;
    expect(await replica.schedule(keyId)).toMatchObject({ destroyWait: { sinceMs: 0, waitMs: 7 * dayMs } });
    world.clocks.wallAheadMs = yearMs;
    expect((await replica.schedule(keyId)).state).toBe("DESTROY_SCHEDULED"); // it is already
  });

  it("comes to its end under a second clock that stays wrong", async () => {
    const { clocks, replica, state, witnessedMs } = await scheduled();
    clocks.secondAheadMs = -3 * yearMs;
    await replica.live(7 * dayMs - minuteMs);
    expect(await state()).toBe("DESTROY_SCHEDULED");
    await replica.live(minuteMs);
    expect(await state()).toBe("DESTROYED");
    expect(await witnessedMs()).toBe(7 * dayMs);
  });

  it("does not count what passed before it was scheduled, though nobody had noted that yet, and whoever scheduled it ends", async () => {
    const world = newWorld(right);
    const early = world.start();
    await early.round();
    const keyId = await world.newKey(early);
    await early.die();
    world.clocks.ms += 30 * dayMs;
    const brief = world.start();
    const { destroyWait } = await brief.schedule(keyId);
    expect(destroyWait).toEqual({ sinceMs: 30 * dayMs, waitMs: 7 * dayMs });
    await world.start().round();
    expect(await world.stateOf(keyId)).toBe("DESTROY_SCHEDULED");
    expect(await world.witnessedMs()).toBe(30 * dayMs);
  });

  it("that is cancelled is forgotten, and scheduled again it waits anew", async () => {
    const { replica, clocks, keyId, start } = await scheduled(right);
    clocks.ms += 6 * dayMs;
    expect(await replica.cancel(keyId)).toMatchObject({
      state: "DISABLED",
      destroyAt: undefined,
      destroyWait: undefined,
    });
    const again = await start().schedule(keyId);
    expect(again.destroyWait).toEqual({ sinceMs: 6 * dayMs, waitMs: 7 * dayMs });
  });
});

describe("of several replicas", () => {
  it("one adds the time, however they race for it, and another goes on where that one ends", async () => {
    const world = newWorld();
    const replicas = [world.start(), world.start(), world.start()];
    for (let minute = 0; minute <= 60; minute += 1) {
      await Promise.all(replicas.map(({ round }) => round()));
      if (minute < 60) world.clocks.ms += minuteMs;
    }
    expect(await world.witnessedMs()).toBe(hourMs);
    for (const { die } of replicas) await die();
    await Promise.all(replicas.slice(1).map(({ round }) => round()));
    world.clocks.ms += minuteMs;
    await Promise.all(replicas.slice(1).map(({ round }) => round()));
    expect(await world.witnessedMs()).toBe(hourMs + minuteMs);
  });

  it("count no time twice, though each notes it", async () => {
    const world = newWorld(right);
    const replicas = [world.start(), world.start(), world.start()];
    for (let minute = 0; minute < 60; minute += 1) {
      await Promise.all(replicas.map(({ witness }) => witness.note()));
      world.clocks.ms += minuteMs;
    }
    await Promise.all(replicas.map(({ witness }) => witness.note()));
    expect(await world.witnessedMs()).toBe(hourMs);
  });

  it.each([
    [
      "schedules another destruction",
      async (other: Replica, keyId: string) => void (await other.schedule(keyId, 7, "another")),
    ],
    ["takes over from one that died", async (other: Replica) => other.live(hourMs / 2)],
  ])("one that %s believes no clocks that were both set ahead while it ran", async (what, act) => {
    const world = newWorld(right);
    const [one, other] = [world.start(), world.start()];
    const [keyId, another] = [await world.newKey(one), await world.newKey(one, "another")];
    await one.round();
    await one.schedule(keyId);
    for (let minute = 0; minute < 2; minute += 1) {
      world.clocks.ms += minuteMs;
      for (const each of [one, other]) await each.round();
    }
    Object.assign(world.clocks, { wallAheadMs: 10 * yearMs, secondAheadMs: 10 * yearMs });
    world.clocks.ms += minuteMs;
    if (what.startsWith("takes")) await one.die();
    await act(other, another);
    await one.round();
    expect(await world.stateOf(keyId)).toBe("DESTROY_SCHEDULED");
    expect(await world.witnessedMs()).toBeLessThan(hourMs);
  });

  it("one that was stopped and resumed adds nothing under a lease that is over", async () => {
    const world = newWorld();
    const [one, other] = [world.start(), world.start()];
    await one.round();
    const { generation } = await world.store.lease("maintenance/2", "replica 1", 60_000);
    const fence = { name: "maintenance/2", generation: generation! };
    await one.die();
    await other.round();
    world.clocks.ms += minuteMs;
    expect(await thrownBy(() => one.witness.note(fence))).toBeKmsError("LEASE_LOST");
    expect(await world.witnessedMs()).toBe(0);
  });

  it("one that ends notes the time and leaves the rest to the next at once", async () => {
    const world = newWorld();
    const [one, other] = [world.start(), world.start()];
    await one.round();
    await other.round();
    world.clocks.ms += minuteMs / 2;
    await other.rounds.end(); // has no lease to leave
    expect(await world.witnessedMs()).toBe(0);
    await one.rounds.end();
    expect(await world.witnessedMs()).toBe(minuteMs / 2);
    await other.live(minuteMs);
    expect(await world.witnessedMs()).toBe(minuteMs / 2 + minuteMs);
  });
});

describe("a destruction that an earlier version scheduled", () => {
  async function earlier(world: ReturnType<typeof newWorld>, tenantId = "acme") {
    const replica = world.start();
    const keyId = await world.newKey(replica, tenantId);
    const record = (await world.store.get(tenantId, keyId))!;
    const destroyAt = new Date(world.wallAt().getTime() + 7 * dayMs);
    const by = { actor: "ann", requestId: "", at: world.wallAt(), action: "schedule_destruction" } as const;
    await world.store.update(record, { ...record, state: "DESTROY_SCHEDULED", destroyAt }, by);
    return keyId;
  }

  it("waits for what is left of it when this version first looks, and is then done", async () => {
    const world = newWorld(right);
    const keyId = await earlier(world);
    world.clocks.ms += 5 * dayMs;
    const replica = world.start();
    await replica.round();
    const { destroyWait } = (await world.store.get("acme", keyId))!;
    expect(destroyWait).toEqual({ sinceMs: 0, waitMs: 2 * dayMs });
    await replica.die();
    world.clocks.ms += 2 * dayMs;
    await world.start().round();
    expect(await world.stateOf(keyId)).toBe("DESTROYED");
  });

  it("waits thirty days where the clocks disagree when this version first looks", async () => {
    const world = newWorld(right);
    const keyId = await earlier(world);
    world.clocks.wallAheadMs = 10 * yearMs;
    await world.start().round();
    expect((await world.store.get("acme", keyId))!.destroyWait).toEqual({ sinceMs: 0, waitMs: 30 * dayMs });
  });

  it("is given its wait though the record of another is damaged, which is then told", async () => {
    const honest = memoryStore(realTime);
    const store: Store = {
      ...honest,
      get: (tenantId, keyId) =>
        tenantId === "damaged" && isDamaged
          ? Promise.reject(new KmsError("DATA_LOSS", "damaged"))
          : honest.get(tenantId, keyId),
    };
    let isDamaged = false;
    const world = newWorld({ store, ...right });
    await earlier(world, "damaged");
    const keyId = await earlier(world);
    isDamaged = true;
    expect(await thrownBy(world.start().round)).toBeKmsError("DATA_LOSS", "damaged");
    expect((await honest.get("acme", keyId))!.destroyWait).toEqual({ sinceMs: 0, waitMs: 7 * dayMs });
  });
});
