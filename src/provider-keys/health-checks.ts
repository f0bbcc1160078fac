/**
 * Health checks of a provider key by `describe`, which costs no cryptographic operation: every 30 s, and every second while its
 * provider refuses it or does not answer. After a refusal, a check without an answer leaves the key refused.
 */
import { KmsError } from "../errors.ts";
import type { Provider, ProviderKeyState } from "../provider/provider.ts";
import type { Time, Timer } from "../runtime/time.ts";

export interface KeyHealth {
  readonly condition: "answering" | "unavailable" | "denied";
  /** The provider's word for the state of its key, or why there is none: safe to show. */
  readonly detail: string;
  /** What an operator can do about it; not for callers. */
  readonly advice: string | undefined;
  readonly since: Date;
  /** Time that the last check took. */
  readonly latencyMs: number;
  /** See ProviderKeyState. */
  readonly clockSkewMs: number | undefined;
  /** The provider's clock at the last check, if that told it, and when that was in monotonic milliseconds. */
  readonly providerTime?: { readonly at: Date; readonly monotonicMs: number } | undefined;
}

export interface HealthChecks {
  /** Result of the last check; undefined before the first. */
  last(): KeyHealth | undefined;
  /** Checks now; one at a time, however many ask. */
  check(): Promise<void>;
  /** Checks at most once in `retryMs`: now, or later if a check has just been. Resolves with the check that is under way, if any. */
  recheck(): Promise<void>;
  stop(): void;
}

export interface HealthChecksOptions {
  provider: Provider;
  intervalMs: number;
  retryMs: number;
  time: Time;
  random: () => number;
  /** Called after each check that found something. */
  checked(): void;
}

const jitter = 0.1;

export function createHealthChecks({
  provider,
  intervalMs,
  retryMs,
  time,
  random,
  checked,
}: HealthChecksOptions): HealthChecks {
  const stopped = new AbortController();
  let last: KeyHealth | undefined;
  let timer: Timer | undefined;
  let checking: Promise<void> | undefined;
  let checkedAtMs = Number.NEGATIVE_INFINITY;

  function check(): Promise<void> {
    time.clear(timer);
    checking ??= checkOnce().finally(() => {
      checking = undefined;
      checkIn(last?.condition === "answering" ? intervalMs * (1 - jitter + 2 * jitter * random()) : retryMs);
    });
    return checking;
  }

  function checkIn(ms: number): void {
    time.clear(timer);
    if (!stopped.signal.aborted) timer = time.after(ms, check);
  }

  async function checkOnce(): Promise<void> {
    checkedAtMs = time.monotonicMs();
    const found = await provider.describe(stopped.signal).then(conditionOf, conditionOfFailure);
    const latencyMs = time.monotonicMs() - checkedAtMs;
    if (stopped.signal.aborted && last !== undefined) return;
    if (last?.condition === "denied" && found.condition === "unavailable") {
      last = { ...last, latencyMs };
      return;
    }
    const isNew = last === undefined || last.condition !== found.condition || last.detail !== found.detail;
    const now = time.now();
    last = {
      ...found,
      latencyMs,
      since: isNew ? now : last!.since,
      providerTime: timeIn(found, now, time.monotonicMs()),
    };
    checked();
  }

  return {
    last: () => last,
    check,
    async recheck() {
      const restMs = checkedAtMs + retryMs - time.monotonicMs();
      if (checking === undefined && restMs <= 0) return check();
      await checking; // began before it was asked for, and may not have seen why
      checkIn(Math.max(0, checkedAtMs + retryMs - time.monotonicMs()));
    },
    stop() {
      stopped.abort();
      time.clear(timer);
    },
  };
}

type Found = Omit<KeyHealth, "since" | "latencyMs" | "providerTime">;

function timeIn({ clockSkewMs }: Found, wallAt: Date, monotonicMs: number): KeyHealth["providerTime"] {
  if (clockSkewMs === undefined) return undefined;
  return { at: new Date(wallAt.getTime() - clockSkewMs), monotonicMs };
}

function conditionOf({ state, detail, clockSkewMs }: ProviderKeyState): Found {
  return { condition: state === "enabled" ? "answering" : "denied", detail, advice: undefined, clockSkewMs };
}

function conditionOfFailure(error: unknown): Found {
  const isOurs = error instanceof KmsError;
  return {
    condition: isOurs && error.code === "PROVIDER_DENIED" ? "denied" : "unavailable",
    detail: isOurs ? error.message : "internal error, see the log",
    advice: isOurs ? error.advice : undefined,
    clockSkewMs: undefined,
  };
}
