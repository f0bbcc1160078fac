/**
 * Provider keys of tenants that have one of their own, while the service runs: each is opened by itself, tried again until that succeeds,
 * and watched from then on, so that what is wrong with one concerns its tenants alone. A new configuration takes effect when its new keys
 * were tried; keys that it names no more end once the calls on them have.
 */
import { isDeepStrictEqual } from "node:util";
import type { TenantKeySettings } from "./tenant-settings.ts";
import { KmsError } from "../errors.ts";
import { type Holder, type KeyNames, keyNames } from "./name-claims.ts";
import { nameOf, type TenantKeys, wrappedBy } from "./provider-keys.ts";
import type { ProviderCondition, ProviderWatch } from "./watch.ts";
import { withDeadline } from "../runtime/deadline.ts";
import type { Provider } from "../provider/provider.ts";
import type { ProviderSettings } from "../provider/registry.ts";
import type { Breaker, ResilientProvider } from "../provider/resilience.ts";

export interface StartedTenantKeys extends TenantKeys {
  /** Every key that the configuration names, open or not. */
  all(): readonly TenantKey[];
  /** That of a tenant; undefined for one that has none of its own. */
  keyOf(tenantId: string): TenantKey | undefined;
  breakers(): Breaker[];
  /** Resolves when the new configuration is in effect, within `patienceMs` however the new keys do. */
  replace(settings: TenantKeySettings): Promise<void>;
  close(): Promise<void>;
}

/** One provider key. */
export interface TenantKey {
  /** As operators know it: see TenantKeySettings. */
  readonly name: string;
  readonly provider: ProviderSettings["name"];
  /** How many tenants it is for. */
  readonly tenants: number;
  /** Undefined while it is not open. */
  readonly open: OpenKey | undefined;
  /** Of the last look, or of the last try to open it. */
  condition(): Pick<ProviderCondition, "condition" | "detail" | "advice" | "since" | "latencyMs">;
}

export interface OpenKey {
  readonly watch: ProviderWatch;
  /** Not refused while its provider refuses it: see start.ts. */
  readonly unguarded: ResilientProvider;
}

export interface TenantKeyParts {
  settings: TenantKeySettings;
  /** The service's own keys, open. */
  own: readonly Holder[];
  open(settings: ProviderSettings): Promise<ResilientProvider>;
  watch(provider: Provider): Promise<ProviderWatch>;
  clock: () => Date;
  /** Told of each key that was opened, before it is used. */
  opened(name: string, key: OpenKey): void;
  /** Told of each key that could not be opened now, when it is tried first and when the reason is another. */
  failed(name: string, error: unknown): void;
  /** Told of each that the configuration names no more, once it is closed. */
  ended(provider: Pick<Provider, "name" | "keyId">): void;
  /** How long a start, or a new configuration, waits for keys that do not answer. */
  patienceMs?: number;
  /** Between tries: the first, and the longest, to which each is twice the one before. */
  retryMs?: number;
  longestRetryMs?: number;
  /** For calls to end on keys that are named no more: longer than a call lasts. */
  graceMs?: number;
}

