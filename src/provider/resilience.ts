/**
 * A Provider around another that bounds what a bad day at the provider costs: total timeout > retry > bulkhead > breaker >
 * attempt timeout > call. Only PROVIDER_UNAVAILABLE is retried and counted by the breaker; what a caller did wrong, and a
 * caller that went away, never opens it. Answers are distrusted here as far as every provider's look the same.
 */
import {
  BrokenCircuitError,
  bulkhead,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  fullJitterGenerator,
  handleWhen,
  noJitterGenerator,
  retry,
  TaskCancelledError,
  TimeoutStrategy,
  timeout,
} from "cockatiel";
import { KmsError, type KmsErrorCode } from "../errors.ts";
import { cancelled, type DataKey, type Provider } from "./provider.ts";

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
  /** Consecutive unavailable attempts that open the breaker. */
  breakAfter: number;
  /** How long it stays open before one call may try; doubles with each try that fails, up to 30 s. */
  breakMs: number;
}

export const defaultResilience: Readonly<ResilienceSettings> = {
  maxInFlight: 20,
  attemptTimeoutMs: 3_000,
  totalTimeoutMs: 10_000,
  maxRetries: 3,
  firstPauseMs: 50,
  maxPauseMs: 1_000,
  breakAfter: 10,
  breakMs: 1_000,
};

export interface ProviderCall {
  operation: "generate_data_key" | "encrypt" | "decrypt" | "describe";
  outcome: "OK" | KmsErrorCode;
  seconds: number;
  /** Calls that reached the provider: what it charges for. */
  attempts: number;
}

export interface ResilienceOptions extends Partial<ResilienceSettings> {
  /** Called once when a call ends, whatever its end. */
  observe?: (call: ProviderCall) => void;
}

export interface Breaker {
  name: string;
  state: "closed" | "open" | "half-open";
}

export interface ResilientProvider extends Provider {
  breaker(): Breaker;
}

type Call<T> = (signal: AbortSignal) => Promise<T>;

const dataKeyBytes = 32;
const maxWrappedBytes = 8192;
const maxBreakMs = 30_000;

export function resilient(provider: Provider, options: ResilienceOptions = {}): ResilientProvider {
  const settings = { ...defaultResilience, ...options };
  const breaker = breakerOf(settings);
  const total = timeout(settings.totalTimeoutMs, TimeoutStrategy.Aggressive);
  // Not aborted on return, so that an aborted signal means that the time was up or the call abandoned.
  const attempt = timeout(settings.attemptTimeoutMs, { strategy: TimeoutStrategy.Aggressive, abortOnReturn: false });
  const slots = bulkhead(settings.maxInFlight, Number.POSITIVE_INFINITY);
  const retries = retry(handleWhen(isUnavailable), {
    maxAttempts: settings.maxRetries,
    backoff: new ExponentialBackoff({
      generator: fullJitterGenerator,
      initialDelay: settings.firstPauseMs,
      maxDelay: settings.maxPauseMs,
    }),
  });

  /** One attempt. What it throws once its signal is aborted (CANCELLED, by contract) depends on who aborted it. */
  async function once<T>(call: Call<T>, within: AbortSignal | undefined, caller: AbortSignal | undefined): Promise<T> {
    let timer: AbortSignal | undefined;
    try {
      return await attempt.execute(({ signal }) => {
        timer = signal;
        return call(signal);
      }, within);
    } catch (error) {
      if (caller?.aborted) throw cancelled(caller);
      throw timer?.aborted ? lateAnswer(provider.name, error) : error;
    }
  }

  async function run<T>(operation: ProviderCall["operation"], call: Call<T>, caller?: AbortSignal): Promise<T> {
    const startedAt = performance.now();
    let attempts = 0;
    let outcome: ProviderCall["outcome"] = "OK";
    const counted = (signal: AbortSignal) => {
      attempts += 1;
      return call(signal);
    };
    try {
      if (caller?.aborted) throw cancelled(caller);
      if (operation === "describe") return await once(counted, caller, caller);
      return await total.execute(
        ({ signal }) =>
          retries.execute(
            () => slots.execute(() => breaker.execute(() => once(counted, signal, caller), signal), signal),
            signal,
          ),
        caller,
      );
    } catch (error) {
      const told = caller?.aborted ? cancelled(caller) : inOurWords(error, provider.name);
      outcome = told instanceof KmsError ? told.code : "INTERNAL";
      throw told;
    } finally {
      options.observe?.({ operation, outcome, seconds: (performance.now() - startedAt) / 1000, attempts });
    }
  }

  return {
    name: provider.name,
    keyId: provider.keyId,
    generateDataKey: (context, signal) =>
      run("generate_data_key", async (inner) => checkDataKey(await provider.generateDataKey(context, inner)), signal),
    encrypt: (plaintext, context, signal) =>
      run("encrypt", async (inner) => checkWrapped(await provider.encrypt(plaintext, context, inner)), signal),
    decrypt: (wrapped, context, signal) => run("decrypt", (inner) => provider.decrypt(wrapped, context, inner), signal),
    /** One attempt outside the queue and the breaker: it says how the provider is when everything else waits. */
    describe: (signal) => run("describe", (inner) => provider.describe(inner), signal),
    close: () => provider.close(),
    breaker: () => ({ name: provider.name, state: stateNames[breaker.state] }),
  };
}

const stateNames: Readonly<Record<CircuitState, Breaker["state"]>> = {
  [CircuitState.Closed]: "closed",
  [CircuitState.Open]: "open",
  [CircuitState.Isolated]: "open",
  [CircuitState.HalfOpen]: "half-open",
};

function breakerOf({ breakAfter, breakMs }: ResilienceSettings): CircuitBreakerPolicy {
  return circuitBreaker(handleWhen(isUnavailable), {
    breaker: new ConsecutiveBreaker(breakAfter),
    halfOpenAfter: new ExponentialBackoff({
      generator: noJitterGenerator,
      initialDelay: breakMs,
      maxDelay: maxBreakMs,
    }),
  });
}

function isUnavailable(error: unknown): boolean {
  return error instanceof KmsError && error.code === "PROVIDER_UNAVAILABLE";
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

function checkWrapped(wrapped: Uint8Array): Uint8Array {
  if (wrapped.length < 1 || wrapped.length > maxWrappedBytes) {
    throw unavailable(`the provider answered with a wrapped key of ${wrapped.length} bytes`);
  }
  return wrapped;
}
