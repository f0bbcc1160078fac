/**
 * Provider keys of tenants that have one of their own, while the service runs: each is opened by itself, tried again until that succeeds,
 * and watched from then on, so that what is wrong with one concerns its tenants alone. A new configuration takes effect when its new keys
 * were tried; keys that it names no more end once the calls on them have.
 */
import { isDeepStrictEqual } from "node:util";
import { KmsError } from "../errors.ts";
import type { Provider } from "../provider/provider.ts";
import type { ProviderSettings } from "../provider/registry.ts";
import type { Breaker } from "../provider/resilience.ts";
import { withDeadline } from "../runtime/deadline.ts";
import { type Holder, keyNames } from "./names.ts";
import { nameOf, type TenantProviderKeys, wrappedBy } from "./provider-keys.ts";
import type { TenantProviderKeySettings } from "./settings.ts";
import { type KeyCondition, type OpenKey, type Slot, type SlotParts, slot } from "./slot.ts";
import { tenantKeysSha256 } from "./tenant-keys-digest.ts";

export interface StartedTenantProviderKeys extends TenantProviderKeys {
  /** Every key that the configuration names, open or not. */
  all(): readonly TenantProviderKey[];
  /** That of a tenant; undefined for one that has none of its own. */
  keyOf(tenantId: string): TenantProviderKey | undefined;
  breakers(): Breaker[];
  /** Digest of the settings in effect, see tenant-keys-digest.ts. */
  sha256(): string;
  /** Resolves when the new configuration is in effect, within `patienceMs` however the new keys do. */
  replace(settings: TenantProviderKeySettings): Promise<void>;
  close(): Promise<void>;
}

/** One provider key. */
export interface TenantProviderKey {
  /** As operators know it: see TenantProviderKeySettings. */
  readonly name: string;
  readonly provider: ProviderSettings["name"];
  /** How many tenants it is for. */
  readonly tenants: number;
  /** Undefined while it is not open. */
  readonly open: OpenKey | undefined;
  /** Of the last look, or of the last try to open it. */
  condition(): KeyCondition;
}

export interface TenantProviderKeyParts extends Omit<SlotParts, "names"> {
  settings: TenantProviderKeySettings;
  /** The service's own keys, open. */
  own: readonly Holder[];
  /** Told of each that the configuration names no more, once it is closed. */
  ended(provider: Pick<Provider, "name" | "keyId">): void;
  /** How long a start, or a new configuration, waits for keys that do not answer. */
  patienceMs?: number;
  /** For calls to end on keys that are named no more: longer than a call lasts. */
  graceMs?: number;
}

