/**
 * Loads tenants' keys before the service is ready, so that its first callers do not wait for the provider: `kms.cache.warm`. It makes no
 * keys, and nothing that goes wrong keeps the service from its start: who is not warm is loaded when called for.
 */
import type { Logger } from "pino";
import type { Time } from "../runtime/time.ts";
import type { Store } from "../store/store.ts";
import type { Keyring } from "./keyring.ts";
import { eachOf } from "./pace.ts";

export interface WarmOptions {
  keyring: Pick<Keyring, "warm">;
  store: Pick<Store, "recentTenants">;
  /** By name, or those that were last heard of. */
  tenants: "recent" | readonly string[];
  /** As many as the caches hold. */
  maxTenants: number;
  time: Time;
}

export interface WarmAhead {
  keyring: Pick<Keyring, "warm">;
  store: Pick<Store, "recentTenants">;
  log: Logger;
  time: Time;
  warm: WarmOptions["tenants"];
  maxEntries: number;
}

/** Loads the keys of the tenants that the configuration names, if any, and logs what came of it. */
export async function warmAhead({ keyring, store, log, time, warm: tenants, maxEntries }: WarmAhead): Promise<void> {
  if (tenants.length === 0) return;
  const { error, ...warmed } = await warmCaches({ keyring, store, time, tenants, maxTenants: maxEntries });
  if (error === undefined) log.info(warmed, "keys were loaded ahead of their use");
  else log.warn({ ...warmed, err: error }, "some keys could not be loaded ahead of their use");
}

export interface Warmed {
  tenants: number;
  /** Loaded. */
  keys: number;
  /** Tenants of whom a key could not be loaded. */
  failed: number;
  /** Tenants for whom there was no time. */
  left: number;
  seconds: number;
  /** The first failure. */
  error: unknown;
}

/** Each may load its data and its signing key at once: 20 provider calls. */
const tenantsAtOnce = 10;
/** A provider that is only slow must not keep the service from its start for long. */
const longestMs = 30_000;

export async function warmCaches(options: WarmOptions): Promise<Warmed> {
  const { keyring, time } = options;
  const startedMs = time.monotonicMs();
  const warmed: Warmed = { tenants: 0, keys: 0, failed: 0, left: 0, seconds: 0, error: undefined };
  const fail = (error: unknown) => {
    warmed.error ??= error;
  };
  const tenantIds = await wanted(options).catch((error) => {
    fail(error);
    return [];
  });
  warmed.tenants = tenantIds.length;
  await eachOf(tenantIds, tenantsAtOnce, async (tenantId) => {
    if (time.monotonicMs() - startedMs >= longestMs) {
      warmed.left += 1;
      return;
    }
    try {
      const loaded = await keyring.warm(tenantId);
      warmed.keys += loaded;
    } catch (error) {
      warmed.failed += 1;
      fail(error);
    }
  });
  return { ...warmed, seconds: (time.monotonicMs() - startedMs) / 1000 };
}

async function wanted({ store, tenants, maxTenants }: WarmOptions): Promise<readonly string[]> {
  return tenants === "recent" ? store.recentTenants(maxTenants) : [...new Set(tenants)].slice(0, maxTenants);
}
