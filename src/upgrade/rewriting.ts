/**
 * Writes rows of a form that this release reads and writes no more anew, in the background: a page, then a pause as long
 * as the page took. Of several replicas the holder of the lease `rewriting` does it, once an hour, because a replica of
 * the release before may write such rows as long as it runs. Once the upgrade is finished it is done once a day: a replica
 * that was halted in the middle of a write, and goes on after the finish, still does that write.
 */
import { keepRenewing, newHolder } from "../store/lease-renewal.ts";
import { orAltered } from "../store/lease-store.ts";
import { newestSchema } from "../store/sql/rows/schema.ts";
import type { Store } from "../store/store.ts";
import type { RewritePlace } from "../store/upgrade-store.ts";
import type { Time } from "../runtime/time.ts";

export interface RewritingParts {
  store: Pick<Store, "lease" | "finishLease" | "rewriteRows" | "upgradeState">;
  time: Time;
  log: { info(details: object, message: string): void; warn(details: object, message: string): void };
}

const leaseName = "rewriting";
const leaseTtlMs = 60_000;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const retryMs = 60_000;
const leastPauseMs = 20;

export function startRewriting({ store, time, log }: RewritingParts): { close(): Promise<void> } {
  const stopped = new AbortController();
  const holder = newHolder();

  async function pass(signal: AbortSignal): Promise<number> {
    let rewritten = 0;
    for (let at: RewritePlace | "first" | undefined = "first"; at !== undefined; ) {
      const beganAtMs = time.monotonicMs();
      const page = await store.rewriteRows(at === "first" ? undefined : at);
      rewritten += page.rewritten;
      at = page.next;
      await time.sleep(Math.max(leastPauseMs, time.monotonicMs() - beganAtMs), { signal, ref: false });
    }
    return rewritten;
  }

  async function tell(passing: Promise<number>): Promise<void> {
    const rows = await passing;
    if (rows > 0) log.info({ rows }, "rows of an earlier release were written anew");
  }

  /** Gives the time until the next look, in milliseconds. */
  async function look(): Promise<number> {
    const { minReader } = await store.upgradeState();
    if (minReader < newestSchema) return inTurn(hourMs);
    if (minReader > newestSchema) return hourMs; // nothing is for this release to write
    const { next } = await store.rewriteRows(undefined);
    return next === undefined ? dayMs : inTurn(dayMs);
  }

  async function inTurn(everyMs: number): Promise<number> {
    const lease = await orAltered(store.lease(leaseName, holder, leaseTtlMs));
    if (lease === "altered") {
      await tell(pass(stopped.signal));
      return everyMs;
    }
    if (lease.generation === undefined) return retryMs;
    const { generation, finishedAt } = lease;
    const ageMs = time.now().getTime() - (finishedAt?.getTime() ?? 0);
    if (ageMs >= 0 && ageMs < everyMs) {
      await store.lease(leaseName, holder, 0);
      return everyMs - ageMs;
    }
    const beganAt = time.now();
    const renewing = keepRenewing(store, { name: leaseName, generation, holder, ttlMs: leaseTtlMs }, time);
    try {
      await tell(pass(AbortSignal.any([stopped.signal, renewing.lost])));
    } finally {
      await renewing.stop();
    }
    await store.finishLease({ name: leaseName, generation }, beganAt);
    return everyMs;
  }

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      const waitMs = await look().catch((err) => {
        if (!stopped.signal.aborted) log.warn({ err }, "rows of an earlier release are written anew in a minute");
        return retryMs;
      });
      await time.sleep(waitMs, { signal: stopped.signal, ref: false }).catch(() => {});
    }
  }

  const running = run();
  return {
    async close() {
      stopped.abort();
      await running;
    },
  };
}
