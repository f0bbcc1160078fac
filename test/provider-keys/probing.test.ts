/** When keys are probed, by which replica, and what a probe that caught or showed nothing does; on clocks that the test moves. */
import { textsOf } from "../support/notice-texts.ts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { scheduleProbes } from "../../src/provider-keys/probing.ts";
import { type ProviderWatch, watchProvider } from "../../src/provider-keys/watch.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { resilient } from "../../src/provider/resilience.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import type { Leases } from "../../src/store/lease-store.ts";
import { manualTime, type ManualTime } from "../../src/runtime/manual-time.ts";
import { fromNow } from "../support/from-now.ts";

const [minute, hour] = [60_000, 3_600_000];
const context = { tenant_id: "acme", purpose: "data", key_id: "1" };

let time: ManualTime;
beforeEach(() => {
  time = manualTime({ start: new Date("2026-01-01T00:00:00.000Z") });
});
let toStop: (() => void)[] = [];
afterEach(() => {
  for (const stop of toStop) stop();
  toStop = [];
});

const advance = (ms: number) => time.advance(ms);

/** The key at its provider, which all replicas share. */
function newKey() {
  const local = localProvider(randomMasterKey());
  const key = {
    /** Whether it opens under any context. */
    lies: false,
    /** Whether a look at it gets no answer. */
    isAway: false,
    /** What every call but a look fails with. */
    failure: undefined as KmsError | "silence" | undefined,
    calls: { alpha: 0, beta: 0 } as Record<string, number>,
    tenants: new Set<string>(),
    /** The provider of one replica. */
    of(replica: string): Provider {
      const wraps = new Map<string, Uint8Array>();
      const call = async <T>(answer: () => Promise<T>, tenantId: string | undefined): Promise<T> => {
        key.calls[replica] = (key.calls[replica] ?? 0) + 1;
        key.tenants.add(tenantId ?? "");
        if (key.failure === "silence") return new Promise<never>(() => {});
        if (key.failure !== undefined) throw key.failure;
        return answer();
      };
      const remember = (wrapped: Uint8Array, plaintext: Uint8Array) => {
        wraps.set(Buffer.from(wrapped).toString("hex"), Uint8Array.from(plaintext));
        return wrapped;
      };
      return resilient(
        {
          ...local,
          async describe(signal) {
            if (key.isAway) throw new KmsError("PROVIDER_UNAVAILABLE", "away");
            return local.describe(signal);
          },
          generateDataKey: (given, signal) =>
            call(async () => {
              const made = await local.generateDataKey(given, signal);
              return { ...made, wrapped: remember(made.wrapped, made.plaintext) };
            }, given.tenant_id),
          encrypt: (plaintext, given, signal) =>
            call(async () => remember(await local.encrypt(plaintext, given, signal), plaintext), given.tenant_id),
          decrypt: (wrapped, given, signal) =>
            call(async () => {
              const known = wraps.get(Buffer.from(wrapped).toString("hex"));
              return key.lies && known !== undefined ? Uint8Array.from(known) : local.decrypt(wrapped, given, signal);
            }, given.tenant_id),
        },
        { time },
      );
    },
  };
  return key;
}

interface ReplicaOptions {
  store?: Leases;
  ifUsed?: boolean;
  random?: () => number;
}

async function startReplica(
  key: ReturnType<typeof newKey>,
  name: string,
  { store = memoryStore(time), ifUsed = false, random = () => 0.5 }: ReplicaOptions = {},
) {
  const watch = await watchProvider({ provider: key.of(name), time, random: () => 0.5 });
  const warnings: unknown[] = [];
  const probing = scheduleProbes({
    keys: () => [{ watch, ifUsed }],
    store,
    time,
    log: { warn: (line: unknown) => void warnings.push(line) } as never,
    random,
  });
  toStop.push(watch.stop, probing.close);
  return { watch, probing, warnings };
}

/** `name` gives the name of the lease that was last asked for. */
function leaseSeen(store: Leases): { store: Leases; name(): string } {
  let name = "";
  const lease: Leases["lease"] = (wanted, ...given) => {
    name = wanted;
    return store.lease(wanted, ...given);
  };
  return { store: { lease, finishLease: store.finishLease }, name: () => name };
}

const isCaught = ({ watch }: { watch: ProviderWatch }) => watch.current().lie !== undefined;
/** A whole probe. */
const once = 7;

