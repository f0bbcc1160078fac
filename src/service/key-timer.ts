/** Measures how long it takes to get a key, into the histograms kms_retrieve_{signing,encryption}_key_seconds. */
import type { Histogram } from "@opentelemetry/api";
import type { MaybePromise } from "../call/maybe-promise.ts";

export interface KeyTimer {
  signing<T>(get: () => MaybePromise<T>): MaybePromise<T>;
  encryption<T>(get: () => MaybePromise<T>): MaybePromise<T>;
}

const cached = { cached: "true" };
const notCached = { cached: "false" };

export function keyTimer(instruments: { retrieveSigningKey: Histogram; retrieveEncryptionKey: Histogram }): KeyTimer {
  return {
    signing: (get) => timed(instruments.retrieveSigningKey, get),
    encryption: (get) => timed(instruments.retrieveEncryptionKey, get),
  };
}

/** A key that is at hand comes without a promise. */
function timed<T>(histogram: Histogram, get: () => MaybePromise<T>): MaybePromise<T> {
  const startedMs = performance.now();
  const key = get();
  if (!(key instanceof Promise)) {
    histogram.record(secondsSince(startedMs), cached);
    return key;
  }
  return key.finally(() => histogram.record(secondsSince(startedMs), notCached));
}

function secondsSince(startedMs: number): number {
  return (performance.now() - startedMs) / 1000;
}
