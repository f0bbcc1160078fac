/**
 * A Provider around another that bounds what a bad day at the provider costs: see call-policies.ts. Client errors, cancellations and calls
 * that timed out while they waited for their turn never open the breaker.
 *
 * While the breaker is open every call fails at once, and `describe`, once a second, is what tries the provider: no caller waits for a
 * trial. After one that succeeds a single failure opens the breaker again, until a call succeeds.
 */
import { type CircuitBreakerPolicy, CircuitState } from "cockatiel";
import { KmsError, type KmsErrorCode } from "../errors.ts";
import { cancelled, refuseAborted } from "../runtime/deadline.ts";
import type { Time, Timer } from "../runtime/time.ts";
import { inFlight } from "../runtime/in-flight.ts";
import { answerChecks } from "./answer-checks.ts";
import {
  type Call,
  type CallPolicies,
  callPolicies,
  defaultResilience,
  inOurWords,
  type ResilienceSettings,
} from "./call-policies.ts";
import type { Provider } from "./provider.ts";

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
  time: Time;
  /** Called once when a call ends, whatever its end. */
  observe?: (call: ProviderCall) => void;
  /** Called with 1 when an attempt at the provider begins, and with -1 when it ends. */
  attempting?: (change: 1 | -1) => void;
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

/** `checks` are shared by the places that serve one key: a key that two of them made is a repeated one. */
export function resilient(provider: Provider, options: ResilienceOptions, checks = answerChecks()): ResilientProvider {
  const settings = { ...defaultResilience, ...options };
  const { name, keyId, region, wrapsForAnyone } = provider;
  const policies = callPolicies(name, settings, options.time);
  const { breaker } = policies;
  const run = observedRuns(provider, policies, options);
  const breakerNow = () => breakerOf(provider, breaker);

  breaker.onStateChange(() => options.observeBreaker?.(breakerNow()));

  /** Closes the breaker, or opens it again, by the answer of `describe`: "no" is an answer too. */
  const probing = whileOpen(breaker, settings, (signal) =>
    run(
      "describe",
      (inner) => provider.describe(inner),
      signal,
      (attempt) => breaker.execute(() => attempt()),
    ),
  );

  /** The whole way. */
  function guarded<T>(operation: ProviderCall["operation"], call: Call<T>, caller?: AbortSignal): Promise<T> {
    return run(operation, call, caller, (attempt) => policies.execute(attempt, caller));
  }

  /** One attempt outside the queue, which the breaker does not count: it says how the provider is when everything else waits. */
  function looking<T>(operation: ProviderCall["operation"], call: Call<T>, caller?: AbortSignal): Promise<T> {
    return run(operation, call, caller, (attempt) => {
      policies.refuseWhilePaused(); // the probe is looking
      return attempt();
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
        async (inner) => checks.dataKey(await provider.generateDataKey(context, inner)),
        signal,
      ),
    encrypt: (plaintext, context, signal) =>
      guarded(
        "encrypt",
        async (inner) => checks.wrapped(await provider.encrypt(plaintext, context, inner), plaintext),
        signal,
      ),
    decrypt: (wrapped, context, signal) =>
      guarded(
        "decrypt",
        async (inner) => checks.opened(await provider.decrypt(wrapped, context, inner), wrapped),
        signal,
      ),
    tampered: (wrapped) => provider.tampered(wrapped),
    describe: (signal) => looking("describe", (inner) => provider.describe(inner), signal),
    inspect: (signal) => looking("inspect", (inner) => provider.inspect(inner), signal),
    async close() {
      probing.stop();
      await provider.close();
    },
    breakers: () => [breakerNow()],
    credential: () => provider.credential?.(),
  };
}

/** Runs an operation: `how` makes the one attempt, or as many as it takes. `within` is the caller's signal unless another is given. */
type Run = <T>(
  operation: ProviderCall["operation"],
  call: Call<T>,
  caller: AbortSignal | undefined,
  how: (attempt: (within?: AbortSignal) => Promise<T>) => Promise<T>,
) => Promise<T>;

/** Tells of each run once, when it ends, and of each attempt. */
function observedRuns(
  { name, region }: Provider,
  { attempt }: Pick<CallPolicies, "attempt">,
  { time, observe, attempting = () => {} }: Pick<ResilienceOptions, "time" | "observe" | "attempting">,
): Run {
  return async (operation, call, caller, how) => {
    const startedAt = time.monotonicMs();
    let attempts = 0;
    let outcome: ProviderCall["outcome"] = "OK";
    let error: unknown;
    const counted: typeof call = async (signal) => {
      attempts += 1;
      attempting(1);
      try {
        return await inFlight("provider", () => call(signal));
      } finally {
        attempting(-1);
      }
    };
    try {
      refuseAborted(caller);
      return await how((within = caller) => attempt(counted, within, caller));
    } catch (thrown) {
      error = caller?.aborted ? cancelled(caller) : inOurWords(thrown, name);
      outcome = error instanceof KmsError ? error.code : "INTERNAL";
      throw error;
    } finally {
      observe?.({ operation, outcome, region, error, attempts, seconds: (time.monotonicMs() - startedAt) / 1000 });
    }
  };
}

const probeSpread = 0.2;

/** Probes a while after each time that the breaker opens. Stopping ends a probe that is under way. */
function whileOpen(
  breaker: CircuitBreakerPolicy,
  { time, probeMs }: { time: Time; probeMs: number },
  probe: (signal: AbortSignal) => Promise<unknown>,
) {
  const stopped = new AbortController();
  let next: Timer | undefined;
  breaker.onBreak(() => {
    if (stopped.signal.aborted) return;
    time.clear(next);
    const delayMs = probeMs * (1 + probeSpread * Math.random());
    next = time.after(delayMs, () => void probe(stopped.signal).catch(() => {}));
  });
  return {
    stop(): void {
      stopped.abort();
      time.clear(next);
    },
  };
}

function breakerOf({ name, region }: Provider, { state }: CircuitBreakerPolicy): Breaker {
  return { name: region === undefined ? name : `${name}/${region}`, state: stateNames[state] };
}

const stateNames: Readonly<Record<CircuitState, Breaker["state"]>> = {
  [CircuitState.Closed]: "closed",
  [CircuitState.Open]: "open",
  [CircuitState.Isolated]: "open",
  [CircuitState.HalfOpen]: "half-open",
};

/** One for each name, the worst: two keys may be served by one place. */
export function worstBreakers(breakers: readonly Breaker[]): Breaker[] {
  return [...Map.groupBy(breakers, ({ name }) => name)].map(([name, some]) => ({ name, state: worstState(some)! }));
}

/** Returns the worst state of all, whatever their names; undefined without any. */
export function worstState(breakers: readonly Breaker[]): Breaker["state"] | undefined {
  const [first, ...others] = breakers.map(({ state }) => state);
  if (first === undefined) return undefined;
  return others.reduce((worst, state) => (badness[state] > badness[worst] ? state : worst), first);
}

const badness: Readonly<Record<Breaker["state"], number>> = { closed: 0, "half-open": 1, open: 2 };
