/**
 * Whether a provider still lets its key be used, by a look (`describe`, which costs no cryptographic operation) every 30 s, and every
 * second while it refuses or does not answer. A provider that refuses its key has answered: from then on every use is refused here, with
 * its reason and without a call, and whoever holds unwrapped keys is told to forget them, until a look finds the key well. One that does
 * not answer changes nothing here: what was refused stays refused.
 *
 * A denied call has the key looked at before it fails, at most once a second; where the key looks well, what is denied may be one
 * operation or one tenant, and others are doubted: once in the time between looks, and as long as there are denials each time after twice the
 * time before, so that a tenant who goes on being denied does not have everyone's keys loaded anew without end.
 */
import { hasCode, KmsError } from "../errors.ts";
import type { Provider, ProviderKeyState } from "../provider/provider.ts";

export interface ProviderCondition {
  readonly condition: "answering" | "unavailable" | "denied";
  /** The provider's word for the state of its key, or why there is none: safe to show. */
  readonly detail: string;
  /** What an operator can do about it; not for callers. */
  readonly advice: string | undefined;
  readonly since: Date;
  /** Of the last look. */
  readonly latencyMs: number;
  /** See ProviderKeyState. */
  readonly clockSkewMs: number | undefined;
  /** The provider's clock at the last look that told it, and when that was by performance.now(). */
  readonly providerTime?: { readonly at: Date; readonly monotonicMs: number } | undefined;
}

export interface ProviderWatch {
  /** The provider that was given, refused while its key is. */
  readonly provider: Provider;
  current(): ProviderCondition;
  /** Looks now. */
  look(): Promise<ProviderCondition>;
  /** In the order of their subscription, all are told of a change before anyone meets its consequences. */
  subscribe(listener: ProviderListener): void;
  stop(): void;
}

export interface ProviderListener {
  /** The condition is another. */
  changed?(condition: ProviderCondition, provider: Provider): void;
  /** A call was denied although the key looks well: so may be others. */
  denied?(provider: Provider): void;
}

export interface WatchOptions {
  provider: Provider;
  intervalMs?: number;
  /** Between looks while the provider refuses or does not answer. */
  retryMs?: number;
  clock?: () => Date;
  /** In [0, 1). */
  random?: () => number;
}

const jitter = 0.1;
/** Between doubts: as long as a key is cached, by default. */
const longestDoubtMs = 3_600_000;

/** Looks once before it resolves. */
export async function watchProvider(options: WatchOptions): Promise<ProviderWatch> {
  const { provider, intervalMs = 30_000, retryMs = 1_000, clock = () => new Date(), random = Math.random } = options;
  const stopped = new AbortController();
  const listeners: ProviderListener[] = [];
  let current: ProviderCondition | undefined;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<ProviderCondition> | undefined;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  const isDoubtDue = doubts(intervalMs);

  /** One look at a time, whoever asks. */
  function look(): Promise<ProviderCondition> {
    clearTimeout(timer);
    looking ??= lookOnce().finally(() => {
      looking = undefined;
      lookIn(current?.condition === "answering" ? intervalMs * (1 - jitter + 2 * jitter * random()) : retryMs);
    });
    return looking;
  }

  function lookIn(ms: number): void {
    clearTimeout(timer);
    if (!stopped.signal.aborted) timer = setTimeout(look, ms).unref();
  }

  async function lookOnce(): Promise<ProviderCondition> {
    lookedAtMs = performance.now();
    const seen = await provider.describe(stopped.signal).then(conditionOf, conditionOfFailure);
    const latencyMs = performance.now() - lookedAtMs;
    if (stopped.signal.aborted && current !== undefined) return current;
    if (current?.condition === "denied" && seen.condition === "unavailable") {
      current = { ...current, latencyMs };
      return current;
    }
    const isNew = current === undefined || current.condition !== seen.condition || current.detail !== seen.detail;
    const now = clock();
    const next = { ...seen, latencyMs, since: isNew ? now : current!.since, providerTime: timeIn(seen, now) };
    current = next;
    if (isNew) for (const listener of listeners) listener.changed?.(next, provider);
    return next;
  }

  /** Ends before whoever was denied hears of it. */
  async function suspect(): Promise<void> {
    const restMs = lookedAtMs + retryMs - performance.now();
    if (looking === undefined && restMs <= 0) await look();
    else {
      await looking; // began before the denial, and may not have seen why
      lookIn(Math.max(0, lookedAtMs + retryMs - performance.now()));
    }
    if (current?.condition !== "answering" || !isDoubtDue()) return;
    for (const listener of listeners) listener.denied?.(provider);
  }

  async function allowed<T>(call: () => Promise<T>): Promise<T> {
    if (current?.condition === "denied") throw refusal(current);
    try {
      return await call();
    } catch (error) {
      if (hasCode(error, "PROVIDER_DENIED")) await suspect();
      throw error;
    }
  }

  await look();
  return {
    provider: guarded(provider, allowed),
    current: () => current!,
    look,
    subscribe(listener) {
      listeners.push(listener);
    },
    stop() {
      stopped.abort();
      clearTimeout(timer);
    },
  };
}

function refusal({ detail, advice }: ProviderCondition): KmsError {
  return new KmsError("PROVIDER_DENIED", `the provider refuses its key: ${detail}`, { advice });
}

function timeIn({ clockSkewMs }: Seen, wallAt: Date): ProviderCondition["providerTime"] {
  if (clockSkewMs === undefined) return undefined;
  return { at: new Date(wallAt.getTime() - clockSkewMs), monotonicMs: performance.now() };
}

/** Says when others may be doubted, and counts that as a doubt: see the head of this file. */
function doubts(intervalMs: number): () => boolean {
  let doubtedAtMs = Number.NEGATIVE_INFINITY;
  let restMs = intervalMs;
  return () => {
    const sinceMs = performance.now() - doubtedAtMs;
    if (sinceMs < restMs) return false;
    restMs = sinceMs < 2 * restMs ? Math.min(2 * restMs, longestDoubtMs) : intervalMs;
    doubtedAtMs = performance.now();
    return true;
  };
}

/** The provider, with every use of its key in `allowed`. */
function guarded(provider: Provider, allowed: <T>(use: () => Promise<T>) => Promise<T>): Provider {
  return {
    name: provider.name,
    keyId: provider.keyId,
    get region() {
      return provider.region;
    },
    wrapsForAnyone: provider.wrapsForAnyone,
    generateDataKey: (context, signal) => allowed(() => provider.generateDataKey(context, signal)),
    encrypt: (plaintext, context, signal) => allowed(() => provider.encrypt(plaintext, context, signal)),
    decrypt: (wrapped, context, signal) => allowed(() => provider.decrypt(wrapped, context, signal)),
    describe: (signal) => provider.describe(signal),
    inspect: (signal) => provider.inspect(signal),
    close: () => provider.close(),
  };
}

type Seen = Pick<ProviderCondition, "condition" | "detail" | "advice" | "clockSkewMs">;

function conditionOf({ state, detail, clockSkewMs }: ProviderKeyState): Seen {
  return { condition: state === "enabled" ? "answering" : "denied", detail, advice: undefined, clockSkewMs };
}

function conditionOfFailure(error: unknown): Seen {
  const isOurs = error instanceof KmsError;
  return {
    condition: isOurs && error.code === "PROVIDER_DENIED" ? "denied" : "unavailable",
    detail: isOurs ? error.message : "internal error, see the log",
    advice: isOurs ? error.advice : undefined,
    clockSkewMs: undefined,
  };
}
