/** The provider keys of the configuration as the service uses them: opened, watched, and each call counted and, where it failed, logged. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Logger } from "pino";
import { KmsError } from "../errors.ts";
import { type ProviderKeys, providerKeys } from "./provider-keys.ts";
import { probeName, probeOpening, probeWrapping, type Sample } from "./lie-probe.ts";
import { logUnshown, type ProbedKey } from "./probing.ts";
import { type ProviderWatch, type WatchOptions, watchProvider } from "./watch.ts";
import type { Alarm } from "../alarm.ts";
import { openProviderKey, openProviders } from "../provider/open.ts";
import { lies } from "../provider/distrust.ts";
import type { Provider } from "../provider/provider.ts";
import type { ProviderCall } from "../provider/resilience.ts";
import { type Instruments, type Scope, scopes } from "../telemetry/instruments.ts";
import { ownKeys } from "./names.ts";
import { type ProviderState, providerState } from "./state.ts";
import type { ProviderKeySettings } from "./settings.ts";
import type { OpenKey } from "./slot.ts";
import {
  type StartedTenantProviderKeys,
  startTenantProviderKeys,
  type TenantProviderKeyParts,
} from "./tenant-provider-keys.ts";
import type { Time } from "../runtime/time.ts";

/** What uses secrets that provider keys wrapped. */
export interface SecretUser {
  /** The key may not be used any more. */
  forgetWrappedBy(provider: ProviderKeyName): void;
  /** A use of the key was just denied: it may be used, if the provider says so again. */
  doubtWrappedBy(provider: ProviderKeyName): void;
}

type ProviderKeyName = Pick<Provider, "name" | "keyId">;

/** Something that the key wrapped; undefined if there is nothing. */
export type SampleOf = (key: ProviderKeyName) => Promise<Sample | undefined>;

export interface StartedProviders extends ProviderState {
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
  /** Every open key, for whoever has them probed. */
  probed(): readonly ProbedKey[];
  /**
   * Sets where samples come from of what a key wrapped, for keys that wrap nothing more: a probe of them cannot make one, and takes it from
   * the store. Probes those keys.
   */
  probeOpeners(sampleOf: SampleOf): Promise<void>;
  /** Number of attempts at providers that are under way, for whichever key. */
  inFlight(): number;
  /** Calls that reached a provider since start, by operation. */
  calls(): ReadonlyMap<string, number>;
  /** Runs `work`, and counts its own calls. */
  countCalls<T>(work: () => Promise<T>): Promise<{ answer: T; calls: ReadonlyMap<string, number> }>;
  /** Puts the provider keys of tenants of another configuration into effect; nothing else of it. */
  replaceTenantProviderKeys(next: Pick<ProviderKeySettings, "tenantProviderKeys" | "warnings">): Promise<void>;
  /** Notes whether the configuration that was read last was refused: the former keys of tenants hold then. */
  configurationRefused(isRefused: boolean): void;
  /** True from a configuration that was refused until one was not. */
  tenantKeysReloadFailed(): boolean;
  close(): Promise<void>;
}

export interface ProviderParts {
  instruments: Pick<Instruments, "providerCall" | "providerRequests" | "providerLies">;
  log: Logger;
  time: Time;
  /** Raised when a breaker or a provider key is in another condition. */
  alarm: Pick<Alarm, "changed" | "suspect">;
  /** Time between probes of a provider that was caught in a lie, in milliseconds. */
  reprobeMs?: number;
}

/**
 * The current key has passed a probe when this resolves, unless its provider did not answer. If it was caught in a lie it is refused, and
 * no store opens under it.
 */
