/** Measures how long it takes to get a key, into the histograms kms_retrieve_{signing,encryption}_key_seconds. */
import type { Histogram } from "@opentelemetry/api";
import type { Time } from "../runtime/time.ts";
import type { MaybePromise } from "../call/maybe-promise.ts";

export interface KeyTimer {
  signing<T>(get: () => MaybePromise<T>): MaybePromise<T>;
  encryption<T>(get: () => MaybePromise<T>): MaybePromise<T>;
}

const cached = { cached: "true" };
const notCached = { cached: "false" };

export function keyTimer(
  instruments: { retrieveSigningKey: Histogram; retrieveEncryptionKey: Histogram },
  time: Time,
): KeyTimer {
  return {
    signing: (get) => timed(instruments.retrieveSigningKey, time, get),
    encryption: (get) => timed(instruments.retrieveEncryptionKey, time, get),
  };
}

/** A key that is at hand comes without a promise. */
function timed<T>(histogram: Histogram, time: Time, get: () => MaybePromise<T>): MaybePromise<T> {
  const startedMs = time.monotonicMs();
  const key = get();
  if (!(key instanceof Promise)) {
    histogram.record(secondsSince(startedMs, time), cached);
    return key;
  }
  return key.finally(() => histogram.record(secondsSince(startedMs, time), notCached));
}

function secondsSince(startedMs: number, time: Time): number {
  return (time.monotonicMs() - startedMs) / 1000;
}
