/** The provider keys of the configuration as the service uses them: opened, watched, and each call counted and, where it failed, logged. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Logger } from "pino";
import { KmsError } from "../errors.ts";
import { type ProviderKeys, providerKeys } from "./provider-keys.ts";
import { type ProviderWatch, watchProvider } from "./watch.ts";
import type { Alarm } from "../alarm.ts";
import { openProviderKey, openProviders } from "../provider/open.ts";
import type { Provider } from "../provider/provider.ts";
import { type Breaker, type ProviderCall, worstBreakers } from "../provider/resilience.ts";
import type { Instruments } from "../telemetry.ts";
import { ownKeys } from "./name-claims.ts";
import type { ProviderKeySettings } from "./settings.ts";
import type { OpenKey } from "./slot.ts";
import { type StartedTenantProviderKeys, startTenantProviderKeys } from "./tenant-provider-keys.ts";

/** What uses secrets that provider keys wrapped. */
export interface SecretUser {
  /** The key may not be used any more. */
  forgetWrappedBy(provider: ProviderKeyName): void;
  /** A use of the key was just denied: it may be used, if the provider says so again. */
  doubtWrappedBy(provider: ProviderKeyName): void;
}

type ProviderKeyName = Pick<Provider, "name" | "keyId">;

export interface StartedProviders {
  /** Refused while their provider refuses them: see provider-keys/watch.ts. */
  readonly keys: ProviderKeys;
  /** Tenants' own provider keys. */
  readonly tenantProviderKeys: StartedTenantProviderKeys;
  /** The key that wraps what is new of a tenant without that refusal, and its watch, for Validate: it wants the provider's own words. */
  usedBy(tenantId: string): OpenKey;
  /** Watches of all but the tenants' own keys, the current key's first. */
  readonly watches: readonly ProviderWatch[];
  /** Tells `user` from now on which keys are refused, or were just denied, and which the configuration names no more. */
  subscribe(user: SecretUser): void;
  /** Breakers of all but the tenants' own keys. */
  breakers(): Breaker[];
  allBreakers(): Breaker[];
  /** Calls that reached a provider since start, by operation. */
  calls(): ReadonlyMap<string, number>;
  /** Runs `work`, and counts its own calls. */
  countCalls<T>(work: () => Promise<T>): Promise<{ answer: T; calls: ReadonlyMap<string, number> }>;
  /** Puts the provider keys of tenants of another configuration into effect; nothing else of it. */
  replaceTenantProviderKeys(next: Pick<ProviderKeySettings, "tenantProviderKeys" | "warnings">): Promise<void>;
  close(): Promise<void>;
}

export interface ProviderParts {
  instruments: Pick<Instruments, "providerCall" | "providerRequests">;
  log: Logger;
  clock: () => Date;
  /** Raised when a breaker or a provider key is in another condition. */
  alarm: Pick<Alarm, "changed" | "suspect">;
}