describe("the service's own key", () => {
  it("is probed once an hour by one of the replicas, whichever comes first", async () => {
    const key = newKey();
    const store = memoryStore(time);
    const random = { alpha: () => 0.9, beta: () => 0.1 };
    for (const name of ["alpha", "beta"] as const) await startReplica(key, name, { store, random: random[name] });
    await advance(10 * minute);
    expect(key.calls).toEqual({ alpha: 0, beta: once });
    await advance(24 * hour);
    const probes = (key.calls.alpha! + key.calls.beta!) / once - 1;
    expect(probes).toBeGreaterThanOrEqual(22);
    expect(probes).toBeLessThanOrEqual(24);
  });

  it("is caught by one replica within an hour and five minutes and a half, and by the others five and a half later", async () => {
    const key = newKey();
    const store = memoryStore(time);
    const alpha = await startReplica(key, "alpha", { store, random: () => 0.999 });
    const beta = await startReplica(key, "beta", { store, random: () => 0 });
    await advance(10 * minute);
    expect(key.calls.alpha! + key.calls.beta!).toBe(once);
    key.lies = true;
    let first = 0;
    for (; !isCaught(alpha) && !isCaught(beta); first += minute / 2) await advance(minute / 2);
    expect(first).toBeLessThanOrEqual(hour + 5.5 * minute);
    expect(isCaught(alpha) && isCaught(beta)).toBe(false);
    await advance(5.5 * minute);
    expect(isCaught(alpha) && isCaught(beta)).toBe(true);
  });

  it("is probed every 10 s by a replica that caught it, and is back within that, for each replica by itself", async () => {
    const key = newKey();
    const store = memoryStore(time);
    const [alpha, beta] = [await startReplica(key, "alpha", { store }), await startReplica(key, "beta", { store })];
    key.lies = true;
    await advance(10 * minute);
    expect(isCaught(alpha) && isCaught(beta)).toBe(true);
    const before = { ...key.calls };
    await advance(minute);
    expect(key.calls.alpha! - before.alpha!).toBe(6 * once);
    key.lies = false;
    await advance(10_000);
    expect(isCaught(alpha) || isCaught(beta)).toBe(false);
    const after = key.calls.alpha! + key.calls.beta!;
    await advance(minute);
    expect(key.calls.alpha! + key.calls.beta!).toBe(after);
  });

  it("is remarked on no more by a replica that could not probe it, where another could", async () => {
    const key = newKey();
    const store = memoryStore(time);
    const alpha = await startReplica(key, "alpha", { store, random: () => 0 });
    key.failure = new KmsError("PROVIDER_DENIED", "denied");
    await advance(2 * minute);
    expect(alpha.probing.remarks()).toHaveLength(1);
    key.failure = undefined;
    await startReplica(key, "beta", { store, random: () => 0 });
    await advance(2 * minute);
    expect(key.calls.beta).toBe(once);
    await advance(hour);
    expect(alpha.probing.remarks()).toEqual([]);
  });

  it("is probed by another replica when the one that holds the lease has died", async () => {
    const key = newKey();
    const store = memoryStore(time);
    const seen = leaseSeen(store);
    const finishLease = async () => {
      throw new KmsError("STORE_UNAVAILABLE", "dead");
    };
    const dead = { ...seen.store, finishLease };
    const first = await startReplica(key, "alpha", { store: dead, random: () => 0 });
    await advance(1.5 * minute);
    expect(key.calls.alpha).toBe(once);
    first.probing.close();
    const name = seen.name();
    expect(name).toMatch(/^probe\/[0-9a-f]{32}$/);
    await advance(minute); // the first one's own has ended
    await store.lease(name, "a replica that died meanwhile", 1.6 * minute);
    await startReplica(key, "beta", { store, random: () => 0 });
    await advance(1.5 * minute);
    expect(key.calls.beta).toBe(0);
    await advance(2 * minute);
    expect(key.calls.beta).toBe(once);
  });

  it("is probed anew where the last pass was noted by a clock that was ahead", async () => {
    const key = newKey();
    const store = memoryStore(time);
    const seen = leaseSeen(store);
    const first = await startReplica(key, "alpha", { store: seen.store, random: () => 0 });
    await advance(2 * minute);
    first.probing.close();
    const name = seen.name();
    const { generation } = await store.lease(name, "of another clock", minute);
    await store.finishLease({ name, generation: generation! }, fromNow(24 * hour));
    await startReplica(key, "beta", { store, random: () => 0 });
    await advance(2 * minute);
    expect(key.calls.beta).toBe(once);
  });

  it("is asked for again a minute later where the store does not answer", async () => {
    const key = newKey();
    const store = memoryStore(time);
    let isAway = true;
    const flaky: Leases = {
      lease: (...given) => (isAway ? Promise.reject(new KmsError("STORE_UNAVAILABLE", "away")) : store.lease(...given)),
      finishLease: store.finishLease,
    };
    const { warnings } = await startReplica(key, "alpha", { store: flaky, random: () => 0 });
    await advance(1.5 * minute);
    expect(warnings).toHaveLength(1);
    expect(key.calls.alpha).toBe(0);
    isAway = false;
    await advance(2 * minute);
    expect(key.calls.alpha).toBe(once);
  });

  it("is probed once an hour by each replica where the row of the lease was altered", async () => {
    const key = newKey();
    const altered: Leases = {
      lease: () => Promise.reject(new KmsError("DATA_LOSS", "the lease in the store is not as it was written")),
      finishLease: memoryStore(time).finishLease,
    };
    const { warnings } = await startReplica(key, "alpha", { store: altered, random: () => 0 });
    await advance(2 * minute);
    expect(key.calls.alpha).toBe(once);
    await advance(3 * hour);
    expect(key.calls.alpha).toBe(4 * once);
    expect(warnings).toEqual([]);
  });

  it("is not probed while its provider gives no answer to a look, and soon after", async () => {
    const key = newKey();
    const { watch } = await startReplica(key, "alpha", { random: () => 0 });
    key.isAway = true;
    await watch.look();
    await advance(3 * hour);
    expect(key.calls.alpha).toBe(0);
    key.isAway = false;
    await advance(3 * minute);
    expect(key.calls.alpha).toBe(once);
  });

  it("is probed no more once that is closed, and no timer is left", async () => {
    const key = newKey();
    const { watch, probing } = await startReplica(key, "alpha");
    probing.close();
    watch.stop();
    expect(time.timers()).toBe(0);
  });
});