/** Opens all of them at once, and waits for each a little: a provider that is away keeps nobody from the start. */
export async function startTenantKeys(parts: TenantKeyParts): Promise<StartedTenantKeys> {
  const { patienceMs = 3_000, graceMs = 15_000 } = parts;
  const names = keyNames(parts.own);
  const slots = new Map<string, Slot>();
  const leaving = new Set<Slot>();
  let tenants: ReadonlyMap<string, string> = new Map();
  let counts: ReadonlyMap<string, number> = new Map();
  let replacing = Promise.resolve();
  const closing = Promise.withResolvers<void>();
  let isClosed = false;

  async function replaceOnce(next: TenantKeySettings): Promise<void> {
    if (isClosed) return;
    const kept = (name: string, settings: ProviderSettings) => isDeepStrictEqual(slots.get(name)?.settings, settings);
    const fresh = [...next.providerKeys].filter(([name, settings]) => !kept(name, settings));
    const renewed = new Set(fresh.map(([name]) => name));
    const added = fresh.map(([name, settings]) => slot(name, settings, { ...parts, names }));
    const tried = Promise.race([closing.promise, Promise.all(added.map(({ firstTry }) => firstTry))]);
    await withDeadline(patienceMs, stillTrying, () => tried).catch(() => {}); // those that are not open are tried on
    if (isClosed) return void (await Promise.all(added.map((each) => each.close())));
    const replaced = [...slots.values()].filter(({ name }) => !next.providerKeys.has(name) || renewed.has(name));
    for (const old of replaced) slots.delete(old.name);
    for (const each of added) slots.set(each.name, each);
    tenants = next.tenants;
    counts = countsOf(tenants);
    for (const old of replaced) leave(old);
  }

  /** One after the other. */
  function replace(next: TenantKeySettings): Promise<void> {
    replacing = replacing.then(() => replaceOnce(next));
    return replacing;
  }

  function leave(old: Slot): void {
    leaving.add(old);
    setTimeout(() => void end(old), graceMs).unref();
  }

  async function end(old: Slot): Promise<void> {
    if (!leaving.delete(old)) return;
    await old.close();
    tellOfEnd(old);
  }

  /** Not while it may be the one that its name stands for now, under other settings, and that is not open yet. */
  function tellOfEnd(old: Slot): void {
    const { open } = old;
    if (isClosed || open === undefined || find(wrappedBy(open.watch.provider)) !== undefined) return;
    const successor = slots.get(old.name);
    if (successor !== undefined && successor.open === undefined) setTimeout(() => tellOfEnd(old), graceMs).unref();
    else parts.ended(open.watch.provider);
  }

  function find(wrapped: Parameters<TenantKeys["find"]>[0]): Provider | undefined {
    const wanted = nameOf(wrapped);
    for (const { open } of [...slots.values(), ...leaving]) {
      if (open !== undefined && nameOf(wrappedBy(open.watch.provider)) === wanted) return open.watch.provider;
    }
    return undefined;
  }

  const slotOf = (tenantId: string) => {
    const name = tenants.get(tenantId);
    return name === undefined ? undefined : slots.get(name);
  };
  const keyIn = (each: Slot): TenantKey => ({
    name: each.name,
    provider: each.settings.name,
    tenants: counts.get(each.name) ?? 0,
    open: each.open,
    condition: each.condition,
  });

  await replace(parts.settings);
  return {
    ofTenant(tenantId) {
      const own = slotOf(tenantId);
      if (own === undefined) return undefined;
      if (own.open === undefined) throw notOpen(tenantId, own);
      return own.open.watch.provider;
    },
    openOf: (tenantId) => slotOf(tenantId)?.open?.watch.provider,
    find,
    notOpen: () => [...slots.values()].filter(({ open }) => open === undefined).map(({ name }) => name),
    tenants() {
      const owned = [...tenants].map(([tenantId, name]) => {
        const provider = slots.get(name)?.open?.watch.provider;
        return [tenantId, provider && wrappedBy(provider)] as const;
      });
      return new Map(owned);
    },
    all: () => [...slots.values()].map(keyIn),
    keyOf(tenantId) {
      const own = slotOf(tenantId);
      return own && keyIn(own);
    },
    breakers: () => [...slots.values()].flatMap(({ open }) => open?.unguarded.breakers() ?? []),
    replace,
    async close() {
      isClosed = true;
      closing.resolve();
      await replacing;
      const all = [...slots.values(), ...leaving];
      leaving.clear();
      await Promise.all(all.map((each) => each.close()));
    },
  };
}

interface Slot {
  readonly name: string;
  readonly settings: ProviderSettings;
  readonly open: OpenKey | undefined;
  /** Never rejects. */
  readonly firstTry: Promise<void>;
  condition: TenantKey["condition"];
  close(): Promise<void>;
}

