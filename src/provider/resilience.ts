/**
 * A Provider around another that bounds what a bad day at the provider costs: total timeout > retry > bulkhead > breaker >
 * attempt timeout > call. Only PROVIDER_UNAVAILABLE is retried and counted by the breaker; what a caller did wrong, a caller
 * that went away, and a call that waited so long for its turn that its whole time was up, never open it. Answers are distrusted here as far as every provider's look the same.
 *
 * While the breaker is open every call fails at once, and `describe`, once a second, is what tries the provider: no caller waits for a
 * trial. After one that succeeds a single failure opens the breaker again, until a call succeeds.
 */
import {
  BrokenCircuitError,
  bulkhead,
  CircuitState,
  circuitBreaker,
  ExponentialBackoff,
  fullJitterGenerator,
  handleWhen,
  type IBreaker,
  retry,
  TaskCancelledError,
  TimeoutStrategy,
  timeout,
} from "cockatiel";
import { hasCode, KmsError, type KmsErrorCode } from "../errors.ts";
import { cancelled, refuseAborted } from "../runtime/deadline.ts";
import { type DataKey, maxWrappedPlaintextBytes, type Provider } from "./provider.ts";

export interface ResilienceSettings {
  /** Calls at the provider at once; others wait in order of arrival. */
  maxInFlight: number;
  /** One attempt. */
  attemptTimeoutMs: number;
  /** The whole call: waiting for its turn, attempts and pauses. */
  totalTimeoutMs: number;
  /** Attempts after the first. */
  maxRetries: number;
  /** The first pause is random up to this, each further one up to twice the one before, at most `maxPauseMs`. */
  firstPauseMs: number;
  maxPauseMs: number;
  /** Retries in hand at most. Each takes one, and each call that succeeds gives back a tenth: retries never multiply an outage. */
  retryBudget: number;
  /** Consecutive unavailable attempts that open the breaker. */
  breakAfter: number;
  /** From the breaker's opening to the first try, and from each that fails to the next; up to a fifth longer. */
  probeMs: number;
}

export const defaultResilience: Readonly<ResilienceSettings> = {
  maxInFlight: 20,
  attemptTimeoutMs: 3_000,
  totalTimeoutMs: 10_000,
  maxRetries: 3,
  firstPauseMs: 50,
  maxPauseMs: 1_000,
  retryBudget: 10,
  breakAfter: 10,
  probeMs: 1_000,
};

export interface ProviderCall {
  operation: "generate_data_key" | "encrypt" | "decrypt" | "describe" | "inspect";
  outcome: "OK" | KmsErrorCode;
  /** Of the place that was called, where the provider has several. */
  region: string | undefined;
  /** What the call failed with, for the log. */
  error: unknown;
  seconds: number;
  /** Calls that reached the provider: what it charges for. */
  attempts: number;
}

export interface ResilienceOptions extends Partial<ResilienceSettings> {
  /** Called once when a call ends, whatever its end. */
  observe?: (call: ProviderCall) => void;
  /** Called whenever a breaker changes its state. */
  observeBreaker?: (breaker: Breaker) => void;
}

export interface Breaker {
  /** The provider, and its region where it has one: `aws/eu-west-1`. */
  name: string;
  state: "closed" | "open" | "half-open";
}

export interface ResilientProvider extends Provider {
  /** One for each place that serves the key. */
  breakers(): Breaker[];
}

type Call<T> = (signal: AbortSignal) => Promise<T>;

const dataKeyBytes = 32;
const maxWrappedBytes = 8192;
const budgetPerSuccess = 0.1;
const probeSpread = 0.2;

