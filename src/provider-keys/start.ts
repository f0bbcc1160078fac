/** The provider keys of the configuration as the service uses them: opened, watched, and each call counted and, where it failed, logged. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { KmsError } from "../errors.ts";
import { type MasterKeys, masterKeys } from "./provider-keys.ts";
import { type ProviderWatch, watchProvider } from "./watch.ts";
import { openProviderKey, openProviders } from "../provider/open.ts";
import type { Provider } from "../provider/provider.ts";
import { type Breaker, type ProviderCall, worstBreakers } from "../provider/resilience.ts";
import type { Instruments } from "../telemetry.ts";
import { ownKeys } from "./name-claims.ts";
import { type OpenKey, type StartedTenantKeys, startTenantKeys } from "./tenant-provider-keys.ts";

export interface StartedProviders {
  /** Refused while their provider refuses them: see provider-keys/watch.ts. */
  readonly keys: MasterKeys;
  /** Of those, what tenants have of their own. */
  readonly tenantKeys: StartedTenantKeys;
  /** The key that wraps what is new of a tenant without that refusal, and its watch, for Validate: it wants the provider's own words. */
  usedBy(tenantId: string): OpenKey;
  /** Of all but the tenants' keys, the current one's first. */
  readonly watches: readonly ProviderWatch[];
  /** Tells of every watch, now and as keys of tenants are opened, before they are used. */
  eachWatch(tell: (watch: ProviderWatch) => void): void;
  /** Tells of keys that the configuration names no more. */
  eachEnded(tell: (provider: Pick<Provider, "name" | "keyId">) => void): void;
  /** Of all but the tenants' keys. */
  breakers(): Breaker[];
  allBreakers(): Breaker[];
  /** Told of a breaker, and of a tenant's key whose condition is another; the latest takes the place of one before. */
  onChange(changed: () => void): void;
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
  let changed = () => {}; // until there is somebody to tell
  let tellOfWatch: ((watch: ProviderWatch) => void) | undefined;
  let tellOfEnd = (_provider: Pick<Provider, "name" | "keyId">) => {};

  function observe(call: ProviderCall): void {
    const { operation, outcome, seconds, attempts } = call;
    if (attempts === 0) return; // refused before it reached the provider
    instruments.providerCall.record(seconds, { operation, outcome });
    instruments.providerRequests.add(attempts, { operation });
    for (const calls of [all, counting.getStore()]) calls?.set(operation, (calls.get(operation) ?? 0) + attempts);
    logFailure(log, call);
  }

  const options = { observe, observeBreaker: () => changed() };
  const watch = (provider: Provider) => watchProvider({ provider, intervalMs: config.providerCheckMs, clock });
  const opened = await openProviders(config, options);
  const watches = await Promise.all(opened.map(watch));
  const [current, ...others] = watches.map(({ provider }) => provider);
  const tenantKeys = await startTenantKeys({
    settings: config.tenantKeys,
    own: ownKeys(config, opened),
    open: (settings) => openProviderKey(settings, options),
    watch,
    clock,
    opened(name, key) {
      const { condition, detail, advice } = key.watch.current();
      const level = condition === "answering" ? "debug" : "error";
      log[level]({ providerKey: name, detail, advice }, `provider key ${name} is open, and ${condition}`);
      tellOfWatch?.(key.watch);
      key.watch.subscribe({ changed: () => changed() });
      changed();
    },
    failed(name, error) {
      const what = `provider key ${name} cannot be opened, and is tried again`;
      if (!(error instanceof KmsError)) log.error({ providerKey: name, err: error }, what);
      else {
        const { message, advice } = error;
        log.error({ providerKey: name, said: saidIn(error), advice }, `${what}: ${message}`);
      }
      changed();
    },
    ended: (provider) => tellOfEnd(provider),
  });
  return {
    keys: masterKeys({ current: current!, others, tenantKeys, storeKeyPin: config.storeKeyPin }),
    tenantKeys,
    usedBy(tenantId) {
      tenantKeys.ofTenant(tenantId); // throws why it is not open
      return tenantKeys.keyOf(tenantId)?.open ?? { unguarded: opened[0], watch: watches[0]! };
    },
    watches,
    eachWatch(tell) {
      tellOfWatch = tell;
      for (const each of watches) tell(each);
      for (const { open } of tenantKeys.all()) if (open !== undefined) tell(open.watch);
    },
    eachEnded(tell) {
      tellOfEnd = tell;
    },
    breakers: () => worstBreakers(opened.flatMap((each) => each.breakers())),
    allBreakers: () => worstBreakers([...opened.flatMap((each) => each.breakers()), ...tenantKeys.breakers()]),
    onChange(tell) {
      changed = tell;
    },
    calls: () => all,
    async countCalls(work) {
      const calls = new Map<string, number>();
      return { answer: await counting.run(calls, work), calls };
    },
    async close() {
      for (const each of watches) each.stop();
      await Promise.all([...opened.map((each) => each.close()), tenantKeys.close()]);
    },
  };
}

/**
 * Whoever waited for a failed call is told in safe words: what the provider said is for the log alone. A rejected ciphertext is told
 * by whoever expected another answer: some ask to be refused.
 */
function logFailure(log: Logger, { operation, outcome, region, seconds, attempts, error }: ProviderCall): void {
  if (!(error instanceof KmsError) || error.code === "CANCELLED") return;
  const { advice, message } = error;
  const level = error.code === "CIPHERTEXT_REJECTED" ? "debug" : "warn";
  log[level](
    { operation, outcome, region, seconds, attempts, said: saidIn(error), advice },
    `provider call failed: ${message}`,
  );
}

function saidIn({ cause }: KmsError): string | undefined {
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : undefined;
}
