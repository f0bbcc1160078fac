/**
 * A cache of values that must be destroyed when they leave it: `get` answers at once or not at all, `load` may wait.
 *
 * One load a key runs at a time, whoever waits for it and whoever stops waiting. An entry lives and is reloaded by the rules of stale-policy.ts; a reload that takes longer
 * than a second is not waited for while the present value may be served.
 *
 * A value that leaves is destroyed in the next `setImmediate`. The rule for its users: use it synchronously after `get`
 * returned it or an `await` gave it, and take it again after the next `await`.
 */
import { LRUCache } from "lru-cache";
import type { KmsErrorCode } from "../errors.ts";
import type { Time } from "../runtime/time.ts";
import {
  afterFailure,
  denialMs,
  doubted,
  isRepeated,
  isStale,
  type Lifetime,
  type LoadReason,
  lifetime,
  loadReason,
  patienceMs,
  prolonged,
  reloading,
  retriedLater,
  type StaleLimits,
} from "./stale-policy.ts";

export interface Destroyable {
  destroy(): void;
}

export interface CacheOptions extends StaleLimits {
  maxEntries: number;
  /** Errors that are repeated for a second without another load, beside PROVIDER_DENIED. */
  repeats?: readonly KmsErrorCode[];
  time: Time;
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

interface Entry<V> extends Lifetime {
  value: V;
  loader: () => Promise<V>;
}

/** A load that is under way. */
interface Flight<V> {
  promise: Promise<V>;
  /** Began before a change of its key: it goes to its waiters alone, and the next one to ask begins another. */
  overtaken: boolean;
  readonly beganAt: number;
  readonly reason: LoadReason;
}

interface Denial {
  error: unknown;
  until: number;
}

export function createCache<V extends Destroyable>(options: CacheOptions): Cache<V> {
  const { maxEntries, repeats, time, random } = options;
  const now = time.monotonicMs;
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
      reloading(entry);
      fly(key, entry.loader).promise.catch(() => {}); // whoever needs the value next meets the error
    }
    return entry.value;
  }

  function keep(key: string, value: V, loader: () => Promise<V>): void {
    entries.set(key, { value, loader, ...lifetime(options, now(), random()) });
  }

  function overtake(key: string): void {
    denials.delete(key);
    const flight = flights.get(key);
    if (flight !== undefined) flight.overtaken = true;
    flights.delete(key);
  }

  /** The load of `key` that is under way, or a new one. */
  function fly(key: string, loader: () => Promise<V>): Flight<V> {
    const running = flights.get(key);
    if (running !== undefined) return running;
    const beganAt = now();
    const reason = loadReason(entries.peek(key), beganAt);
    const flight = { overtaken: false, beganAt, reason } as Flight<V>;
    flights.set(key, flight);
    flight.promise = land(key, flight, loader).finally(() => {
      if (flights.get(key) === flight) flights.delete(key);
    });
    return flight;
  }

  async function land(key: string, flight: Flight<V>, loader: () => Promise<V>): Promise<V> {
    let value: V;
    try {
      value = await loader();
    } catch (error) {
      if (flight.overtaken) throw error;
      return outlive(key, error);
    }
    if (!flight.overtaken) {
      loads[flight.reason] += 1;
      keep(key, value, loader);
      return value;
    }
    destroyLater(value);
    return present(key) ?? value;
  }

  /** The value that is served in spite of a failed load; throws if there is none. */
  function outlive(key: string, error: unknown): V {
    const at = now();
    if (isRepeated(error, repeats)) denials.set(key, { error, until: at + denialMs });
    const entry = entries.peek(key);
    if (entry === undefined) throw error;
    const outcome = afterFailure(entry, error, at);
    if (outcome === "served") return serveStale(entry, at);
    if (outcome === "evicted") entries.delete(key);
    else retriedLater(entry, at);
    throw error;
  }

  function serveStale(entry: Entry<V>, at: number): V {
    prolonged(entry, at);
    staleServedUntil = Math.max(staleServedUntil, entry.expiresAt);
    return entry.value;
  }

  /** What the load gives; or the expired value, once the load has taken long. */
  function patiently(key: string, { promise: loading, beganAt }: Flight<V>): Promise<V> {
    const entry = entries.peek(key);
    if (entry === undefined || now() >= entry.staleUntil) return loading;
    return orAfter(time, Math.max(0, beganAt + patienceMs - now()), loading, () => {
      const at = now();
      if (entries.peek(key) !== entry || at >= entry.staleUntil) return undefined; // told no meanwhile, or too old: waits on
      return serveStale(entry, at);
    });
  }

  /** Nothing is stale, and nothing counted, once no entry's longer life lasts. */
  function countStale(): number {
    const at = now();
    if (at >= staleServedUntil) return 0;
    return entries.values().reduce((count, entry) => count + (isStale(entry, at) ? 1 : 0), 0);
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
      for (const key of flights.keys()) overtake(key);
      for (const [key, { value }] of entries.entries()) if (isUnwanted(value)) entries.delete(key);
    },

    doubtWhere(isDoubtful) {
      for (const entry of entries.values()) if (isDoubtful(entry.value)) doubted(entry);
    },

    doubtIf(key, isDoubtful) {
      const entry = entries.peek(key);
      if (entry !== undefined && isDoubtful(entry.value)) doubted(entry);
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
      for (const key of flights.keys()) overtake(key);
      denials.clear();
      entries.clear();
    },

    stats: () => ({ hits, misses, evictions, size: entries.size, stale: countStale(), loads: { ...loads } }),
  };
}

/** What `loading` gives; or what `other` gives, if anything, once `ms` have passed. */
function orAfter<V>(time: Time, ms: number, loading: Promise<V>, other: () => V | undefined): Promise<V> {
  return new Promise((resolve, reject) => {
    const timer = time
      .after(ms, () => {
        const value = other();
        if (value !== undefined) resolve(value);
      })
      .ref();
    loading.then(resolve, reject).finally(() => time.clear(timer));
  });
}

function destroyLater(value: Destroyable): void {
  setImmediate(() => value.destroy());
}
