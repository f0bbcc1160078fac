/** A keyring over the real memory store and local provider, on clocks that the test moves, with its provider calls counted. */
import { wholeKeyring, type WholeKeyringOptions } from "./whole-keyring.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { ProviderContext } from "../../src/crypto/encryption-context.ts";
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
  async function count<T>(operation: Operation, call: () => Promise<T>): Promise<T> {
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
  return { provider: around(provider, count), calls };
}

type Operation = "generateDataKey" | "encrypt" | "decrypt";
type Around = <T>(operation: Operation, call: () => Promise<T>, context: ProviderContext) => Promise<T>;

function around(provider: Provider, run: Around): Provider {
  return {
    ...provider,
    generateDataKey: (...given) => run("generateDataKey", () => provider.generateDataKey(...given), given[0]),
    encrypt: (...given) => run("encrypt", () => provider.encrypt(...given), given[1]),
    decrypt: (...given) => run("decrypt", () => provider.decrypt(...given), given[1]),
  };
}

/** A provider whose calls come to `before` first, which may throw, or have them wait. */
export function providerWith(
  before: (operation: Operation, context: ProviderContext) => unknown,
  provider = localProvider(randomMasterKey()),
): Provider {
  return around(provider, async (operation, call, context) => {
    await before(operation, context);
    return call();
  });
}

/** Names each call of a store. */
export function countingStore(store: Store = memoryStore(realTime)) {
  const calls: string[] = [];
  return { store: storeWith((name) => void calls.push(name), store), calls };
}

/** A store whose calls come to `before` first, which may throw, or have them wait. */
export function storeWith(
  before: (name: keyof Store, ...given: string[]) => unknown,
  store: Store = memoryStore(realTime),
): Store {
  const members = Object.entries(store).map(([name, member]) => {
    if (typeof member !== "function" || name === "watch") return [name, member];
    const call = (...given: string[]) => {
      try {
        const first = before(name as keyof Store, ...given);
        return first instanceof Promise ? first.then(() => member(...given)) : member(...given);
      } catch (error) {
        return Promise.reject(error);
      }
    };
    return [name, call];
  });
  return Object.fromEntries(members) as Store;
}

/** What replicas share. */
export const shared = () => ({ store: memoryStore(realTime), provider: localProvider(randomMasterKey()) });

export const turn = () => new Promise((resolve) => setImmediate(resolve));
