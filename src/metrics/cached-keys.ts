/** The caches of unwrapped and of public keys. */
import { cachesOf, type Keyring } from "../keys/keyring.ts";
import type { Observer, Read } from "./read-metrics.ts";

export interface CacheParts {
  keyring: Pick<Keyring, "stats">;
  /** Most keys of each kind that are cached. */
  maxEntries: number;
}

type Cache = ReturnType<typeof cachesOf>[number];

export function observeCaches({ gauge, counter }: Observer, { keyring, maxEntries }: CacheParts): void {
  const each =
    (pick: (cache: Cache) => number): Read =>
    () =>
      cachesOf(keyring, maxEntries).map((cache) => [pick(cache), { key_type: cache.keyType }]);
  counter(
    "kms_cache_hit_total",
    "Key lookups answered from the cache",
    each(({ hits }) => hits),
  );
  counter(
    "kms_cache_miss_total",
    "Key lookups not answered from the cache",
    each(({ misses }) => misses),
  );
  counter(
    "kms_cache_evictions_total",
    "Keys dropped from the cache before their time",
    each(({ evictions }) => evictions),
  );
  counter("kms_cache_loads_total", "Keys that were loaded, by why", () =>
    cachesOf(keyring, maxEntries).flatMap(({ keyType, loads }) =>
      Object.entries<number>(loads).map(([reason, count]) => [count, { key_type: keyType, reason }] as const),
    ),
  );
  gauge(
    "kms_cache_size",
    "Keys in the cache",
    each(({ size }) => size),
  );
  gauge(
    "kms_cache_stale",
    "Keys in use past their time to live, as their provider or the store does not answer",
    each(({ stale }) => stale),
  );
}