export async function startProviders(settings: ProviderKeySettings, parts: ProviderParts): Promise<StartedProviders> {
  const { log, time, alarm } = parts;
  const { observe, attempting, ...counted } = callCounts(parts);
  const { follow, forget, subscribe } = secretUsers(parts);
  await using started = new AsyncDisposableStack();
  const options = { time, observe, attempting, observeBreaker: alarm.changed };
  const watching = {
    intervalMs: settings.providerCheckMs,
    time,
    ...(parts.reprobeMs && { reprobeMs: parts.reprobeMs }),
  };
  const watch = (provider: Provider, more: Pick<WatchOptions, "probe" | "tenantsOwn">) =>
    watchProvider({ provider, ...watching, ...more });
  const openers = probesOfOpeners();
  const opened = await openProviders(settings, options);
  const open: { close(): Promise<void> }[] = [...opened];
  started.defer(async () => void (await Promise.all(open.map((each) => each.close()))));
  const watches = await Promise.all(
    opened.map((each, at) => watch(each, { probe: at === 0 ? probeAsNobody(each) : openers.probeOf(each) })),
  );
  for (const each of watches) {
    started.defer(each.stop);
    follow(each, "service");
  }
  const [current, ...others] = watches.map(({ provider }) => provider);
  if (watches[0]!.current().condition === "answering") logUnshown(log, current!, await watches[0]!.probe());
  const tenantProviderKeys = await startTenantProviderKeys({
    settings: settings.tenantProviderKeys,
    own: ownKeys(settings, opened),
    open: (one) => openProviderKey(one, options),
    watch: (provider) => watch(provider, { tenantsOwn: true }),
    time,
    ...newsOfTenantKeys(parts, { follow, forget }),
  });
  open.push(tenantProviderKeys);
  const ofTenants = () => tenantProviderKeys.all().flatMap(({ open: key }) => (key === undefined ? [] : [key.watch]));
  const watchOf = (provider: Provider) => [...watches, ...ofTenants()].find((each) => each.provider === provider);
  const running = started.move();
  return {
    keys: providerKeys({
      current: current!,
      others,
      tenantProviderKeys,
      storeKeyPin: settings.storeKeyPin,
      doubt: (provider) => watchOf(provider)?.doubt(),
    }),
    tenantProviderKeys,
    usedBy(tenantId) {
      tenantProviderKeys.ofTenant(tenantId); // throws why it is not open
      return tenantProviderKeys.keyOf(tenantId)?.open ?? { unguarded: opened[0], watch: watches[0]! };
    },
    watches,
    probed: () => [
      ...watches.map((each) => ({ watch: each, ifUsed: false })),
      ...ofTenants().map((each) => ({ watch: each, ifUsed: true })),
    ],
    async probeOpeners(sampleOf) {
      openers.sampleBy(sampleOf);
      const answering = watches.slice(1).filter((each) => each.current().condition === "answering");
      await Promise.all(answering.map(async (each) => logUnshown(log, each.provider, await each.probe())));
    },
    subscribe,
    ...providerState({ opened, watches, tenantProviderKeys }),
    ...counted,
    ...replacing(settings, { tenantProviderKeys, log, alarm }),
    close: () => running.disposeAsync(),
  };
}

/** Follows the keys of tenants that are open, forgets those that ended, and logs what becomes of them. */
function newsOfTenantKeys(
  { log, alarm }: Pick<ProviderParts, "log" | "alarm">,
  { follow, forget }: Pick<ReturnType<typeof secretUsers>, "follow" | "forget">,
): Pick<TenantProviderKeyParts, "opened" | "failed" | "ended"> {
  return {
    opened(name, key) {
      const { condition, detail, advice } = key.watch.current();
      const level = condition === "answering" ? "debug" : "error";
      log[level]({ providerKey: name, detail, advice }, `provider key ${name} is open, and ${condition}`);
      follow(key.watch, "tenant");
      key.watch.subscribe({ changed: alarm.changed });
      alarm.changed();
    },
    failed(name, error) {
      const what = `provider key ${name} cannot be opened, and is tried again`;
      if (!(error instanceof KmsError)) log.error({ providerKey: name, err: error }, what);
      else {
        const { message, advice } = error;
        log.error({ providerKey: name, said: causeText(error), advice }, `${what}: ${message}`);
      }
      alarm.changed();
    },
    ended(provider) {
      forget(provider);
      alarm.suspect();
    },
  };
}

