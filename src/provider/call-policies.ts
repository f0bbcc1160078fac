/**
 * How long, how often and how many at once a provider is called: total timeout > retry > bulkhead > breaker > attempt
 * timeout > call. Bulkhead and breaker are cockatiel's. Only PROVIDER_UNAVAILABLE is retried and counted by the breaker.
 */
import {
  BrokenCircuitError,
  bulkhead,
  type CircuitBreakerPolicy,
  CircuitState,
  circuitBreaker,
  ExponentialBackoff,
  fullJitterGenerator,
  handleWhen,
  type IBreaker,
  TaskCancelledError,
} from "cockatiel";
import { hasCode, KmsError } from "../errors.ts";
import { refuseAborted } from "../runtime/deadline.ts";
import type { Time } from "../runtime/time.ts";
import { type RetryOptions, retried, timeLimited } from "./retries.ts";

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
  /**
   * Retries in hand at most. Each takes one, and each call that succeeds gives back a tenth: retries never multiply an
   * outage.
   */
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

export type Call<T> = (signal: AbortSignal) => Promise<T>;

export interface CallPolicies {
  readonly breaker: CircuitBreakerPolicy;
  /** Throws while the breaker is not closed. */
  refuseWhilePaused(): void;
  /** One attempt, alone. `within` ends it; only `caller` is told that the call was cancelled. */
  attempt<T>(call: Call<T>, within: AbortSignal | undefined, caller: AbortSignal | undefined): Promise<T>;
  /** The whole way of a call, whose attempts are `once`. */
  execute<T>(once: Call<T>, caller: AbortSignal | undefined): Promise<T>;
}

const budgetPerSuccess = 0.1;

/** Policies of one provider, whose name errors have. */
export function callPolicies(name: string, settings: ResilienceSettings, time: Time): CallPolicies {
  let budget = settings.retryBudget;
  const retries: RetryOptions = {
    time,
    maxRetries: settings.maxRetries,
    backoff: new ExponentialBackoff({
      generator: fullJitterGenerator,
      initialDelay: settings.firstPauseMs,
      maxDelay: settings.maxPauseMs,
    }),
    takeRetry(error) {
      if (budget < 1 || !isUnavailable(error)) return false;
      budget -= 1;
      return true;
    },
  };
  const slots = bulkhead(settings.maxInFlight, Number.POSITIVE_INFINITY);
  const breaker = circuitBreaker(handleWhen(isUnavailable), {
    breaker: consecutiveFailures(settings.breakAfter),
    halfOpenAfter: Number.NEGATIVE_INFINITY, // only a probe comes through, and it has its own clock: the wall clock may be set back
  });

  function refuseWhilePaused(): void {
    if (breaker.state !== CircuitState.Closed) throw new BrokenCircuitError();
  }

  return {
    breaker,
    refuseWhilePaused,
    /** What is thrown once the signal is aborted (CANCELLED, by contract) depends on who aborted it. */
    async attempt(call, within, caller) {
      let timer: AbortSignal | undefined;
      const timed: typeof call = (signal) => {
        timer = signal;
        return call(signal);
      };
      try {
        return await timeLimited(time, settings.attemptTimeoutMs, timed, within);
      } catch (error) {
        refuseAborted(caller);
        if (within?.aborted) throw new TaskCancelledError(); // it had waited for its turn: what time was left says nothing of the provider
        throw timer?.aborted ? lateAnswer(name, error) : error;
      }
    },
    async execute(once, caller) {
      refuseWhilePaused(); // before the queue too, where calls may wait for those that hang
      const inTurn: typeof once = (signal) =>
        slots.execute(() => {
          refuseWhilePaused();
          return breaker.execute(() => once(signal), signal);
        }, signal);
      const tried: typeof once = (signal) => retried(retries, () => inTurn(signal), signal);
      const answer = await timeLimited(time, settings.totalTimeoutMs, tried, caller);
      budget = Math.min(settings.retryBudget, budget + budgetPerSuccess);
      return answer;
    },
  };
}

/** The policies' own errors as ours; a provider's are ours already. */
export function inOurWords(error: unknown, name: string): unknown {
  if (error instanceof TaskCancelledError) return lateAnswer(name, error);
  if (error instanceof BrokenCircuitError) return unavailable(`provider ${name} is failing; calls are paused`, error);
  return error;
}

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

function lateAnswer(name: string, cause: unknown): KmsError {
  return unavailable(`provider ${name} did not answer in time`, cause);
}

function unavailable(message: string, cause: unknown): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", message, { cause });
}
