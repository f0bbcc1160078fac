/** What the health monitor makes of its provider and store. */
import { type Notice, notice } from "../../src/notices.ts";
import { textsOf } from "../support/notice-texts.ts";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import { watchProvider } from "../../src/provider-keys/watch.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { createAlarm } from "../../src/alarm.ts";
import {
  type HealthMonitor,
  type HealthParts,
  type HealthReport,
  startHealthMonitor,
} from "../../src/health/monitor.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { realTime } from "../../src/runtime/time.ts";
import { wallTime } from "../support/wall-time.ts";

const standing = notice("KEY_IN_MEMORY", "Standing remark.");
let started: HealthMonitor | undefined;
afterEach(() => {
  started?.close();
  vi.useRealTimers();
});

async function watch(provider: Partial<Provider> = {}, store: Partial<Store> = {}, parts: Partial<HealthParts> = {}) {
  const changes: string[] = [];
  const alarm = createAlarm();
  const monitor = await startHealthMonitor({
    time: realTime,
    alarm,
    watches: [await watchProvider({ time: realTime, provider: { ...localProvider(randomMasterKey()), ...provider } })],
    store: { ...memoryStore(realTime), ...store },
    notices: [standing],
    onChange: (status) => changes.push(status),
    ...parts,
  });
  started = monitor;
  const read = (report: HealthReport) => ({ ...report, notices: textsOf(report.notices) });
  const asTexts = { current: () => read(monitor.current()), look: async () => read(await monitor.look()) };
  return { monitor: { ...monitor, ...alarm, ...asTexts }, changes };
}

const fails = (code: KmsErrorCode) => async () => Promise.reject(new KmsError(code, "as told"));

it("is operational when both answer, and keeps the standing remarks", async () => {
  const { monitor, changes } = await watch();
  expect(monitor.current()).toMatchObject({ status: "operational", notices: ["Standing remark."] });
  expect(changes).toEqual(["operational"]);
});

it("remarks what a look at the store finds, and keeps it when the store does not say", async () => {
  let remarks: () => Promise<Notice[]> = async () => [notice("REWRAP_DUE", "7 keys are still under local a.")];
  const { monitor } = await watch({}, {}, { remarks: () => remarks() });
  const expected = { status: "operational", notices: ["7 keys are still under local a.", "Standing remark."] };
  expect(monitor.current()).toMatchObject(expected);
  remarks = fails("STORE_UNAVAILABLE");
  expect(await monitor.look()).toMatchObject(expected);
  remarks = async () => [];
  expect((await monitor.look()).notices).toEqual(["Standing remark."]);
});

it.each([
  ["degraded, when the provider does not answer", { describe: fails("PROVIDER_UNAVAILABLE") }, {}, "degraded"],
  ["down, when the provider denies its key", { describe: fails("PROVIDER_DENIED") }, {}, "down"],
  ["down, when the key is disabled", { describe: async () => ({ state: "disabled", detail: "Disabled" }) }, {}, "down"],
  ["down, when the store does not answer", {}, { auditHead: fails("STORE_UNAVAILABLE") }, "down"],
  ["degraded, when the store answers no long read", {}, { counts: fails("STORE_UNAVAILABLE") }, "degraded"],
] as const)("is %s, and says why", async (_what, provider, store, status) => {
  const { monitor } = await watch(provider as Partial<Provider>, store);
  expect(monitor.current().status).toBe(status);
  expect(monitor.current().notices).toHaveLength(2);
});

it("passes on why the store cannot be used", async () => {
  const unavailable = fails("STORE_UNAVAILABLE");
  const { monitor } = await watch({}, { auditHead: unavailable, counts: unavailable });
  expect(monitor.current().notices).toEqual(["The store memory does not answer: as told.", "Standing remark."]);
});

it("sees that a provider is back", async () => {
  let up = false;
  const describe = async () => {
    if (!up) throw new KmsError("PROVIDER_UNAVAILABLE", "down");
    return { state: "enabled", detail: "Enabled" } as const;
  };
  const { monitor, changes } = await watch({ describe });
  up = true;
  expect((await monitor.look()).status).toBe("operational");
  expect(changes).toEqual(["degraded", "operational"]);
});

it("says at once that calls are paused, and that they are not any more", async () => {
  let state = "closed";
  const { monitor, changes } = await watch({}, {}, { breakers: () => [{ name: "local", state }] });
  state = "open";
  monitor.changed();
  expect(monitor.current().notices[0]).toBe("Calls to local are paused: it does not answer.");
  state = "closed";
  monitor.changed();
  expect(changes).toEqual(["operational", "degraded", "operational"]);
});