const operations: readonly ProviderCall["operation"][] = [
  "describe",
  "inspect",
  "generate_data_key",
  "encrypt",
  "decrypt",
];

/** Calls that reached a provider: counted since start and while some work runs, recorded in metrics, and logged where they failed. */
function callCounts({ instruments, log }: ProviderParts) {
  const all = new Map(operations.map((operation) => [operation as string, 0])); // told in this order
  const counting = new AsyncLocalStorage<Map<string, number>>();
  let inFlight = 0;
  return {
    attempting(change: 1 | -1): void {
      inFlight += change;
    },
    inFlight: () => inFlight,
    observe(call: ProviderCall): void {
      const { operation, outcome, seconds, attempts } = call;
      if (attempts === 0) return; // refused before it reached the provider
      instruments.providerCall.record(seconds, { operation, outcome });
      instruments.providerRequests.add(attempts, { operation });
      for (const calls of [all, counting.getStore()]) calls?.set(operation, (calls.get(operation) ?? 0) + attempts);
      logFailure(log, call);
    },
    calls: () => new Map([...all].filter(([, count]) => count > 0)),
    async countCalls<T>(work: () => Promise<T>) {
      const calls = new Map<string, number>();
      return { answer: await counting.run(calls, work), calls };
    },
  };
}

/** Probes a key of all tenants in the name of none, whoever called last. */
function probeAsNobody(provider: Provider): NonNullable<WatchOptions["probe"]> {
  return (signal) => probeWrapping(provider, probeName, signal);
}

/** Probes of keys that wrap nothing more, which need something that they wrapped: the store has it, once it is open. */
function probesOfOpeners() {
  let sampleOf: SampleOf = async () => undefined;
  return {
    sampleBy(given: SampleOf): void {
      sampleOf = given;
    },
    probeOf(provider: Provider): NonNullable<WatchOptions["probe"]> {
      return async (signal) => {
        const sample = await sampleOf(provider);
        if (sample === undefined) throw new KmsError("NOT_FOUND", "nothing that this provider key wrapped is known");
        await probeOpening(provider, sample, signal);
      };
    },
  };
}

/** Passes on what the watches see to those who use secrets, and logs and counts it. */
function secretUsers({ log, instruments }: Pick<ProviderParts, "log" | "instruments">) {
  const users = new Set<SecretUser>();
  for (const lie of lies) for (const scope of scopes) instruments.providerLies.add(0, { lie, scope });
  const forget = (provider: ProviderKeyName) => {
    for (const user of users) user.forgetWrappedBy(provider);
  };
  return {
    forget,
    subscribe: (user: SecretUser) => void users.add(user),
    follow(watch: ProviderWatch, scope: Scope): void {
      watch.subscribe({
        changed({ condition, detail, advice, lie }, { name, keyId }) {
          if (condition === "denied") forget({ name, keyId });
          if (lie) instruments.providerLies.add(1, { lie, scope });
          const line = { provider: name, keyId, detail, ...(lie && { lie }), ...(advice && { advice }) };
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

function replacing(
  first: ProviderKeySettings,
  { tenantProviderKeys, log, alarm }: Replaced,
): Pick<StartedProviders, "replaceTenantProviderKeys" | "configurationRefused" | "tenantKeysReloadFailed"> {
  let wasRefused = false;
  let warned = first.warnings;
  let owners = [...first.tenantProviderKeys.tenants.keys()];
  async function replace(next: Pick<ProviderKeySettings, "tenantProviderKeys" | "warnings">): Promise<void> {
    for (const { text } of next.warnings) if (!warned.some((known) => known.text === text)) log.warn(text);
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
  }
  return {
    replaceTenantProviderKeys: replace,
    configurationRefused(isRefused) {
      wasRefused = isRefused;
    },
    tenantKeysReloadFailed: () => wasRefused,
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
    { operation, outcome, region, seconds, attempts, said: causeText(error), advice },
    `provider call failed: ${message}`,
  );
}

function causeText({ cause }: KmsError): string | undefined {
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : undefined;
}