/** Opens all of them at once, and waits for each a little: a provider that is away keeps nobody from the start. */
export async function startTenantProviderKeys(parts: TenantProviderKeyParts): Promise<StartedTenantProviderKeys> {
  const { time, patienceMs = 3_000, graceMs = 15_000 } = parts;
  const names = keyNames(parts.own);
  const inEffect: InEffect = {
    slots: new Map(),
    leaving: new Set(),
    tenants: new Map(),
    counts: new Map(),
    sha256: "",
  };
  const { slots, leaving } = inEffect;
  const keys = lookUp(inEffect);
  let replacing = Promise.resolve();
  const closing = Promise.withResolvers<void>();
  let isClosed = false;

  async function replaceOnce(next: TenantProviderKeySettings): Promise<void> {
    if (isClosed) return;
    const kept = (name: string, settings: ProviderSettings) => isDeepStrictEqual(slots.get(name)?.settings, settings);
    const fresh = [...next.providerKeys].filter(([name, settings]) => !kept(name, settings));
    const renewed = new Set(fresh.map(([name]) => name));
    const added = fresh.map(([name, settings]) => slot(name, settings, { ...parts, names }));
    const tried = Promise.race([closing.promise, Promise.all(added.map(({ firstTry }) => firstTry))]);
    await withDeadline(time, patienceMs, stillTrying, () => tried).catch(() => {}); // those that are not open are tried on
    if (isClosed) return void (await Promise.all(added.map((each) => each.close())));
    const replaced = [...slots.values()].filter(({ name }) => !next.providerKeys.has(name) || renewed.has(name));
    for (const old of replaced) slots.delete(old.name);
    for (const each of added) slots.set(each.name, each);
    inEffect.tenants = next.tenants;
    inEffect.counts = countsOf(next.tenants);
    inEffect.sha256 = tenantKeysSha256(next);
    for (const old of replaced) leave(old);
  }

  /** One after the other. */
  function replace(next: TenantProviderKeySettings): Promise<void> {
    replacing = replacing.then(() => replaceOnce(next));
    return replacing;
  }

  function leave(old: Slot): void {
    leaving.add(old);
    time.after(graceMs, () => void end(old));
  }

  async function end(old: Slot): Promise<void> {
    if (!leaving.delete(old)) return;
    await old.close();
    tellOfEnd(old);
  }

  /** Deferred while a successor with the same name is still opening: it may turn out to be the same key. */
  function tellOfEnd(old: Slot): void {
    const { open } = old;
    if (isClosed || open === undefined || keys.find(wrappedBy(open.watch.provider)) !== undefined) return;
    const successor = slots.get(old.name);
    if (successor !== undefined && successor.open === undefined) time.after(graceMs, () => tellOfEnd(old));
    else parts.ended(open.watch.provider);
  }

  await replace(parts.settings);
  return {
    ...keys,
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

/** The configuration in effect, and the keys that it named before and on which calls may be under way. */
interface InEffect {
  readonly slots: Map<string, Slot>;
  readonly leaving: Set<Slot>;
  /** Tenant to the name of its key. */
  tenants: ReadonlyMap<string, string>;
  /** Tenants of each key, by its name. */
  counts: ReadonlyMap<string, number>;
  sha256: string;
}

function lookUp(inEffect: InEffect): Omit<StartedTenantProviderKeys, "replace" | "close"> {
  const { slots, leaving } = inEffect;

  const slotOf = (tenantId: string) => {
    const name = inEffect.tenants.get(tenantId);
    return name === undefined ? undefined : slots.get(name);
  };
  const keyIn = (each: Slot): TenantProviderKey => ({
    name: each.name,
    provider: each.settings.name,
    tenants: inEffect.counts.get(each.name) ?? 0,
    open: each.open,
    condition: each.condition,
  });

  return {
    ofTenant(tenantId) {
      const own = slotOf(tenantId);
      if (own === undefined) return undefined;
      if (own.open === undefined) throw notOpen(tenantId, own);
      return own.open.watch.provider;
    },
    openOf: (tenantId) => slotOf(tenantId)?.open?.watch.provider,
    find(wrapped) {
      const wanted = nameOf(wrapped);
      for (const { open } of [...slots.values(), ...leaving]) {
        if (open !== undefined && nameOf(wrappedBy(open.watch.provider)) === wanted) return open.watch.provider;
      }
      return undefined;
    },
    notOpen: () => [...slots.values()].filter(({ open }) => open === undefined).map(({ name }) => name),
    tenants() {
      const owned = [...inEffect.tenants].map(([tenantId, name]) => {
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
    sha256: () => inEffect.sha256,
  };
}

function notOpen(tenantId: string, { name, condition }: Slot): KmsError {
  const { condition: how, detail, advice } = condition();
  const code = how === "denied" ? "PROVIDER_DENIED" : "PROVIDER_UNAVAILABLE";
  return new KmsError(code, `the provider key of tenant ${tenantId}, ${name}, is not open: ${detail}`, {
    advice,
    tenantsAffair: true,
  });
}

function countsOf(tenants: ReadonlyMap<string, string>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of tenants.values()) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

function stillTrying(): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", "provider keys are not open yet");
}
