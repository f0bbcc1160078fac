/**
 * Limits of calls: for each caller by its name, so that its connections and tokens share one, and for each tenant. A unit is a call; in calls
 * with many items, each 100 of them that are begun cost one more. A replica counts for itself.
 */
import type { CallLimits } from "../call/context.ts";
import { rateLimited } from "../errors.ts";
import { keyedBuckets } from "./keyed-buckets.ts";
import type { LimitLog } from "./log.ts";
import { type Monotonic, type Rate, rateOf, type TokenBucket } from "./token-bucket.ts";

export interface CallLimitSettings {
  /** Units a second of each caller, and of each tenant; 0 for any number. */
  readonly callsPerSecond: number;
  readonly tenantCallsPerSecond: number;
}

/** A caller's limit, and what an operator changes it by. */
export interface CallerLimit {
  readonly perSecond: number;
  readonly by: string;
}

export interface CallLimiter {
  /** Limit of callers whose rules have none; undefined if there is none. */
  readonly general: CallerLimit | undefined;
  /** Makes the limits of a caller. `own` returns the limit that holds now, and the same object until that changes. */
  of(name: string, own: () => CallerLimit | undefined): CallerLimits;
}

export interface CallerLimits extends CallLimits {
  /** Takes a unit of a tenant that the caller may name, for a call. Throws RATE_LIMITED if there is none. */
  tenant(tenantId: string): void;
}

interface CallLimiterParts extends CallLimitSettings {
  limitLog: Pick<LimitLog, "acted">;
  now: Monotonic;
}

export const itemsAUnit = 100;
const ofTenants = "fluo.kms.limit.tenant";

export function createCallLimiter(parts: CallLimiterParts): CallLimiter {
  const { callsPerSecond, tenantCallsPerSecond, limitLog, now } = parts;
  const general = callsPerSecond > 0 ? { perSecond: callsPerSecond, by: "fluo.kms.limit.caller" } : undefined;
  const callers = keyedBuckets(rateOf(Math.max(1, callsPerSecond)), { now });
  const tenants = tenantCallsPerSecond > 0 ? keyedBuckets(rateOf(tenantCallsPerSecond), { now }) : undefined;

  function tenantWaits(tenantId: string, waitMs: number): number {
    if (waitMs > 0) limitLog.acted("tenant", { who: tenantId, by: ofTenants });
    return waitMs;
  }

  function of(name: string, own: () => CallerLimit | undefined): CallerLimits {
    let [known, rate]: [CallerLimit | undefined, Rate | undefined] = [undefined, undefined];
    let bucket: TokenBucket | undefined;
    /** Undefined if no limit holds. */
    function current(): TokenBucket | undefined {
      const limit = own();
      if (limit !== known) {
        known = limit;
        rate = limit && rateOf(limit.perSecond);
      }
      if (rate === undefined) return undefined;
      bucket ??= callers.of(name);
      return bucket;
    }
    function callerWaits(waitMs: number): number {
      if (waitMs > 0) limitLog.acted("caller", { who: name, by: known!.by });
      return waitMs;
    }
    return {
      call(isStream) {
        const mine = current();
        if (mine === undefined) return;
        if (isStream) return mine.take(1, rate);
        const waitMs = callerWaits(mine.admit(rate));
        if (waitMs > 0) throw rateLimited(waitMs);
      },
      tenant(tenantId) {
        if (tenants === undefined) return;
        const waitMs = tenantWaits(tenantId, tenants.of(tenantId).admit());
        if (waitMs > 0) throw rateLimited(waitMs);
      },
      spend(tenantId, units) {
        if (units <= 0) return;
        current()?.take(units, rate);
        tenants?.of(tenantId).take(units);
      },
      waitMs(tenantId) {
        const ofCaller = callerWaits(current()?.waitMs(rate) ?? 0);
        if (tenantId === undefined || tenants === undefined) return ofCaller;
        return Math.max(ofCaller, tenantWaits(tenantId, tenants.waitMs(tenantId)));
      },
    };
  }

  return { general, of };
}

/** Units of items that are begun, beside the call itself. */
export function unitsOf(items: number): number {
  return Math.ceil(items / itemsAUnit);
}
