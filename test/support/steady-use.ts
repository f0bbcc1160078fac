/** Tenants who use their keys evenly, on a clock that is moved through the time in steps: what reaches the provider of it. */
import type { KeyringStats } from "../../src/keys/keyring.ts";
import { wholeKeyring } from "./whole-keyring.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import { realTime } from "../../src/runtime/time.ts";

export interface SteadyUse {
  provider: Provider;
  ttlMs: number;
  /** Each has a data key and a signing key. */
  tenants: number;
  /** Requests in turn over all tenants, one with the data key, the next with the signing key. */
  requestsPerStep: number;
  stepMs: number;
  /** After the keys were made. */
  forMs: number;
  random: () => number;
}

export interface Used {
  requests: number;
  stats: Omit<KeyringStats, "public">;
}

/** `begun` is called when every key is made, and the time begins. */
export async function useSteadily(use: SteadyUse, begun: () => void = () => {}): Promise<Used> {
  const { provider, ttlMs, tenants, requestsPerStep, stepMs, forMs, random } = use;
  let ms = 0;
  const keyring = wholeKeyring({
    store: memoryStore(realTime),
    provider,
    ttlMs,
    maxEntries: tenants,
    time: { ...realTime, monotonicMs: () => ms },
    random,
  });
  const tenantIds = Array.from({ length: tenants }, (_, index) => `tenant-${index}`);
  for (const tenantId of tenantIds) {
    await keyring.activeDataKey(tenantId);
    await keyring.activeSigningKey(tenantId);
  }
  begun();
  let requests = 0;
  while (ms < forMs) {
    ms += stepMs;
    const waiting: Promise<unknown>[] = [];
    for (let n = 0; n < requestsPerStep; n += 1) {
      const tenantId = tenantIds[(requests >> 1) % tenants]!;
      const key = requests % 2 === 0 ? keyring.activeDataKey(tenantId) : keyring.activeSigningKey(tenantId);
      if (key instanceof Promise) waiting.push(key);
      requests += 1;
    }
    await Promise.all(waiting);
    await new Promise((resolve) => setImmediate(resolve)); // loads in the background end
  }
  const { data, signing } = keyring.stats();
  keyring.close();
  return { requests, stats: { data, signing } };
}
