/** The part of the store's contract that lets one replica at a time do a piece of work. See store.ts for what holds for every part. */
import { hasCode } from "../errors.ts";

export interface LeaseStore {
  /**
   * Takes or renews the lease `name` for `ttlMs` by the store's clock. A new holder gets a new generation; one that renews in time keeps
   * its own. `generation` is undefined while somebody else holds it.
   */
  lease(name: string, holder: string, ttlMs: number): Promise<LeaseAnswer>;

  /** Notes that the work of a lease was done completely, and ends it. LEASE_LOST when the generation is not current any more. */
  finishLease(fence: Fence, at: Date): Promise<void>;

  /**
   * Reads when the work of the lease `name` was last done completely, whoever holds the lease now. Undefined if that was
   * never noted, or was noted before the store was restored: a backup has no leases. DATA_LOSS if the row is not as it
   * was written.
   */
  leaseFinishedAt(name: string): Promise<Date | undefined>;
}

/** Methods that work under a lease needs. */
export type Leases = Pick<LeaseStore, "lease" | "finishLease">;

/**
 * Work of operators that is noted in the store by its lease: a backup that is on disk; and a check of the store, or of a
 * restored copy, that found nothing. No part of a service does it.
 */
export type NotedWork = "backup" | "check";

export interface Fence {
  name: string;
  generation: number;
}

export interface LeaseAnswer {
  generation: number | undefined;
  /** When the work was last done completely. */
  finishedAt: Date | undefined;
}

/** A lease's row that somebody altered must not keep everybody from the work: "altered" instead of its DATA_LOSS. */
export async function orAltered(lease: Promise<LeaseAnswer>): Promise<LeaseAnswer | "altered"> {
  try {
    return await lease;
  } catch (error) {
    if (hasCode(error, "DATA_LOSS")) return "altered";
    throw error;
  }
}