export function resilient(provider: Provider, options: ResilienceOptions = {}): ResilientProvider {
  const settings = { ...defaultResilience, ...options };
  const { name, keyId, region, wrapsForAnyone } = provider;
  const breakerName = region === undefined ? name : `${name}/${region}`;
  let budget = settings.retryBudget;
  const breaker = circuitBreaker(handleWhen(isUnavailable), {
    breaker: consecutiveFailures(settings.breakAfter),
    halfOpenAfter: 0, // only a probe comes through, and it has its own clock
  });
  const total = timeout(settings.totalTimeoutMs, TimeoutStrategy.Aggressive);
  // Not aborted on return, so that an aborted signal means that the time was up or the call abandoned.
  const attempt = timeout(settings.attemptTimeoutMs, { strategy: TimeoutStrategy.Aggressive, abortOnReturn: false });
  const slots = bulkhead(settings.maxInFlight, Number.POSITIVE_INFINITY);
  const retries = retry(
    handleWhen((error) => budget >= 1 && isUnavailable(error)),
    {
      maxAttempts: settings.maxRetries,
      backoff: new ExponentialBackoff({
        generator: fullJitterGenerator,
        initialDelay: settings.firstPauseMs,
        maxDelay: settings.maxPauseMs,
      }),
    },
  );

  retries.onRetry(() => {
    budget -= 1;
  });
  breaker.onStateChange(() => options.observeBreaker?.(breakerNow()));

  let nextProbe: NodeJS.Timeout | undefined;
  const closing = new AbortController();
  breaker.onBreak(() => {
    if (closing.signal.aborted) return;
    clearTimeout(nextProbe);
    nextProbe = setTimeout(probe, settings.probeMs * (1 + probeSpread * Math.random())).unref();
  });

  /** Closes the breaker, or opens it again, by the answer of `describe`: "no" is an answer too. */
  function probe(): void {
    run(
      "describe",
      (signal) => provider.describe(signal),
      closing.signal,
      (attemptOnce) => breaker.execute(() => attemptOnce()),
    ).catch(() => {});
  }

  function breakerNow(): Breaker {
    return { name: breakerName, state: stateNames[breaker.state] };
  }

  function refuseWhilePaused(): void {
    if (breaker.state !== CircuitState.Closed) throw new BrokenCircuitError();
  }

  /** One attempt. What it throws once its signal is aborted (CANCELLED, by contract) depends on who aborted it. */
  async function once<T>(call: Call<T>, within: AbortSignal | undefined, caller: AbortSignal | undefined): Promise<T> {
    let timer: AbortSignal | undefined;
    try {
      return await attempt.execute(({ signal }) => {
        timer = signal;
        return call(signal);
      }, within);
    } catch (error) {
      refuseAborted(caller);
      if (within?.aborted) throw new TaskCancelledError(); // it had waited for its turn: what time was left says nothing of the provider
      throw timer?.aborted ? lateAnswer(name, error) : error;
    }
  }

  /** `how` runs the one attempt, or as many as it takes. */
  async function run<T>(
    operation: ProviderCall["operation"],
    call: Call<T>,
    caller: AbortSignal | undefined,
    how: (attempt: (within?: AbortSignal) => Promise<T>) => Promise<T>,
  ): Promise<T> {
    const startedAt = performance.now();
    let attempts = 0;
    let outcome: ProviderCall["outcome"] = "OK";
    let error: unknown;
    const counted = (signal: AbortSignal) => {
      attempts += 1;
      return call(signal);
    };
    try {
      refuseAborted(caller);
      return await how((within = caller) => once(counted, within, caller));
    } catch (thrown) {
      error = caller?.aborted ? cancelled(caller) : inOurWords(thrown, name);
      outcome = error instanceof KmsError ? error.code : "INTERNAL";
      throw error;
    } finally {
      options.observe?.({
        operation,
        outcome,
        region,
        error,
        attempts,
        seconds: (performance.now() - startedAt) / 1000,
      });
    }
  }

  /** The whole way. */
  function guarded<T>(operation: ProviderCall["operation"], call: Call<T>, caller?: AbortSignal): Promise<T> {
    return run(operation, call, caller, async (attemptWithin) => {
      refuseWhilePaused(); // before the queue too, where calls may wait for those that hang
      const answer = await total.execute(
        ({ signal }) =>
          retries.execute(
            () =>
              slots.execute(() => {
                refuseWhilePaused();
                return breaker.execute(() => attemptWithin(signal), signal);
              }, signal),
            signal,
          ),
        caller,
      );
      budget = Math.min(settings.retryBudget, budget + budgetPerSuccess);
      return answer;
    });
  }

  /** One attempt outside the queue, which the breaker does not count: it says how the provider is when everything else waits. */
  function looking<T>(operation: ProviderCall["operation"], call: Call<T>, caller?: AbortSignal): Promise<T> {
    return run(operation, call, caller, (attemptOnce) => {
      refuseWhilePaused(); // the probe is looking
      return attemptOnce();
    });
  }

  return {
    name,
    keyId,
    region,
    wrapsForAnyone,
    generateDataKey: (context, signal) =>
      guarded(
        "generate_data_key",
        async (inner) => checkDataKey(await provider.generateDataKey(context, inner)),
        signal,
      ),
    encrypt: (plaintext, context, signal) =>
      guarded("encrypt", async (inner) => checkWrapped(await provider.encrypt(plaintext, context, inner)), signal),
    decrypt: (wrapped, context, signal) =>
      guarded("decrypt", async (inner) => checkOpened(await provider.decrypt(wrapped, context, inner)), signal),
    describe: (signal) => looking("describe", (inner) => provider.describe(inner), signal),
    inspect: (signal) => looking("inspect", (inner) => provider.inspect(inner), signal),
    async close() {
      closing.abort();
      clearTimeout(nextProbe);
      await provider.close();
    },
    breakers: () => [breakerNow()],
  };
}

