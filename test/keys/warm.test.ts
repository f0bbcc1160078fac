/** Keys that are loaded before anyone asks: whose, how many at once, and what a failure leaves. */
import { describe, expect, it } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { warmCaches } from "../../src/keys/warm.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import { counting, countingStore, setUp, turn } from "../support/keys-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";

/** A cold keyring over a store with `count` tenants that have both keys. */
async function filled(count: number) {
  const store = memoryStore(realTime);
  const local = localProvider(randomMasterKey());
  const filling = setUp({ store, provider: local }).keyring;
  const tenants = Array.from({ length: count }, (_, index) => `tenant-${index}`);
  for (const tenant of tenants) await Promise.all([filling.activeDataKey(tenant), filling.activeSigningKey(tenant)]);
  return { ...setUp({ store, provider: local }), tenants, local };
}

it("loads both keys of each tenant, once, and calls are then answered at once", async () => {
  const { keyring, store, tenants, calls } = await filled(30);
  const warmed = await warmCaches({
    time: realTime,
    keyring,
    store,
    tenants: [...tenants, "tenant-0"],
    maxTenants: 1_000,
  });
  expect(warmed).toMatchObject({ tenants: 30, keys: 60, failed: 0, left: 0, error: undefined });
  expect(calls).toMatchObject({ decrypt: 60, total: 60 });
  for (const tenant of tenants) expect(keyring.activeDataKey(tenant)).not.toBeInstanceOf(Promise);
});

it("keeps 20 provider calls in flight, and no more", async () => {
  const { store, tenants, local } = await filled(100);
  const slow: Provider = {
    ...local,
    async decrypt(...given) {
      await turn();
      return local.decrypt(...given);
    },
  };
  const { keyring, calls } = setUp({ store, provider: counting(slow).provider });
  await warmCaches({ time: realTime, keyring, store, tenants, maxTenants: 1_000 });
  expect(calls).toMatchObject({ mostInFlight: 20, total: 200 });
});

it("makes no key for a tenant that nobody knows", async () => {
  const { keyring, store, calls } = await filled(1);
  const warmed = await warmCaches({
    time: realTime,
    keyring,
    store,
    tenants: ["nobody", "tenant-0"],
    maxTenants: 1_000,
  });
  expect(warmed).toMatchObject({ tenants: 2, keys: 2, failed: 0 });
  expect(calls.total).toBe(2);
  expect(await store.list("nobody", "data")).toEqual([]);
});

describe("recent", () => {
  it("is the tenants of the newest audit rows, as many as the caches hold", async () => {
    const { keyring, store, calls } = await filled(10);
    const warmed = await warmCaches({ time: realTime, keyring, store, tenants: "recent", maxTenants: 3 });
    expect(warmed).toMatchObject({ tenants: 3, keys: 6 });
    for (const name of ["tenant-9", "tenant-8", "tenant-7"])
      expect(keyring.activeDataKey(name)).not.toBeInstanceOf(Promise);
    expect(calls.total).toBe(6);
  });

  it("is nobody in a store that nobody used", async () => {
    const { keyring, store } = setUp();
    expect(await warmCaches({ time: realTime, keyring, store, tenants: "recent", maxTenants: 3 })).toMatchObject({
      tenants: 0,
      keys: 0,
    });
  });

  it("is nobody where the store does not answer", async () => {
    const down = new KmsError("STORE_UNAVAILABLE", "down");
    const { keyring } = setUp();
    const store = { recentTenants: () => Promise.reject(down) };
    expect(await warmCaches({ time: realTime, keyring, store, tenants: "recent", maxTenants: 3 })).toMatchObject({
      tenants: 0,
      error: down,
    });
  });
});

it("counts what cannot be loaded, and loads the others", async () => {
  const { keyring, store, tenants, local } = await filled(3);
  keyring.close();
  const down = new KmsError("PROVIDER_UNAVAILABLE", "down");
  const flaky: Provider = {
    ...local,
    decrypt: (wrapped, context, signal) =>
      context.tenant_id === "tenant-1" ? Promise.reject(down) : local.decrypt(wrapped, context, signal),
  };
  const cold = setUp({ store, provider: flaky }).keyring;
  const warmed = await warmCaches({ time: realTime, keyring: cold, store, tenants, maxTenants: 1_000 });
  expect(warmed).toMatchObject({ tenants: 3, keys: 4, failed: 1, error: down });
});

it("leaves the rest when it takes long, so that a slow provider does not put off the start", async () => {
  const { keyring, store, tenants } = await filled(30);
  let ms = 0;
  const slow = {
    async warm(tenantId: string) {
      ms += 2_000;
      return keyring.warm(tenantId);
    },
  };
  const warmed = await warmCaches({
    keyring: slow,
    store,
    tenants,
    maxTenants: 1_000,
    time: { ...realTime, monotonicMs: () => ms },
  });
  expect(warmed).toMatchObject({ tenants: 30, keys: 30, left: 15, failed: 0 });
});

it("asks the store for names once", async () => {
  const { store } = await filled(2);
  const counted = countingStore(store);
  const { keyring } = setUp({ store });
  await warmCaches({ time: realTime, keyring, store: counted.store, tenants: "recent", maxTenants: 10 });
  expect(counted.calls).toEqual(["recentTenants"]);
});