describe("provider keys of tenants", () => {
  const key = (name: string, tenants: number, condition: "answering" | "unavailable" | "denied") => ({
    name,
    tenants,
    condition: () => ({ condition, detail: "as told" }) as const,
  });

  it("that are refused or away leave the service to the others, and are named", async () => {
    const keys = [key("well", 9, "answering"), key("off", 1, "denied"), key("away", 1_200, "unavailable")];
    const { monitor } = await watch({}, {}, { tenantProviderKeys: () => keys });
    expect(monitor.current().status).toBe("degraded");
    expect(monitor.current().notices.slice(0, 2)).toEqual([
      "The provider key away of 1,200 tenants does not answer: as told.",
      "The provider key off of a tenant is refused: as told.",
    ]);
  });

  it("that no tenant has are nobody's trouble", async () => {
    const { monitor } = await watch({}, {}, { tenantProviderKeys: () => [key("old", 0, "denied")] });
    expect(monitor.current().status).toBe("operational");
  });

  it("are named as many as one reads", async () => {
    const keys = Array.from({ length: 12 }, (_, n) => key(`key-${n}`, n + 1, "denied"));
    const { monitor } = await watch({}, {}, { tenantProviderKeys: () => keys });
    const { notices } = monitor.current();
    expect(notices.filter((notice) => notice.startsWith("The provider key "))).toHaveLength(5);
    expect(notices[5]).toBe("Of 7 more provider keys of tenants the same is to be said.");
  });

  it("do not have the store looked at each second", async () => {
    let looks = 0;
    const counts = async () => {
      looks += 1;
      return { byPurpose: { data: {}, signing: {} }, oldestActiveAt: undefined, lastRotationAt: undefined };
    };
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    await watch(
      {},
      { counts },
      { tenantProviderKeys: () => [key("off", 1, "denied")], intervalMs: 30_000, retryMs: 1_000 },
    );
    await vi.advanceTimersByTimeAsync(20_000);
    expect(looks).toBe(1);
  });
});

it("is down from the moment it drains, whatever it sees", async () => {
  const { monitor } = await watch();
  monitor.drain();
  expect(monitor.current().status).toBe("down");
  expect((await monitor.look()).status).toBe("down");
});

it("is down while uses of keys cannot be audited, and says why", async () => {
  let problem: string | undefined = "audit rows cannot be written: the disk is full";
  const { monitor } = await watch({}, {}, { auditProblem: () => problem });
  expect(monitor.current().status).toBe("down");
  expect(monitor.current().notices[0]).toContain("the disk is full");
  problem = undefined;
  expect((await monitor.look()).status).toBe("operational");
});

it("is down as soon as uses cannot be audited, though the store hangs, and says so though that is down", async () => {
  let problem: string | undefined;
  let auditHead: Store["auditHead"] = async () => undefined;
  const { monitor } = await watch({}, { auditHead: () => auditHead() }, { auditProblem: () => problem });
  expect(monitor.current().status).toBe("operational");
  auditHead = () => new Promise(() => {});
  monitor.look();
  problem = "the store takes too long to write audit rows";
  monitor.suspect();
  expect(monitor.current().status).toBe("down");
  expect(monitor.current().notices[0]).toContain(problem);
  auditHead = fails("STORE_UNAVAILABLE");
  problem = undefined;
  const { monitor: other } = await watch({}, { auditHead }, { auditProblem: () => problem });
  problem = "audit rows cannot be written: the disk is full";
  other.suspect();
  expect(other.current().notices).toEqual([
    ...[/does not answer/, /the disk is full/, /Standing/].map((text) => expect.stringMatching(text)),
  ]);
});