export async function startProviders(settings: ProviderKeySettings, parts: ProviderParts): Promise<StartedProviders> {
  const { log, clock, alarm } = parts;
  const { observe, ...counted } = callCounts(parts);
  const { follow, forget, subscribe } = secretUsers(log);
  await using started = new AsyncDisposableStack();
  const options = { observe, observeBreaker: alarm.changed };
  const watch = (provider: Provider) => watchProvider({ provider, intervalMs: settings.providerCheckMs, clock });
  const opened = await openProviders(settings, options);
  const open: { close(): Promise<void> }[] = [...opened];
  started.defer(async () => void (await Promise.all(open.map((each) => each.close()))));
  const watches = await Promise.all(opened.map(watch));
  for (const each of watches) {
    started.defer(each.stop);
    follow(each);
  }
  const [current, ...others] = watches.map(({ provider }) => provider);
  const tenantProviderKeys = await startTenantProviderKeys({
    settings: settings.tenantProviderKeys,
    own: ownKeys(settings, opened),
    open: (one) => openProviderKey(one, options),
    watch,
    clock,
    opened(name, key) {
      const { condition, detail, advice } = key.watch.current();
      const level = condition === "answering" ? "debug" : "error";
      log[level]({ providerKey: name, detail, advice }, `provider key ${name} is open, and ${condition}`);
      follow(key.watch);
      key.watch.subscribe({ changed: alarm.changed });
      alarm.changed();
    },
    failed(name, error) {
      const what = `provider key ${name} cannot be opened, and is tried again`;
      if (!(error instanceof KmsError)) log.error({ providerKey: name, err: error }, what);
      else {
        const { message, advice } = error;
        log.error({ providerKey: name, said: saidIn(error), advice }, `${what}: ${message}`);
      }
      alarm.changed();
    },
    ended(provider) {
      forget(provider);
      alarm.suspect();
    },
  });
  open.push(tenantProviderKeys);
  const running = started.move();
  return {
    keys: providerKeys({ current: current!, others, tenantProviderKeys, storeKeyPin: settings.storeKeyPin }),
    tenantProviderKeys,
    usedBy(tenantId) {
      tenantProviderKeys.ofTenant(tenantId); // throws why it is not open
      return tenantProviderKeys.keyOf(tenantId)?.open ?? { unguarded: opened[0], watch: watches[0]! };
    },
    watches,
    subscribe,
    breakers: () => worstBreakers(opened.flatMap((each) => each.breakers())),
    allBreakers: () => worstBreakers([...opened.flatMap((each) => each.breakers()), ...tenantProviderKeys.breakers()]),
    ...counted,
    replaceTenantProviderKeys: replacing(settings, { tenantProviderKeys, log, alarm }),
    close: () => running.disposeAsync(),
  };
}

/** Calls that reached a provider: counted since start and while some work runs, recorded in metrics, and logged where they failed. */
function callCounts({ instruments, log }: ProviderParts) {
  const all = new Map<string, number>();
  const counting = new AsyncLocalStorage<Map<string, number>>();
  return {
    observe(call: ProviderCall): void {
      const { operation, outcome, seconds, attempts } = call;
      if (attempts === 0) return; // refused before it reached the provider
      instruments.providerCall.record(seconds, { operation, outcome });
      instruments.providerRequests.add(attempts, { operation });
      for (const calls of [all, counting.getStore()]) calls?.set(operation, (calls.get(operation) ?? 0) + attempts);
      logFailure(log, call);
    },
    calls: () => all,
    async countCalls<T>(work: () => Promise<T>) {
      const calls = new Map<string, number>();
      return { answer: await counting.run(calls, work), calls };
    },
  };
}

/** Passes on what the watches see to those who use secrets, and logs it. */
function secretUsers(log: Logger) {
  const users = new Set<SecretUser>();
  const forget = (provider: ProviderKeyName) => {
    for (const user of users) user.forgetWrappedBy(provider);
  };
  return {
    forget,
    subscribe: (user: SecretUser) => void users.add(user),
    follow(watch: ProviderWatch): void {
      watch.subscribe({
        changed({ condition, detail, advice }, { name, keyId }) {
          if (condition === "denied") forget({ name, keyId });
          const line = { provider: name, keyId, detail, ...(advice && { advice }) };
          log[condition === "answering" ? "info" : "error"](line, `provider ${name} is ${condition}`);
        },
        denied(provider) {
          for (const user of users) user.doubtWrappedBy(provider);
        },
      });
    },
  };
}

interface Replaced extends Pick<ProviderParts, "log" | "alarm"> {
  tenantProviderKeys: Pick<StartedTenantProviderKeys, "replace">;
}

function replacing(first: ProviderKeySettings, { tenantProviderKeys, log, alarm }: Replaced) {
  let warned = first.warnings;
  let owners = [...first.tenantProviderKeys.tenants.keys()];
  return async (next: Pick<ProviderKeySettings, "tenantProviderKeys" | "warnings">): Promise<void> => {
    for (const warning of next.warnings) if (!warned.includes(warning)) log.warn(warning);
    warned = next.warnings;
    const { providerKeys, tenants } = next.tenantProviderKeys;
    const left = owners.filter((tenantId) => !tenants.has(tenantId)).length;
    if (left > 0)
      log.warn(
        { tenants: left },
        "tenants have no provider key of their own any more: new keys of theirs are under the service's",
      );
    owners = [...tenants.keys()];
    await tenantProviderKeys.replace(next.tenantProviderKeys);
    alarm.suspect();
    log.info({ providerKeys: providerKeys.size, tenants: tenants.size }, "provider keys of tenants were read anew");
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