const stateNames: Readonly<Record<CircuitState, Breaker["state"]>> = {
  [CircuitState.Closed]: "closed",
  [CircuitState.Open]: "open",
  [CircuitState.Isolated]: "open",
  [CircuitState.HalfOpen]: "half-open",
};

/** One for each name, the worst: two keys may be served by one place. */
export function worstBreakers(breakers: readonly Breaker[]): Breaker[] {
  const worst = new Map<string, Breaker>();
  for (const breaker of breakers) {
    const known = worst.get(breaker.name);
    if (known === undefined || badness[breaker.state] > badness[known.state]) worst.set(breaker.name, breaker);
  }
  return [...worst.values()];
}

const badness: Readonly<Record<Breaker["state"], number>> = { closed: 0, "half-open": 1, open: 2 };

/** A success that closes the breaker was a probe's: the first call that fails after it opens it again. */
function consecutiveFailures(breakAfter: number): IBreaker {
  let failures = 0;
  return {
    state: undefined,
    success(state) {
      failures = state === CircuitState.HalfOpen ? breakAfter - 1 : 0;
    },
    failure() {
      failures += 1;
      return failures >= breakAfter;
    },
  };
}

function isUnavailable(error: unknown): boolean {
  return hasCode(error, "PROVIDER_UNAVAILABLE");
}

/** The policies' own errors as ours; a provider's are ours already. */
function inOurWords(error: unknown, name: string): unknown {
  if (error instanceof TaskCancelledError) return lateAnswer(name, error);
  if (error instanceof BrokenCircuitError) return unavailable(`provider ${name} is failing; calls are paused`, error);
  return error;
}

function lateAnswer(name: string, cause: unknown): KmsError {
  return unavailable(`provider ${name} did not answer in time`, cause);
}

function unavailable(message: string, cause?: unknown): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", message, { cause });
}

function checkDataKey({ plaintext, wrapped }: DataKey): DataKey {
  if (plaintext.length !== dataKeyBytes) {
    plaintext.fill(0);
    throw unavailable(`the provider answered with a data key of ${plaintext.length} bytes`);
  }
  return { plaintext, wrapped: checkWrapped(wrapped) };
}

function checkOpened(plaintext: Uint8Array): Uint8Array {
  if (plaintext.length >= 1 && plaintext.length <= maxWrappedPlaintextBytes) return plaintext;
  plaintext.fill(0);
  throw unavailable(`the provider opened a wrapped key to ${plaintext.length} bytes`);
}

function checkWrapped(wrapped: Uint8Array): Uint8Array {
  if (wrapped.length < 1 || wrapped.length > maxWrappedBytes) {
    throw unavailable(`the provider answered with a wrapped key of ${wrapped.length} bytes`);
  }
  return wrapped;
}