describe("how often it looks", () => {
  /** `state` is what the next look finds. */
  async function counted() {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const state = { looks: 0, isUp: true };
    const watched = await watch(
      {},
      {
        async auditHead() {
          state.looks += 1;
          if (!state.isUp) throw new KmsError("STORE_UNAVAILABLE", "the disk is full");
          return undefined;
        },
      },
    );
    return { ...watched, state, advance: (ms: number) => vi.advanceTimersByTimeAsync(ms) };
  }

  it("is every half a minute while all is well, and never once it is stopped", async () => {
    const { state, advance, monitor } = await counted();
    await advance(26_000);
    expect(state.looks).toBe(1);
    await advance(7_000);
    expect(state.looks).toBe(2);
    monitor.close();
    monitor.suspect();
    await advance(120_000);
    expect(state.looks).toBe(2);
  });

  it("is every second while something is wrong, so that it recovers without a restart", async () => {
    const { state, advance, changes, monitor } = await counted();
    state.isUp = false;
    await advance(33_000);
    const before = state.looks;
    await advance(5_000);
    expect(state.looks - before).toBe(5);
    expect(monitor.current().notices[0]).toContain("does not answer");
    state.isUp = true;
    await advance(1_000);
    expect(changes).toEqual(["operational", "down", "operational"]);
  });

  it("is at once when a call failed, but once a second however many fail", async () => {
    const { state, advance, changes, monitor } = await counted();
    await advance(10_000);
    state.isUp = false;
    for (let n = 0; n < 1_000; n++) monitor.suspect();
    await advance(0);
    expect(state.looks).toBe(2);
    expect(changes).toEqual(["operational", "down"]);
    for (let n = 0; n < 999; n++) {
      monitor.suspect();
      await advance(1);
    }
    expect(state.looks).toBe(2);
    await advance(1);
    expect(state.looks).toBe(3);
  });

  it("is not put off by a call that failed before the look was over", async () => {
    const { state, advance, monitor } = await counted();
    await advance(500);
    monitor.suspect();
    await advance(499);
    expect(state.looks).toBe(1);
    await advance(1);
    expect(state.looks).toBe(2);
    await advance(2_000);
    expect(state.looks).toBe(2);
  });
});

it("is down when the store hangs, and does not hang with it", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  const watching = watch({}, { auditHead: () => new Promise(() => {}) });
  await vi.advanceTimersByTimeAsync(3_000);
  expect((await watching).monitor.current().status).toBe("down");
});

describe("damage", () => {
  const hourMs = 3_600_000;

  async function damaged() {
    const time = { ms: 0 };
    const watched = await watch({}, {}, { time: wallTime(() => new Date(time.ms)) });
    return { ...watched, time };
  }

  it("makes it degraded at once, names what is damaged, and what to run", async () => {
    const { monitor, changes } = await damaged();
    monitor.lost("key 00ff of tenant acme in the store is not as it was written");
    expect(monitor.current().status).toBe("degraded");
    expect(monitor.current().notices[0]).toBe(
      "Stored records are damaged, run fluo-kms check: key 00ff of tenant acme in the store is not as it was written.",
    );
    expect(changes).toEqual(["operational", "degraded"]);
  });

  it("is remembered until an hour passes without more of it", async () => {
    const { monitor, time, changes } = await damaged();
    monitor.lost("key 1");
    time.ms = hourMs - 1;
    expect((await monitor.look()).status).toBe("degraded");
    monitor.lost("key 1");
    time.ms = 2 * hourMs - 2;
    expect((await monitor.look()).status).toBe("degraded");
    time.ms = 2 * hourMs - 1;
    expect(await monitor.look()).toMatchObject({ status: "operational", notices: ["Standing remark."] });
    expect(changes).toEqual(["operational", "degraded", "operational"]);
  });

  it("is named ten times, and then counted", async () => {
    const { monitor } = await damaged();
    for (let n = 1; n <= 25; n++) monitor.lost(`key ${n}`);
    for (let n = 1; n <= 25; n++) monitor.lost(`key ${n}`);
    const [notice] = (await monitor.look()).notices;
    expect(notice).toContain("key 10; and 15 more.");
    expect(notice).not.toContain("key 11");
  });

  it("does not hide that the store is gone", async () => {
    const { monitor } = await watch({}, { auditHead: fails("STORE_UNAVAILABLE") });
    monitor.lost("key 1");
    expect(monitor.current().status).toBe("down");
    expect(monitor.current().notices).toHaveLength(3);
  });

  it.each(["counts", "auditHead"])(
    "that a look meets itself is damage, and no store that does not answer: %s",
    async (what) => {
      const { monitor } = await watch({}, { [what]: fails("DATA_LOSS") });
      expect(monitor.current().status).toBe("degraded");
      expect(monitor.current().notices[0]).toContain("as told");
    },
  );

  it("that a look meets is told to all who listen to the alarm, each time", async () => {
    const alarm = createAlarm();
    const told: string[] = [];
    alarm.listen({ lost: (what) => told.push(what), suspect() {}, changed() {} });
    let remarks: () => Promise<Notice[]> = async () => [];
    const { monitor } = await watch({}, { counts: fails("DATA_LOSS") }, { alarm, remarks: () => remarks() });
    expect(told).toEqual(["as told"]);
    await monitor.look();
    expect(told).toHaveLength(2);
    remarks = async () => {
      throw new KmsError("DATA_LOSS", "the store key is gone");
    };
    expect((await monitor.look()).notices[0]).toContain("the store key is gone");
    expect(told.slice(2)).toEqual(["as told", "the store key is gone"]);
  });
});
