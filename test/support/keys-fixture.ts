/** A keyring over the real memory store and local provider, on clocks that the test moves, with its provider calls counted. */
import { wholeKeyring, type WholeKeyringOptions } from "./whole-keyring.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import type { StateChange } from "../../src/store/key-store.ts";
import type { Store } from "../../src/store/store.ts";
import { realTime } from "../../src/runtime/time.ts";

export const dayMs = 24 * 60 * 60 * 1000;

/** For changes of state made in the store itself, as by another replica. */
export const disabling: StateChange = { action: "disable", actor: "ann", requestId: "", at: new Date(0) };

export function setUp(options: Partial<WholeKeyringOptions> = {}) {
  const time = { ms: 0, start: Date.parse("2026-01-01T00:00:00.000Z") };
  const counted = counting(options.provider ?? localProvider(randomMasterKey()));
  const store = options.store ?? memoryStore(realTime);
  const keyring = wholeKeyring({
    time: { ...realTime, now: () => new Date(time.start + time.ms), monotonicMs: () => time.ms },
    random: () => 0,
    maxPerSecond: Number.POSITIVE_INFINITY,
    ...options,
    store,
    provider: counted.provider,
  });
  return { keyring, store, time, calls: counted.calls, provider: counted.provider };
}

/** Counts the calls of each operation, and how many ran at once at most. */
export function counting(provider: Provider) {
  const calls = { generateDataKey: 0, encrypt: 0, decrypt: 0, inFlight: 0, mostInFlight: 0, total: 0 };
  async function count<T>(operation: "generateDataKey" | "encrypt" | "decrypt", call: () => Promise<T>): Promise<T> {
    calls[operation] += 1;
    calls.total += 1;
    calls.inFlight += 1;
    calls.mostInFlight = Math.max(calls.mostInFlight, calls.inFlight);
    try {
      return await call();
    } finally {
      calls.inFlight -= 1;
    }
  }
  const wrapper: Provider = {
    ...provider,
    generateDataKey: (...given) => count("generateDataKey", () => provider.generateDataKey(...given)),
    encrypt: (...given) => count("encrypt", () => provider.encrypt(...given)),
    decrypt: (...given) => count("decrypt", () => provider.decrypt(...given)),
  };
  return { provider: wrapper, calls };
}

/** Names each call of a store. */
export function countingStore(store: Store) {
  const calls: string[] = [];
  const counted = Object.entries(store).map(([name, member]) => {
    if (typeof member !== "function" || name === "watch") return [name, member];
    const call = (...given: unknown[]) => {
      calls.push(name);
      return (member as (...given: unknown[]) => unknown)(...given);
    };
    return [name, call];
  });
  return { store: Object.fromEntries(counted) as Store, calls };
}

export const turn = () => new Promise((resolve) => setImmediate(resolve));
