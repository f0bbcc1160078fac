/**
 * Limit of failures to prove who calls, for each network of addresses: once it is reached, nothing that such a network shows is verified. It
 * never has a debt, so that the next try is soon.
 */
import { rateLimited } from "../errors.ts";
import { keyedBuckets } from "./keyed-buckets.ts";
import { networkOf } from "./network-of.ts";
import type { LimitLog } from "./log.ts";
import { type Monotonic, rateOf } from "./token-bucket.ts";

export interface FailureLimit {
  /** Throws RATE_LIMITED, with the time until another try fits, if the network has failed too often. */
  check(address: string): void;
  /** Counts a failure of the network. */
  failed(address: string): void;
}

interface FailureLimitParts {
  /** Failures a second; 0 for any number. */
  failuresPerSecond: number;
  limitLog: Pick<LimitLog, "acted">;
  now: Monotonic;
}

/** Seconds of the rate that may come at once. */
export const failureBurstSeconds = 10;

/** Undefined if any number is allowed. */
export function createFailureLimit({ failuresPerSecond, limitLog, now }: FailureLimitParts): FailureLimit | undefined {
  if (failuresPerSecond === 0) return undefined;
  const networks = keyedBuckets(rateOf(failuresPerSecond, failureBurstSeconds * failuresPerSecond), { now, debtMs: 0 });
  return {
    check(address) {
      const network = networkOf(address);
      const waitMs = networks.waitMs(network);
      if (waitMs === 0) return;
      limitLog.acted("failures", { who: network });
      throw rateLimited(waitMs);
    },
    failed: (address) => networks.of(networkOf(address)).take(),
  };
}
