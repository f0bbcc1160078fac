/** Leases that this process holds now, by the names that metrics have for their work. */
import type { Time } from "../runtime/time.ts";
import { hasCode } from "../errors.ts";
import type { Leases } from "./lease-store.ts";

/** Work that is done under leases, as metrics name it. No such name has a tenant or a key in it. */
export const leasedWork = ["rotation", "integrity", "destruction", "probe", "rewriting", "backup"] as const;

export type LeasedWork = (typeof leasedWork)[number];

/** Work by the name of its lease. Probes have a lease for each provider key: see `workOf`. */
const works: Readonly<Record<string, LeasedWork>> = {
  "rotation/2": "rotation",
  integrity: "integrity",
  "maintenance/2": "destruction",
  rewriting: "rewriting",
  backup: "backup",
};

/** Names the work of a lease; undefined for a lease that no part of a running service takes. */
export function workOf(name: string): LeasedWork | undefined {
  if (name.startsWith("probe/")) return "probe";
  return Object.hasOwn(works, name) ? works[name] : undefined;
}

export interface HeldLeases<S> {
  /** Store through which leases are to be taken and finished. */
  store: S;
  /** Whether this process holds a lease for the work now. */
  holds(work: LeasedWork): boolean;
}

/**
 * Watches the leases that are taken through a store. A lease is held from the answer that gives it. It is held until it
 * is finished, taken for 0 ms, or found to be another's, and no longer than its time. `now` gives monotonic milliseconds.
 */
export function heldLeases<S extends Leases>(store: S, now: Time["monotonicMs"]): HeldLeases<S> {
  /** End of each lease that was not finished yet, by its name. */
  const ends = new Map<string, number>();

  return {
    store: {
      ...store,
      async lease(name, holder, ttlMs) {
        const askedAtMs = now(); // by the store's clock it ends later
        const answer = await store.lease(name, holder, ttlMs);
        if (answer.generation !== undefined && ttlMs > 0) ends.set(name, askedAtMs + ttlMs);
        else ends.delete(name);
        return answer;
      },
      async finishLease(fence, at) {
        try {
          await store.finishLease(fence, at);
          ends.delete(fence.name);
        } catch (error) {
          if (hasCode(error, "LEASE_LOST")) ends.delete(fence.name);
          throw error;
        }
      },
    },
    holds(work) {
      const nowMs = now();
      for (const [name, endMs] of ends) {
        if (endMs <= nowMs) ends.delete(name);
        else if (workOf(name) === work) return true;
      }
      return false;
    },
  };
}
