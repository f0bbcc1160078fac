/**
 * When provider keys are probed (lie-probe.ts): each once an hour by one replica, under a lease, a tenant's own only where this replica used it
 * in that hour. A pass finishes the lease. A probe that caught the provider, or showed nothing, does not: every other replica is due within
 * 5 minutes and a half, and sees for itself.
 *
 * A lease that is held is asked for again when it must have ended: its holder may be dead.
 */
import { createHash } from "node:crypto";
import type { Logger } from "pino";
import { type Notice, notice } from "../notices.ts";
import { hasCode, KmsError } from "../errors.ts";
import type { Provider } from "../provider/provider.ts";
import { newHolder, replicaClockSkewMs } from "../store/lease-renewal.ts";
import { type Leases, orAltered } from "../store/lease-store.ts";
import type { ProbeOutcome } from "./trust.ts";
import type { ProviderWatch } from "./watch.ts";
import type { Time, Timer } from "../runtime/time.ts";

export interface ProbedKey {
  watch: Pick<ProviderWatch, "provider" | "current" | "probe" | "usedAtMs">;
  /** Whether it is probed only while it is used. */
  ifUsed: boolean;
}

export interface Probing {
  /** Keys whose last probe showed nothing, one sentence each: a key whose probes never show anything may lie unseen. */
  remarks(): Notice[];
  /** Begins nothing more. A probe that is under way has no effect on the store: its lease ends by itself. */
  close(): void;
}

export interface ProbingOptions {
  /** The keys that are open now. */
  keys(): readonly ProbedKey[];
  store: Leases;
  time: Time;
  log: Pick<Logger, "warn">;
  /** A number in [0, 1). */
  random?: () => number;
}

const everyMs = 3_600_000;
/** A pass is followed by the next after an hour and up to so much. */
const jitterMs = 5 * 60_000;
/** Pause after a probe that showed nothing, but may soon. */
const againMs = 60_000;
const lookEveryMs = 30_000;
/** Two rounds of calls of 10 s at most, and room. */
const leaseTtlMs = 60_000;
const atOnce = 4;

export function scheduleProbes({ keys, store, time, log, random = Math.random }: ProbingOptions): Probing {
  const holder = newHolder();
  const dueAtMs = new WeakMap<ProbedKey["watch"], number>();
  const unshown = unshownKeys();
  let isClosed = false;
  let timer: Timer | undefined;
  const within = (ms: number) => time.monotonicMs() + ms + jitterMs * random();
  // The service's own were probed just now.
  for (const { watch, ifUsed } of keys()) if (!ifUsed) dueAtMs.set(watch, within(againMs));

  function isDue({ watch, ifUsed }: ProbedKey): boolean {
    if (watch.current().condition !== "answering") return false; // refused, or away: a probe would show nothing
    const now = time.monotonicMs();
    const usedAtMs = watch.usedAtMs();
    if (ifUsed && (usedAtMs === undefined || usedAtMs < now - everyMs)) return false;
    return (dueAtMs.get(watch) ?? now) <= now;
  }

  /** Gives when the key is due again. */
  async function probe({ watch }: ProbedKey): Promise<number> {
    const name = leaseOf(watch.provider);
    const lease = await orAltered(store.lease(name, holder, leaseTtlMs));
    if (lease === "altered") return noteOutcome(watch, await watch.probe());
    const { generation, finishedAt } = lease;
    if (generation === undefined) return time.monotonicMs() + leaseTtlMs;
    const beganAt = time.now();
    const passedMs = finishedAt === undefined ? everyMs : beganAt.getTime() - finishedAt.getTime();
    // One that is yet to come was noted by a clock that was wrong.
    const isDone = passedMs < everyMs && passedMs > -replicaClockSkewMs;
    const outcome = isDone || isClosed ? undefined : await watch.probe();
    if (isClosed) return time.monotonicMs();
    await (outcome === "passed" ? store.finishLease({ name, generation }, beganAt) : store.lease(name, holder, 0));
    if (outcome !== undefined) return noteOutcome(watch, outcome);
    unshown.note(watch, "passed"); // another replica has probed it
    return within(everyMs - passedMs);
  }

  /** Gives when a key is due again that was just probed. */
  function noteOutcome(watch: ProbedKey["watch"], outcome: ProbeOutcome): number {
    if (isClosed) return time.monotonicMs();
    unshown.note(watch, outcome);
    logUnshown(log, watch.provider, outcome);
    return within(mayPass(outcome) ? againMs : everyMs);
  }

  async function look(): Promise<void> {
    const due = keys().filter(isDue);
    const next = async (): Promise<void> => {
      for (let key = due.shift(); key !== undefined && !isClosed; key = due.shift()) {
        dueAtMs.set(key.watch, within(againMs)); // should the store not answer
        await probe(key).then(
          (at) => dueAtMs.set(key.watch, at),
          (err) => isClosed || log.warn({ err }, "the lease of a probe is asked for again in a minute"),
        );
      }
    };
    await Promise.all(Array.from({ length: atOnce }, next));
  }

  function lookLater(): void {
    if (isClosed) return;
    timer = time.after(lookEveryMs, () => void look().finally(lookLater));
  }

  lookLater();
  return {
    remarks: () => keys().flatMap(({ watch }) => unshown.remarks(watch)),
    close() {
      isClosed = true;
      time.clear(timer);
    },
  };
}

/** Why the last probe of a key showed nothing, by this replica; and none of another has passed since. */
function unshownKeys() {
  const reasons = new WeakMap<ProbedKey["watch"], string>();
  return {
    note(watch: ProbedKey["watch"], outcome: ProbeOutcome): void {
      const why = whyUnshown(outcome);
      if (why === undefined) reasons.delete(watch);
      else reasons.set(watch, why);
    },
    remarks(watch: ProbedKey["watch"]): Notice[] {
      const why = reasons.get(watch);
      return why === undefined ? [] : [remarkOn(watch.provider, why)];
    },
  };
}

/** Denials stay, each is a line in the provider's log, and a key of which nothing is known has nothing to show in a minute either. */
function mayPass(outcome: ProbeOutcome): boolean {
  return outcome instanceof Error && !hasCode(outcome, "PROVIDER_DENIED", "NOT_FOUND");
}

/** Logs a probe that showed nothing, except for a key that has wrapped nothing. */
export function logUnshown(
  log: Pick<Logger, "warn">,
  { name, keyId }: Pick<Provider, "name" | "keyId">,
  outcome: ProbeOutcome,
) {
  const reason = whyUnshown(outcome);
  if (reason === undefined) return;
  log.warn({ provider: name, keyId, reason }, "the provider key could not be probed, and is probed again");
}

/** Undefined of a probe that showed something, and of a key that has wrapped nothing. */
function whyUnshown(outcome: ProbeOutcome): string | undefined {
  if (!(outcome instanceof Error) || hasCode(outcome, "NOT_FOUND")) return undefined;
  return outcome instanceof KmsError ? outcome.message : "internal error";
}

function remarkOn({ name, keyId }: Pick<Provider, "name" | "keyId">, why: string): Notice {
  const text = `The provider key ${name} ${keyId} could not be probed (${why}): whether its provider lies is not known.`;
  return notice("PROVIDER_UNPROBED", text, name);
}

function leaseOf({ name, keyId }: Pick<Provider, "name" | "keyId">): string {
  return `probe/${createHash("sha256").update(`${name} ${keyId}`).digest("hex").slice(0, 32)}`;
}