function slot(name: string, settings: ProviderSettings, parts: TenantKeyParts & { names: KeyNames }): Slot {
  const { retryMs = 1_000, longestRetryMs = 30_000 } = parts;
  let open: OpenKey | undefined;
  let giveNameBack = () => {};
  let failure: KmsError | undefined;
  let since = parts.clock();
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;

  async function tryToOpen(nextMs: number): Promise<void> {
    try {
      const unguarded = await parts.open(settings);
      if (isClosed) return await unguarded.close();
      const watch = await parts.watch(unguarded);
      if (isClosed) return await closeOpen({ watch, unguarded });
      const key = { watch, unguarded };
      takeName(key);
      open = key;
      parts.opened(name, open);
    } catch (error) {
      if (!isClosed) fail(error, nextMs);
    }
  }

  function fail(error: unknown, nextMs: number): void {
    if (failure?.message !== messageOf(error)) {
      since = parts.clock();
      parts.failed(name, error);
    }
    failure = asFailure(error);
    timer = setTimeout(() => void tryToOpen(Math.min(2 * nextMs, longestRetryMs)), nextMs).unref();
  }

  /** Nothing of a key whose name is another's is used: neither it nor what its watch sees. */
  function takeName(key: OpenKey): void {
    try {
      giveNameBack = parts.names.take({ owner: `provider key ${name}`, key: key.unguarded, settings, giveWay });
    } catch (error) {
      abandon(key);
      throw error;
    }
  }

  function giveWay(why: KmsError): void {
    const was = open;
    open = undefined;
    if (was !== undefined) abandon(was);
    fail(why, longestRetryMs);
  }

  return {
    name,
    settings,
    get open() {
      return open;
    },
    firstTry: tryToOpen(retryMs),
    condition() {
      if (open !== undefined) return open.watch.current();
      const condition = failure?.code === "PROVIDER_DENIED" ? "denied" : "unavailable";
      const detail = failure?.message ?? "is being opened";
      return { condition, detail, advice: failure?.advice, since, latencyMs: 0 };
    },
    async close() {
      isClosed = true;
      clearTimeout(timer); // a try that is under way closes what it opened
      giveNameBack();
      if (open !== undefined) await closeOpen(open);
    },
  };
}

async function closeOpen({ watch, unguarded }: OpenKey): Promise<void> {
  watch.stop();
  await unguarded.close();
}

/** Nobody waits for it, or would know what to do where that fails. */
function abandon(key: OpenKey): void {
  closeOpen(key).catch(() => {});
}

/** A setting that is wrong is nobody's request: which, and what it says, is for operators. */
function asFailure(error: unknown): KmsError {
  if (!(error instanceof KmsError)) return new KmsError("PROVIDER_UNAVAILABLE", "internal error, see the log");
  if (error.code === "PROVIDER_UNAVAILABLE") return error;
  if (error.code === "INVALID_ARGUMENT") {
    const advice = [error.message, error.advice].filter((each) => each !== undefined).join(". ");
    return new KmsError("PROVIDER_DENIED", "its settings cannot be used, see the log", { cause: error, advice });
  }
  return new KmsError("PROVIDER_DENIED", error.message, { cause: error, advice: error.advice });
}

function messageOf(error: unknown): string {
  return asFailure(error).message;
}

function notOpen(tenantId: string, { name, condition }: Slot): KmsError {
  const { condition: how, detail, advice } = condition();
  const code = how === "denied" ? "PROVIDER_DENIED" : "PROVIDER_UNAVAILABLE";
  return new KmsError(code, `the provider key of tenant ${tenantId}, ${name}, is not open: ${detail}`, { advice });
}

function countsOf(tenants: ReadonlyMap<string, string>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of tenants.values()) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

function stillTrying(): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", "provider keys are not open yet");
}
