/**
 * A cache of values that must be destroyed when they leave it: `get` answers at once or not at all, `load` may wait.
 *
 * One load a key runs at a time, whoever waits for it and whoever stops waiting. An entry lives `ttlMs`; the first hit late
 * in its life starts one reload in the background (the moment is random, so that entries loaded together do not come back
 * together). While a reload gets no answer, or none within a second, the present value is served until it expires, and
 * `maxStaleMs` longer; an answer that says no (denied, unusable, lost) evicts it at once. No error is kept, but a denial for a second:
 * callers do not get to ask the provider again and again what it just refused.
 *
 * A value that leaves is destroyed in the next `setImmediate`. The rule for its users: use it synchronously after `get`
 * returned it or an `await` gave it, and take it again after the next `await`.
 */
import { LRUCache } from "lru-cache";
import { KmsError, type KmsErrorCode } from "../errors.ts";

export interface Destroyable {
  destroy(): void;
}

export interface CacheOptions {
  maxEntries: number;
  ttlMs: number;
  /** How long after its expiry a value is served while its reload gets no answer. */
  maxStaleMs: number;
  /** Monotonic milliseconds. */
  now: () => number;
  /** In [0, 1). */
  random: () => number;
}

/** Polled by the metrics: a callback would cost the hit path more than the hit. */
export interface CacheStats {
  /** Answered by `get`. */
  hits: number;
  /** Those who had to wait: for the provider, or for the store to say what became of a key since it was last asked. */
  misses: number;
  /** Pushed out by others or dropped after their time. */
  evictions: number;
  size: number;
  /** Of those, served past their time now, because their reload got no answer. */
  stale: number;
  /** Values that a loader gave and that were kept, by why it was asked. */
  loads: Readonly<Record<LoadReason, number>>;
}

/**
 * Of a value that was not there (never, or no more); that came late in a value's life, while it was still served; that came for one
 * who asked after its time; that was doubted early in its life. How often the second happens is a matter of the time to live.
 */
export type LoadReason = "first" | "refreshed" | "expired" | "doubted";

export interface Cache<V extends Destroyable> {
  /** The value if it is there and fresh. */
  get(key: string): V | undefined;
  /** After `get` said no: the value, from the cache, from the load that is running or from `loader`. */
  load(key: string, loader: () => Promise<V>): V | Promise<V>;
  /** Sets what was made elsewhere. A load that began before is not kept: its waiters get this value. */
  put(key: string, value: V, loader: () => Promise<V>): void;
  /** Forgets a key. A load that began before goes to its waiters, who asked before the change, and is not kept. */
  invalidate(key: string): void;
  /** Forgets every value that `isUnwanted`. Loads that began before go to their waiters, and are not kept. */
  evictWhere(isUnwanted: (value: V) => boolean): void;
  /** Has every value that `isDoubtful` loaded anew, in the background, at its next use. */
  doubtWhere(isDoubtful: (value: V) => boolean): void;
  /** The same of one. */
  doubtIf(key: string, isDoubtful: (value: V) => boolean): void;
  /** Destroys what may not be served any more, though nobody asks for it. */
  dropExpired(): void;
  /** Forgets everything. */
  clear(): void;
  stats(): CacheStats;
}

interface Entry<V> {
  value: V;
  loader: () => Promise<V>;
  /** Never after `expiresAt`: the one comparison of a hit. */
  refreshAt: number;
  /** The first `refreshAt`, by the clock alone. */
  dueAt: number;
  expiresAt: number;
  staleUntil: number;
}

interface Denial {
  error: unknown;
  until: number;
}

interface Flight<V> {
  promise: Promise<V>;
  /** Began before a change of its key. */
  overtaken: boolean;
  beganAt: number;
  reason: LoadReason;
}

