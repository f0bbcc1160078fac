/**
 * Looks at a provider key (`describe`, which costs no cryptographic operation): every 30 s, and every second while its provider refuses it or
 * does not answer. One that refuses its key has answered; one that then does not answer is as it was.
 */
import { KmsError } from "../errors.ts";
import type { Provider, ProviderKeyState } from "../provider/provider.ts";
import type { Time, Timer } from "../runtime/time.ts";

export interface Sight {
  readonly condition: "answering" | "unavailable" | "denied";
  /** The provider's word for the state of its key, or why there is none: safe to show. */
  readonly detail: string;
  /** What an operator can do about it; not for callers. */
  readonly advice: string | undefined;
  readonly since: Date;
  /** Time that the last look took. */
  readonly latencyMs: number;
  /** See ProviderKeyState. */
  readonly clockSkewMs: number | undefined;
  /** The provider's clock at the last look, if that told it, and when that was in monotonic milliseconds. */
  readonly providerTime?: { readonly at: Date; readonly monotonicMs: number } | undefined;
}

export interface Looks {
  /** What the last look found; undefined before the first. */
  seen(): Sight | undefined;
  /** Looks now; one at a time, whoever asks. */
  look(): Promise<void>;
  /** Looks, at most once in `retryMs`: now, or later where a look has just been. Resolves with the look that is under way, if any. */
  lookAnew(): Promise<void>;
  stop(): void;
}

export interface LooksOptions {
  provider: Provider;
  intervalMs: number;
  retryMs: number;
  time: Time;
  random: () => number;
  /** Called after each look that found something. */
  looked(): void;
}

const jitter = 0.1;

export function createLooks({ provider, intervalMs, retryMs, time, random, looked }: LooksOptions): Looks {
  const stopped = new AbortController();
  let seen: Sight | undefined;
  let timer: Timer | undefined;
  let looking: Promise<void> | undefined;
  let lookedAtMs = Number.NEGATIVE_INFINITY;

  function look(): Promise<void> {
    time.clear(timer);
    looking ??= lookOnce().finally(() => {
      looking = undefined;
      lookIn(seen?.condition === "answering" ? intervalMs * (1 - jitter + 2 * jitter * random()) : retryMs);
    });
    return looking;
  }

  function lookIn(ms: number): void {
    time.clear(timer);
    if (!stopped.signal.aborted) timer = time.after(ms, look);
  }

  async function lookOnce(): Promise<void> {
    lookedAtMs = time.monotonicMs();
    const found = await provider.describe(stopped.signal).then(conditionOf, conditionOfFailure);
    const latencyMs = time.monotonicMs() - lookedAtMs;
    if (stopped.signal.aborted && seen !== undefined) return;
    if (seen?.condition === "denied" && found.condition === "unavailable") {
      seen = { ...seen, latencyMs };
      return;
    }
    const isNew = seen === undefined || seen.condition !== found.condition || seen.detail !== found.detail;
    const now = time.now();
    seen = {
      ...found,
      latencyMs,
      since: isNew ? now : seen!.since,
      providerTime: timeIn(found, now, time.monotonicMs()),
    };
    looked();
  }

  return {
    seen: () => seen,
    look,
    async lookAnew() {
      const restMs = lookedAtMs + retryMs - time.monotonicMs();
      if (looking === undefined && restMs <= 0) return look();
      await looking; // began before it was asked for, and may not have seen why
      lookIn(Math.max(0, lookedAtMs + retryMs - time.monotonicMs()));
    },
    stop() {
      stopped.abort();
      time.clear(timer);
    },
  };
}

type Found = Omit<Sight, "since" | "latencyMs" | "providerTime">;

function timeIn({ clockSkewMs }: Found, wallAt: Date, monotonicMs: number): Sight["providerTime"] {
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
