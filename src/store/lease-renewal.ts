/** Work under a lease of the store: a holder's name, and the renewals while the work lasts. */
import { randomBytes } from "node:crypto";
import type { Time } from "../runtime/time.ts";
import { hasCode, KmsError } from "../errors.ts";
import type { Fence, LeaseStore } from "./lease-store.ts";

export interface HeldLease extends Fence {
  holder: string;
  ttlMs: number;
}

/** By how much the clocks of two replicas may differ, in milliseconds: a noted time that is further ahead was noted by a wrong clock. */
export const replicaClockSkewMs = 5 * 60_000;
const holderBytes = 16;

/** Makes a holder's name that no other replica has, in lower-case hex. */
export function newHolder(): string {
  return randomBytes(holderBytes).toString("hex");
}

/** Throws LEASE_LOST if another holder has the lease, or had it. */
export async function renewLease(store: Pick<LeaseStore, "lease">, lease: HeldLease): Promise<void> {
  const { name, generation, holder, ttlMs } = lease;
  const renewed = await store.lease(name, holder, ttlMs);
  if (renewed.generation === generation) return;
  throw new KmsError("LEASE_LOST", `the lease ${name} of generation ${generation} is over`);
}

/**
 * Renews the lease every third of its time until `stop`, which waits for the renewal that is under way. `lost` aborts with LEASE_LOST.
 * A store that does not answer is asked again: the lease may end, and then its fence refuses what is written under it.
 */
export function keepRenewing(store: Pick<LeaseStore, "lease">, lease: HeldLease, time: Time) {
  const lost = new AbortController();
  let renewal: Promise<void> | undefined;
  const renew = async () => {
    await renewLease(store, lease).catch((error) => {
      if (hasCode(error, "LEASE_LOST")) lost.abort(error);
    });
    renewal = undefined;
  };
  const timer = time.every(lease.ttlMs / 3, () => {
    renewal ??= renew();
  });
  return {
    lost: lost.signal,
    async stop() {
      time.clear(timer);
      await renewal;
    },
  };
}
