/** Keys that are loaded before anyone asks: whose, how many at once, and what a failure leaves. */
import { describe, expect, it } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { warmCaches } from "../../src/keys/warm.ts";
import { countingStore, providerWith, setUp, shared, turn } from "../support/keys-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";

/** A cold keyring over a store with `count` tenants that have both keys. */
async function filled(count: number) {
  const { store, provider: local } = shared();
  const filling = setUp({ store, provider: local }).keyring;
  const tenants = Array.from({ length: count }, (_, index) => `tenant-${index}`);
  for (const tenant of tenants) await Promise.all([filling.activeDataKey(tenant), filling.activeSigningKey(tenant)]);
  return { ...setUp({ store, provider: local }), tenants, local };
}

type Warming = Parameters<typeof warmCaches>[0];
const warm = (options: Omit<Warming, "time" | "maxTenants"> & Partial<Warming>) =>
  warmCaches({ time: realTime, maxTenants: 1_000, ...options });

it("loads both keys of each tenant, once, and calls are then answered at once", async () => {
  const { keyring, store, tenants, calls } = await filled(30);
  const warmed = await warm({ keyring, store, tenants: [...tenants, "tenant-0"] });
  expect(warmed).toMatchObject({ tenants: 30, keys: 60, failed: 0, left: 0, error: undefined });
  expect(calls).toMatchObject({ decrypt: 60, total: 60 });
  for (const tenant of tenants) expect(keyring.activeDataKey(tenant)).not.toBeInstanceOf(Promise);
});

it("keeps 20 provider calls in flight, and no more", async () => {
  const { store, tenants, local } = await filled(100);
  const { keyring, calls } = setUp({ store, provider: providerWith(turn, local) });
  await warm({ keyring, store, tenants });
  expect(calls).toMatchObject({ mostInFlight: 20, total: 200 });
});

it("makes no key for a tenant that nobody knows", async () => {
  const { keyring, store, calls } = await filled(1);
  const warmed = await warm({ keyring, store, tenants: ["nobody", "tenant-0"] });
  expect(warmed).toMatchObject({ tenants: 2, keys: 2, failed: 0 });
  expect(calls.total).toBe(2);
  expect(await store.list("nobody", "data")).toEqual([]);
});

describe("recent", () => {
  const [tenants, maxTenants] = ["recent", 3] as const;
  it("is the tenants of the newest audit rows, as many as the caches hold, whom the store is asked for once", async () => {
    const { keyring, store, calls } = await filled(10);
    const counted = countingStore(store);
    expect(await warm({ keyring, store: counted.store, tenants, maxTenants })).toMatchObject({ tenants: 3, keys: 6 });
    for (const name of ["tenant-9", "tenant-8", "tenant-7"])
      expect(keyring.activeDataKey(name)).not.toBeInstanceOf(Promise);
    expect(calls.total).toBe(6);
    expect(counted.calls).toEqual(["recentTenants"]);
  });

  it("is nobody in a store that nobody used, and where the store does not answer", async () => {
    const { keyring, store } = setUp();
    expect(await warm({ keyring, store, tenants })).toMatchObject({ tenants: 0, keys: 0 });
    const down = new KmsError("STORE_UNAVAILABLE", "down");
    const away = { recentTenants: () => Promise.reject(down) };
    expect(await warm({ keyring, store: away, tenants })).toMatchObject({ tenants: 0, error: down });
  });
});

it("counts what cannot be loaded, and loads the others", async () => {
  const { keyring, store, tenants, local } = await filled(3);
  keyring.close();
  const down = new KmsError("PROVIDER_UNAVAILABLE", "down");
  const flaky = providerWith((_operation, context) => {
    if (context.tenant_id === "tenant-1") throw down;
  }, local);
  const cold = setUp({ store, provider: flaky }).keyring;
  const warmed = await warm({ keyring: cold, store, tenants });
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
  const time = { ...realTime, monotonicMs: () => ms };
  const warmed = await warm({ keyring: slow, store, tenants, time });
  expect(warmed).toMatchObject({ tenants: 30, keys: 30, left: 15, failed: 0 });
});
