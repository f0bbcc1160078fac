import { describe, expect, it, vi } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { newestSchema } from "../../src/store/sql/rows/schema.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import { startRewriting } from "../../src/upgrade/rewriting.ts";
import { finishUpgrade } from "../../src/upgrade/finish.ts";
import type { AuditEvent } from "../../src/store/audit-store.ts";
import type { RewritePlace, UpgradeStore } from "../../src/store/upgrade-store.ts";
import { eventually } from "../support/eventually.ts";
import { fromNow, msFromNow } from "../support/from-now.ts";
import { realTime } from "../../src/runtime/time.ts";
import { wallTime } from "../support/wall-time.ts";

const places: (RewritePlace | undefined)[] = [
  undefined,
  { table: "kms_keys", after: ["a"] },
  { table: "kms_logs", after: undefined },
];

/** Three pages with two old rows each, at the first time. */
function upgraded(minReader = newestSchema - 1) {
  const shared = memoryStore(realTime);
  const asked: (RewritePlace | undefined)[] = [];
  return {
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

const clock = () => new Date();

describe("rows of the release before", () => {
  it("are written anew by one replica, page by page, and looked for again in an hour", async () => {
    const { store, asked } = upgraded();
    const said: [object, string][] = [];
    const log = {
      info: (...line: [object, string]) => said.push(line),
      warn: (...line: [object, string]) => said.push(line),
    };
    const [one, other] = [
      startRewriting({ store, time: wallTime(clock), log }),
      startRewriting({ store, time: wallTime(clock), log }),
    ];
    await eventually(() => expect(said).toHaveLength(1));
    expect(said).toEqual([[{ rows: 6 }, "rows of an earlier release were written anew"]]);
    expect(asked).toEqual(places);
    await Promise.all([one.close(), other.close()]);
    expect((await store.leaseFinishedAt("rewriting"))!.getTime()).toBeGreaterThan(msFromNow(-60_000));
    const third = startRewriting({ store, time: wallTime(clock), log });
    await third.close();
    expect(asked).toEqual(places);
  });

  it("are written anew though the lease's row was altered", async () => {
    const { store, asked } = upgraded();
    const info = vi.fn();
    const lease = () => Promise.reject(new KmsError("DATA_LOSS", "the lease rewriting is not as it was written"));
    const rewriting = startRewriting({ store: { ...store, lease }, time: wallTime(clock), log: { info, warn() {} } });
    await eventually(() => expect(info).toHaveBeenCalled());
    await rewriting.close();
    expect(asked).toEqual(places);
  });

  it("are looked for once a day in a store whose upgrade is finished, as one that was halted may still write", async () => {
    const { store, asked } = upgraded(newestSchema);
    const info = vi.fn();
    const later = (ms: number) => () => fromNow(ms);
    const once = async (ms: number) => {
      const looks = vi.spyOn(store, "rewriteRows");
      const rewriting = startRewriting({ store, time: wallTime(later(ms)), log: { info, warn() {} } });
      await eventually(() => expect(looks).toHaveBeenCalled());
      return rewriting;
    };
    const first = await once(0);
    await eventually(() => expect(info).toHaveBeenCalled());
    await first.close();
    expect(asked).toEqual([undefined, ...places]);
    await (await once(23 * 3_600_000)).close();
    expect(asked.slice(places.length + 1)).toEqual([undefined]);
  });

  it("take no lease in such a store where no table has rows of two forms", async () => {
    const { store } = upgraded(newestSchema);
    const [looked, leased] = [vi.fn(async () => ({ rewritten: 0, next: undefined })), vi.spyOn(store, "lease")];
    const parts = { time: wallTime(clock), log: { info() {}, warn() {} } };
    const rewriting = startRewriting({ store: { ...store, rewriteRows: looked }, ...parts });
    await eventually(() => expect(looked).toHaveBeenCalled());
    await rewriting.close();
    expect(looked).toHaveBeenCalledTimes(1);
    expect(leased).not.toHaveBeenCalled();
  });

  it("are none of this release's affair in a store that is for newer ones", async () => {
    const { store, asked } = upgraded(newestSchema + 1);
    const looked = vi.spyOn(store, "upgradeState");
    const rewriting = startRewriting({ store, time: wallTime(clock), log: { info() {}, warn() {} } });
    await eventually(() => expect(looked).toHaveBeenCalled());
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
