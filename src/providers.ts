/** The provider keys of the configuration as the service uses them: opened, watched, and each call counted and, where it failed, logged. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Logger } from "pino";
import type { Config } from "./config.ts";
import { KmsError } from "./errors.ts";
import { type MasterKeys, masterKeys, pinned } from "./keys/master-keys.ts";
import { type ProviderWatch, watchProvider } from "./keys/provider-watch.ts";
import { openProviders } from "./provider/open.ts";
import type { Provider } from "./provider/provider.ts";
import { type Breaker, type ProviderCall, worstBreakers } from "./provider/resilience.ts";
import type { Instruments } from "./telemetry.ts";

export interface StartedProviders {
  /** Refused while their provider refuses them: see keys/provider-watch.ts. */
  readonly keys: MasterKeys;
  /** The current one without that refusal, for Validate: it wants the provider's own words. */
  readonly unguarded: Provider;
  /** The current one's first. */
  readonly watches: readonly ProviderWatch[];
  breakers(): Breaker[];
  /** The latest takes the place of one before. */
  onBreaker(changed: () => void): void;
  /** Calls that reached a provider since start, by operation. */
  calls(): ReadonlyMap<string, number>;
  /** Runs `work`, and counts its own calls. */
  countCalls<T>(work: () => Promise<T>): Promise<{ answer: T; calls: ReadonlyMap<string, number> }>;
  close(): Promise<void>;
}

export interface ProviderParts {
  config: Config;
  instruments: Instruments;
  log: Logger;
  clock: () => Date;
}

export async function startProviders({ config, instruments, log, clock }: ProviderParts): Promise<StartedProviders> {
  const all = new Map<string, number>();
  const counting = new AsyncLocalStorage<Map<string, number>>();
  let breakerChanged = () => {}; // until there is somebody to tell

  function observe(call: ProviderCall): void {
    const { operation, outcome, seconds, attempts } = call;
    if (attempts === 0) return; // refused before it reached the provider
    instruments.providerCall.record(seconds, { operation, outcome });
    for (const calls of [all, counting.getStore()]) calls?.set(operation, (calls.get(operation) ?? 0) + attempts);
    logFailure(log, call);
  }

  const opened = await openProviders(config, { observe, observeBreaker: () => breakerChanged() });
  const watching = opened.map((provider) => watchProvider({ provider, intervalMs: config.providerCheckMs, clock }));
  const watches = await Promise.all(watching);
  const [current, ...others] = watches.map(({ provider }) => provider);
  return {
    keys: pinned(masterKeys(current!, ...others), config.storeKeyPin),
    unguarded: opened[0],
    watches,
    breakers: () => worstBreakers(opened.flatMap((each) => each.breakers())),
    onBreaker(changed) {
      breakerChanged = changed;
    },
    calls: () => all,
    async countCalls(work) {
      const calls = new Map<string, number>();
      return { answer: await counting.run(calls, work), calls };
    },
    async close() {
      for (const watch of watches) watch.stop();
      await Promise.all(opened.map((each) => each.close()));
    },
  };
}

/**
 * Whoever waited for a failed call is told in safe words: what the provider said is for the log alone. A rejected ciphertext is told
 * by whoever expected another answer: some ask to be refused.
 */
function logFailure(log: Logger, { operation, outcome, region, seconds, attempts, error }: ProviderCall): void {
  if (!(error instanceof KmsError) || error.code === "CANCELLED") return;
  const { cause, advice, message } = error;
  const said = cause instanceof Error ? `${cause.name}: ${cause.message}` : undefined;
  const level = error.code === "CIPHERTEXT_REJECTED" ? "debug" : "warn";
  log[level]({ operation, outcome, region, seconds, attempts, said, advice }, `provider call failed: ${message}`);
}
