/** Replicas that live one after the other, or at once, on machines whose clocks the test moves, over one store. */
import { createKeyring, type Keyring } from "../../src/keys/keyring.ts";
import { createLifecycle } from "../../src/keys/lifecycle.ts";
import { destructionRounds } from "../../src/keys/destruction/rounds.ts";
import { createTimeWitness } from "../../src/keys/destruction/time-witness.ts";
import { providerKeys } from "../../src/provider-keys/provider-keys.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { dayMs } from "./keys-fixture.ts";
import { caches } from "./whole-keyring.ts";
import { realTime } from "../../src/runtime/time.ts";
import { wallTime } from "./wall-time.ts";

export const minuteMs = 60_000;
export const hourMs = 60 * minuteMs;
export const yearMs = 365 * dayMs;

export interface Clocks {
  /** Milliseconds that truly passed. */
  ms: number;
  /** Milliseconds by which the wall clock is ahead. */
  wallAheadMs: number;
  /** Milliseconds by which the second clock is ahead; undefined while it cannot be read. */
  secondAheadMs: number | undefined;
}

const startMs = Date.parse("2026-01-01T00:00:00.000Z");

/** The store, whose server's clock is not asked: the test has one that it can set. */
export function withoutClock(store: Store): Store {
  return { ...store, witnessedTime: async () => ({ ...(await store.witnessedTime()), storeAt: undefined }) };
}

export function newWorld({ store = memoryStore(realTime), secondAheadMs }: Partial<Clocks> & { store?: Store } = {}) {
  const clocks: Clocks = { ms: 0, wallAheadMs: 0, secondAheadMs };
  const provider = localProvider(randomMasterKey());
  const wallAt = () => new Date(startMs + clocks.ms + clocks.wallAheadMs);
  const second = {
    name: "the second clock",
    read: async () =>
      clocks.secondAheadMs === undefined ? undefined : new Date(startMs + clocks.ms + clocks.secondAheadMs),
  };
  let replicas = 0;

  function start() {
    const asleep = { suspendedMs: 0, pausedMs: 0 };
    const sinceBootMs = () => clocks.ms - asleep.pausedMs;
    const awakeMs = () => sinceBootMs() - asleep.suspendedMs;
    const witness = createTimeWitness({
      store,
      second,
      time: { ...wallTime(wallAt), monotonicMs: awakeMs, sinceBootMs },
    });
    const keyring = createKeyring({
      store,
      time: wallTime(wallAt),
      providerKeys: providerKeys({ current: provider }),
      ...caches,
    });
    const lifecycle = createLifecycle({ store, keyring, witness, time: wallTime(wallAt) });
    replicas += 1;
    const holder = `replica ${replicas}`;
    const destroyed: number[] = [];
    const rounds = destructionRounds({
      store,
      witness,
      holder,
      destroyDue: lifecycle.destroyDue,
      destroyed: (count) => destroyed.push(count),
    });
    const signal = new AbortController().signal;
    const die = async () => void (await store.lease("maintenance/2", holder, 0));
    return {
      witness,
      keyring,
      lifecycle,
      rounds,
      destroyed,
      round: () => rounds.run(signal),
      /** Lives for so long, with a round at the start and then every minute. */
      async live(ms: number) {
        await rounds.run(signal);
        for (const end = clocks.ms + ms; clocks.ms < end; ) {
          clocks.ms += Math.min(minuteMs, end - clocks.ms);
          await rounds.run(signal);
        }
      },
      /** The machine sleeps and knows it. */
      suspend(ms: number) {
        clocks.ms += ms;
        asleep.suspendedMs += ms;
      },
      /** The virtual machine is halted from outside, and knows nothing of it. */
      pause(ms: number) {
        clocks.ms += ms;
        asleep.pausedMs += ms;
      },
      /** Killed; and its lease has run out, which the store's own clock would tell. */
      die,
      /** Lives for one round. */
      async liveBriefly() {
        await rounds.run(signal);
        await die();
      },
      schedule: (keyId: string, days = 7, tenantId = "acme") =>
        lifecycle.scheduleDestruction({ tenantId, keyId, days, by: { actor: "ann", requestId: "" } }),
      cancel: (keyId: string, tenantId = "acme") =>
        lifecycle.cancelDestruction({ tenantId, keyId, by: { actor: "ann", requestId: "" } }),
    };
  }

  return {
    store,
    clocks,
    start,
    wallAt,
    newKey: async (replica: { keyring: Pick<Keyring, "activeDataKey"> }, tenantId = "acme") =>
      (await replica.keyring.activeDataKey(tenantId)).keyId,
    stateOf: async (keyId: string, tenantId = "acme") => (await store.get(tenantId, keyId))!.state,
    witnessedMs: async () => (await store.witnessedTime()).noted?.witnessedMs,
  };
}