const refreshFrom = 0.8;
const refreshSpread = 0.15;
/** A value that is asked for all the time is loaded once in this share of its time to live, on average. */
export const meanLife = refreshFrom + refreshSpread / 2;
/** The pause after a reload without an answer. */
const retryMs = 5_000;
/** For how long a value is then served without asking: longer than the pause and a reload that runs into its time limit. */
const servedStaleMs = 30_000;
/** How long a reload may take before a value that may be served without it is. */
const patienceMs = 1_000;
const denialMs = 1_000;

export function createCache<V extends Destroyable>(options: CacheOptions): Cache<V> {
  const { maxEntries, ttlMs, maxStaleMs, now, random } = options;
  let hits = 0;
  let misses = 0;
  let evictions = 0;
  const loads: Record<LoadReason, number> = { first: 0, refreshed: 0, expired: 0, doubted: 0 };
  let staleServedUntil = Number.NEGATIVE_INFINITY;
  const flights = new Map<string, Flight<V>>();
  const denials = new LRUCache<string, Denial>({ max: maxEntries });
  const entries = new LRUCache<string, Entry<V>>({
    max: maxEntries,
    dispose({ value }, _key, reason) {
      if (reason === "evict") evictions += 1;
      destroyLater(value);
    },
  });

  /** The value while it may be served; late in its life, this starts its reload. */
  function present(key: string): V | undefined {
    const entry = entries.get(key);
    if (entry === undefined) return undefined;
    const at = now();
    if (at >= entry.refreshAt) {
      if (at >= entry.expiresAt) return undefined;
      refresh(key, entry);
    }
    return entry.value;
  }

  function keep(key: string, value: V, loader: () => Promise<V>): void {
    const at = now();
    const expiresAt = at + ttlMs;
    const refreshAt = at + ttlMs * (refreshFrom + refreshSpread * random());
    entries.set(key, {
      value,
      loader,
      refreshAt,
      dueAt: refreshAt,
      expiresAt,
      staleUntil: expiresAt + maxStaleMs,
    });
  }

  function overtake(key: string): void {
    denials.delete(key);
    const flight = flights.get(key);
    if (flight !== undefined) flight.overtaken = true;
    flights.delete(key);
  }

  function fly(key: string, loader: () => Promise<V>): Flight<V> {
    const running = flights.get(key);
    if (running !== undefined) return running;
    const beganAt = now();
    const flight = { overtaken: false, beganAt, reason: reasonAt(beganAt, entries.peek(key)) } as Flight<V>;
    flights.set(key, flight);
    flight.promise = land(key, flight, loader).finally(() => {
      if (flights.get(key) === flight) flights.delete(key);
    });
    return flight;
  }

  function reasonAt(at: number, entry: Entry<V> | undefined): LoadReason {
    if (entry === undefined) return "first";
    if (at < entry.dueAt) return "doubted";
    return at < entry.staleUntil - maxStaleMs ? "refreshed" : "expired";
  }

  async function land(key: string, flight: Flight<V>, loader: () => Promise<V>): Promise<V> {
    let value: V;
    try {
      value = await loader();
    } catch (error) {
      if (!flight.overtaken && isOneOf(["PROVIDER_DENIED"], error))
        denials.set(key, { error, until: now() + denialMs });
      return outlive(key, flight, error);
    }
    if (!flight.overtaken) {
      loads[flight.reason] += 1;
      keep(key, value, loader);
      return value;
    }
    destroyLater(value);
    return present(key) ?? value;
  }

  /** The value that is served in spite of a failed load; throws where there is none. */
  function outlive(key: string, flight: Flight<V>, error: unknown): V {
    const entry = flight.overtaken ? undefined : entries.peek(key);
    if (entry === undefined) throw error;
    if (isOneOf(refusals, error)) {
      entries.delete(key);
      throw error;
    }
    const at = now();
    const outlives = isOneOf(unanswered, error) && at < entry.staleUntil;
    if (outlives) serveStale(entry, at);
    else entry.refreshAt = Math.min(at + retryMs, entry.expiresAt);
    if (!outlives) throw error;
    return entry.value;
  }

  function serveStale(entry: Entry<V>, at: number): void {
    entry.expiresAt = Math.max(entry.expiresAt, Math.min(at + servedStaleMs, entry.staleUntil));
    entry.refreshAt = Math.min(at + retryMs, entry.expiresAt);
    staleServedUntil = Math.max(staleServedUntil, entry.expiresAt);
  }

  /** Nothing is stale, and nothing counted, once no entry's longer life lasts. */
  function countStale(): number {
    const at = now();
    if (at >= staleServedUntil) return 0;
    let count = 0;
    for (const { expiresAt, staleUntil } of entries.values()) {
      if (at < expiresAt && at >= staleUntil - maxStaleMs) count += 1;
    }
    return count;
  }

  /** What the load gives; or the expired value, once the load has taken long. */
  function patiently(key: string, { promise: loading, beganAt }: Flight<V>): Promise<V> {
    const entry = entries.peek(key);
    if (entry === undefined || now() >= entry.staleUntil) return loading;
    const restMs = Math.max(0, beganAt + patienceMs - now());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const at = now();
        if (entries.peek(key) !== entry || at >= entry.staleUntil) return; // told no meanwhile, or too old: waits on
        serveStale(entry, at);
        resolve(entry.value);
      }, restMs);
      loading.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  function refresh(key: string, entry: Entry<V>): void {
    entry.refreshAt = entry.expiresAt; // one reload, and still an end
    fly(key, entry.loader).promise.catch(() => {}); // whoever needs the value next meets the error
  }

  return {
    get(key) {
      const value = present(key);
      if (value !== undefined) hits += 1;
      return value;
    },

    load(key, loader) {
      misses += 1;
      const denial = denials.get(key);
      if (denial !== undefined && now() < denial.until) throw denial.error;
      return present(key) ?? patiently(key, fly(key, loader));
    },

    put(key, value, loader) {
      overtake(key);
      keep(key, value, loader);
    },

    invalidate(key) {
      overtake(key);
      entries.delete(key);
    },

    evictWhere(isUnwanted) {
      for (const key of [...flights.keys()]) overtake(key);
      for (const [key, { value }] of entries.entries()) if (isUnwanted(value)) entries.delete(key);
    },

    doubtWhere(isDoubtful) {
      for (const entry of entries.values()) if (isDoubtful(entry.value)) entry.refreshAt = Number.NEGATIVE_INFINITY;
    },

    doubtIf(key, isDoubtful) {
      const entry = entries.peek(key);
      if (entry !== undefined && isDoubtful(entry.value)) entry.refreshAt = Number.NEGATIVE_INFINITY;
    },

    dropExpired() {
      const at = now();
      for (const [key, { staleUntil }] of entries.entries()) {
        if (at < staleUntil) continue;
        evictions += 1;
        entries.delete(key);
      }
    },

    clear() {
      for (const key of [...flights.keys()]) overtake(key);
      denials.clear();
      entries.clear();
    },

    stats: () => ({ hits, misses, evictions, size: entries.size, stale: countStale(), loads: { ...loads } }),
  };
}

/** No answer: the present value stays right. */
const unanswered: readonly KmsErrorCode[] = ["PROVIDER_UNAVAILABLE", "STORE_UNAVAILABLE"];
/** An answer, and it is no. */
const refusals: readonly KmsErrorCode[] = [
  "PROVIDER_DENIED",
  "KEY_UNUSABLE",
  "DATA_LOSS",
  "NOT_FOUND",
  "CIPHERTEXT_REJECTED",
];

function isOneOf(codes: readonly KmsErrorCode[], error: unknown): boolean {
  return error instanceof KmsError && codes.includes(error.code);
}

function destroyLater(value: Destroyable): void {
  setImmediate(() => value.destroy());
}
