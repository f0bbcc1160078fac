/** Token buckets by key: of callers, tenants or networks. The key used longest ago is forgotten, and begins with a full bucket. */
import { type BucketOptions, type Rate, type TokenBucket, tokenBucket } from "./token-bucket.ts";

export interface KeyedBuckets {
  /** Returns the key's bucket, made if there is none. */
  of(key: string): TokenBucket;
  /** Milliseconds until the key's bucket has a unit; 0 if it does. Makes no bucket. */
  waitMs(key: string): number;
}

export const maxBuckets = 10_000;

export function keyedBuckets(rate: Rate, options: BucketOptions): KeyedBuckets {
  const buckets = new Map<string, TokenBucket>();
  return {
    of(key) {
      const bucket = buckets.get(key) ?? tokenBucket(rate, options);
      buckets.delete(key); // moves it to the end of the map's order
      buckets.set(key, bucket);
      if (buckets.size > maxBuckets) buckets.delete(buckets.keys().next().value!);
      return bucket;
    },
    waitMs: (key) => buckets.get(key)?.waitMs() ?? 0,
  };
}