describe("a provider that gives no answer that tells", () => {
  it.each([
    ["is away", new KmsError("PROVIDER_UNAVAILABLE", "away")],
    ["is late", new KmsError("DEADLINE_EXCEEDED", "late")],
    ["rejects what it just wrapped too", new KmsError("CIPHERTEXT_REJECTED", "ciphertext rejected")],
    ["is silent", "silence"],
  ] as const)("is accused of nothing where it %s, and is probed again within minutes", async (_what, failure) => {
    const key = newKey();
    const replica = await startReplica(key, "alpha");
    key.failure = failure;
    await advance(20 * minute);
    expect(isCaught(replica)).toBe(false);
    expect(replica.watch.current().condition).toBe("answering");
    key.failure = undefined;
    const before = key.calls.alpha!;
    await advance(7 * minute);
    expect(key.calls.alpha! - before).toBe(once);
    await advance(30 * minute);
    expect(key.calls.alpha! - before).toBe(once);
  });

  it("is accused of nothing where it denies the probe, which is then made once an hour", async () => {
    const key = newKey();
    const replica = await startReplica(key, "alpha");
    key.failure = new KmsError("PROVIDER_DENIED", "denied");
    await advance(20 * minute);
    expect(isCaught(replica)).toBe(false);
    expect(key.calls.alpha).toBe(3); // nothing was made that could be opened
    expect(replica.warnings).toEqual([expect.objectContaining({ reason: "denied" })]);
    expect(textsOf(replica.probing.remarks())).toEqual([
      expect.stringMatching(
        /^The provider key local local:\w+ could not be probed \(denied\): whether its provider lies/,
      ),
    ]);
    key.failure = undefined;
    await advance(hour);
    expect(key.calls.alpha).toBe(3 + once);
    expect(replica.probing.remarks()).toEqual([]);
  });

  it("is accused of nothing where it rejects what it just wrapped, and refuses what it must", async () => {
    const key = newKey();
    const provider = key.of("alpha");
    const watch = await watchProvider({
      time,
      provider: {
        ...provider,
        decrypt: async () => {
          throw new KmsError("CIPHERTEXT_REJECTED", "ciphertext rejected");
        },
      },
    });
    toStop.push(watch.stop);
    expect(await watch.probe()).toBeKmsError("PROVIDER_UNAVAILABLE", "does not open what it just wrapped");
    expect(watch.current().condition).toBe("answering");
  });
});

describe("a tenant's own key", () => {
  it("is probed only by a replica that used it in the last hour, as one of its tenants", async () => {
    const key = newKey();
    const { watch } = await startReplica(key, "alpha", { ifUsed: true });
    await advance(3 * hour);
    expect(key.calls.alpha).toBe(0);
    await watch.provider.encrypt(Buffer.alloc(32, 1), context);
    await advance(minute);
    expect(key.calls.alpha).toBe(1 + once);
    expect([...key.tenants]).toEqual(["acme"]);
    await advance(5 * hour);
    expect(key.calls.alpha).toBe(1 + once);
    await watch.provider.encrypt(Buffer.alloc(32, 1), context);
    await advance(minute);
    expect(key.calls.alpha).toBe(2 * (1 + once));
  });

  it("is probed once an hour for all replicas while they use it", async () => {
    const key = newKey();
    const store = memoryStore(time);
    const replicas = await Promise.all(
      ["alpha", "beta"].map((name) => startReplica(key, name, { store, ifUsed: true, random: () => 0 })),
    );
    let used = 0;
    for (let at = 0; at < 4 * hour; at += 10 * minute) {
      for (const { watch } of replicas) await watch.provider.encrypt(Buffer.alloc(32, 1), context);
      used += 2;
      await advance(10 * minute);
    }
    expect(key.calls.alpha! + key.calls.beta! - used).toBe(4 * once);
  });
});
