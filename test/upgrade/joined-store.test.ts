import { describe, expect, it } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { newestSchema } from "../../src/store/sql/rows/schema.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { joinStore } from "../../src/upgrade/joined-store.ts";
import { version } from "../../src/version.ts";
import { thrownBy } from "../support/matchers.ts";
import { realTime } from "../../src/runtime/time.ts";

/** A store whose lowest reader is set, one of its replicas, and that one's monotonic clock. */
function joined(changes: Partial<Store> = {}) {
  const shared = memoryStore(realTime);
  const world = { minReader: newestSchema, ms: 1_000, wallMs: 5_000, notes: 0, changed: 0 };
  const store: Store = {
    ...shared,
    async noteReplica(replica) {
      world.notes += 1;
      await shared.noteReplica(replica);
      return world.minReader;
    },
    ...changes,
  };
  const replica = joinStore(store, {
    time: { ...realTime, monotonicMs: () => world.ms, now: () => new Date(world.wallMs) },
    intervalMs: 3_600_000,
    changed: () => {
      world.changed += 1;
    },
  });
  const write = () => replica.store.lease("some-work", "me", 1_000);
  return { shared, world, replica, write };
}

describe("a store that a replica joined", () => {
  it("has the replica noted, with its release, until it leaves", async () => {
    const { shared, replica, write } = joined();
    await write();
    expect((await shared.upgradeState()).replicas).toMatchObject([{ release: version, version: newestSchema }]);
    await replica.leave();
    expect((await shared.upgradeState()).replicas).toEqual([]);
  });

  it("is left as it was by a replica that writes nothing", async () => {
    const { shared, world, replica } = joined();
    await replica.store.active("acme", "data");
    await replica.leave();
    expect(world.notes).toBe(0);
    expect((await shared.upgradeState()).replicas).toEqual([]);
  });

  it("is written to for a minute, and then not before the replica was noted again", async () => {
    const { world, write } = joined();
    await write();
    world.ms += 59_999;
    await write();
    expect(world.notes).toBe(1);
    world.ms += 1;
    await Promise.all([write(), write()]);
    expect(world.notes).toBe(2);
    world.ms += 59_999;
    await write();
    expect(world.notes).toBe(2);
  });

  it("is not written to by a machine that was suspended for a minute, before the replica was noted again", async () => {
    const { world, write } = joined();
    await write();
    world.wallMs += 60_000;
    await write();
    expect(world.notes).toBe(2);
    world.wallMs -= 3_600_000;
    await write();
    expect(world.notes).toBe(2);
    world.ms += 60_000;
    await write();
    expect(world.notes).toBe(3);
  });

  it("is read, and not written to, once it is for newer releases, and the service says so until it is for this one again", async () => {
    const { world, replica, write } = joined();
    await write();
    world.minReader = newestSchema + 1;
    world.ms += 60_000;
    expect(await thrownBy(write)).toBeKmsError("STORE_UNAVAILABLE", "use the newer release");
    expect(await thrownBy(write)).toBeKmsError("STORE_UNAVAILABLE", "use the newer release");
    expect(await replica.store.active("acme", "data")).toBeUndefined();
    expect(replica.problems()).toEqual([
      {
        status: "down",
        notice: expect.objectContaining({
          code: "UPGRADE_FINISHED",
          text: expect.stringContaining("use the newer release"),
        }),
      },
    ]);
    expect(world.changed).toBe(1);
    world.minReader = newestSchema;
    world.ms += 60_000;
    await write();
    expect(replica.problems()).toEqual([]);
    expect(world.changed).toBe(2);
  });

  it("is not written to while the replica cannot be noted, and is by the first write after", async () => {
    let isAway = false;
    const shared = memoryStore(realTime);
    const { world, write } = joined({
      async noteReplica(replica) {
        if (isAway) throw new KmsError("STORE_UNAVAILABLE", "no answer");
        return shared.noteReplica(replica);
      },
    });
    isAway = true;
    world.ms += 60_000;
    expect(await thrownBy(write)).toBeKmsError("STORE_UNAVAILABLE", "no answer");
    isAway = false;
    await write();
  });

  it("leaves without a word where the store is away", async () => {
    const { replica, write } = joined({
      endReplica: async () => {
        throw new KmsError("STORE_UNAVAILABLE", "no answer");
      },
    });
    await write();
    await replica.leave();
  });
});
