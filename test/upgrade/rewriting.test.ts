import { describe, expect, it, vi } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { newestSchema } from "../../src/store/sql/rows/schema.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import { startRewriting } from "../../src/upgrade/rewriting.ts";
import { finishUpgrade } from "../../src/upgrade/finish.ts";
import type { AuditEvent } from "../../src/store/audit-store.ts";
import type { RewritePlace, UpgradeStore } from "../../src/store/upgrade-store.ts";
import { virtualTime } from "../support/virtual-time.ts";

const places: (RewritePlace | undefined)[] = [
  undefined,
  { table: "kms_keys", after: ["a"] },
  { table: "kms_logs", after: undefined },
];

/** Three pages with two old rows each, at the first time. */
function upgraded(minReader = newestSchema - 1) {
  const time = virtualTime();
  const shared = memoryStore(time);
  const asked: (RewritePlace | undefined)[] = [];
  return {
    time,
    asked,
    store: {
      ...shared,
      upgradeState: async () => ({ ...(await shared.upgradeState()), minReader }),
      async rewriteRows(at: RewritePlace | undefined) {
        asked.push(at);
        return { rewritten: asked.length <= places.length ? 2 : 0, next: places[places.indexOf(at) + 1] };
      },
    },
  };
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** A pass takes less, with its pauses. */
const passMs = 1_000;

describe("rows of the release before", () => {
  it("are written anew by one replica, page by page, and looked for again in an hour", async () => {
    const { time, store, asked } = upgraded();
    const began = time.now();
    const said: [object, string][] = [];
    const log = {
      info: (...line: [object, string]) => said.push(line),
      warn: (...line: [object, string]) => said.push(line),
    };
    const [one, other] = [startRewriting({ store, time, log }), startRewriting({ store, time, log })];
    await time.advance(passMs);
    expect(said).toEqual([[{ rows: 6 }, "rows of an earlier release were written anew"]]);
    expect(asked).toEqual(places);
    await Promise.all([one.close(), other.close()]);
    expect(await store.leaseFinishedAt("rewriting")).toEqual(began);
    const third = startRewriting({ store, time, log });
    await time.advance(hourMs - passMs - 1);
    expect(asked).toEqual(places);
    await time.advance(1 + passMs);
    expect(asked).toEqual([...places, ...places]);
    await third.close();
    expect(said).toHaveLength(1);
  });

  it("are written anew though the lease's row was altered", async () => {
    const { time, store, asked } = upgraded();
    const info = vi.fn();
    const lease = () => Promise.reject(new KmsError("DATA_LOSS", "the lease rewriting is not as it was written"));
    const rewriting = startRewriting({ store: { ...store, lease }, time, log: { info, warn() {} } });
    await time.advance(passMs);
    expect(info).toHaveBeenCalledTimes(1);
    await rewriting.close();
    expect(asked).toEqual(places);
  });

  it("are looked for once a day in a store whose upgrade is finished, as one that was halted may still write", async () => {
    const { time, store, asked } = upgraded(newestSchema);
    const info = vi.fn();
    const rewriting = startRewriting({ store, time, log: { info, warn() {} } });
    await time.advance(passMs);
    expect(info).toHaveBeenCalledTimes(1);
    await rewriting.close();
    expect(asked).toEqual([undefined, ...places]);
    await time.skip(23 * hourMs);
    const next = startRewriting({ store, time, log: { info, warn() {} } });
    await time.advance(hourMs - passMs - 1);
    expect(asked.slice(places.length + 1)).toEqual([undefined]);
    await time.advance(1 + passMs);
    await next.close();
    expect(asked.slice(places.length + 2)).toEqual([undefined, ...places]);
  });

  it("take no lease in such a store where no table has rows of two forms", async () => {
    const { time, store } = upgraded(newestSchema);
    const [looked, leased] = [vi.fn(async () => ({ rewritten: 0, next: undefined })), vi.spyOn(store, "lease")];
    const parts = { time, log: { info() {}, warn() {} } };
    const rewriting = startRewriting({ store: { ...store, rewriteRows: looked }, ...parts });
    await time.advance(hourMs);
    await rewriting.close();
    expect(looked).toHaveBeenCalledTimes(1);
    expect(leased).not.toHaveBeenCalled();
  });

  it("are none of this release's affair in a store that is for newer ones", async () => {
    const { time, store, asked } = upgraded(newestSchema + 1);
    const looked = vi.spyOn(store, "upgradeState");
    const rewriting = startRewriting({ store, time, log: { info() {}, warn() {} } });
    await time.advance(hourMs);
    expect(looked).toHaveBeenCalledTimes(2);
    await rewriting.close();
    expect(asked).toEqual([]);
  });
});

describe("finishing an upgrade", () => {
  const event = { at: new Date(0), actor: "ann", action: "finish_upgrade", tenantId: "", purpose: undefined } as const;
  const finished: AuditEvent = { ...event, keyId: "", outcome: "OK", requestId: "", count: 1 };

  it("writes all pages anew before it asks the store", async () => {
    const { store, asked } = upgraded();
    let askedBefore = 0;
    const finishUpgradeOf: UpgradeStore["finishUpgrade"] = async () => {
      askedBefore = asked.length;
      return { kind: "finished" };
    };
    const answer = await finishUpgrade({ ...store, finishUpgrade: finishUpgradeOf }, finished);
    expect(answer).toEqual({ kind: "finished", rewritten: 6 });
    expect(askedBefore).toBe(places.length);
  });

  it("touches nothing while a replica of the release before runs", async () => {
    const { store, asked } = upgraded();
    const older = { replicaId: "aa", release: "0.1.9", version: newestSchema - 1 };
    await store.noteReplica({ ...older, version: newestSchema }); // a note of a lower version is refused by this store
    const state = await store.upgradeState();
    const replicas = [{ ...state.replicas[0]!, ...older }];
    const answer = await finishUpgrade({ ...store, upgradeState: async () => ({ ...state, replicas }) }, finished);
    expect(answer).toEqual({ kind: "older", replicas, rewritten: 0 });
    expect(asked).toEqual([]);
  });
});
