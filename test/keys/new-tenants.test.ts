/** How many tenants one caller may bring in a second. */
import { describe, expect, it } from "vitest";
import { setUp, turn } from "../support/keys-fixture.ts";
import { thrownBy } from "../support/matchers.ts";

const { signal } = new AbortController();
const waiter = (name: string) => ({ caller: { name, has: () => true }, signal });

describe("a keyring", () => {
  it("makes no key for a tenant too many, and leaves nothing of it", async () => {
    const { keyring, store, time, calls } = setUp({ newTenantsPerSecond: 2 });
    await keyring.activeDataKey("a", waiter("ann"));
    await keyring.activeDataKey("b", waiter("ann"));
    const { total } = calls;
    expect(await thrownBy(() => keyring.activeDataKey("c", waiter("ann")))).toMatchObject({
      code: "RATE_LIMITED",
      message: "too many calls: wait",
      retryAfterMs: 500,
    });
    expect(await thrownBy(() => keyring.activeSigningKey("c", waiter("ann")))).toBeKmsError("RATE_LIMITED");
    expect(calls.total).toBe(total);
    expect(await store.lastVersion("c", "data")).toBe(0);
    time.ms += 500;
    await keyring.activeDataKey("c", waiter("ann"));
  });

  it("does not count the other key of a tenant, nor the keys that are there, nor other callers", async () => {
    const { keyring } = setUp({ newTenantsPerSecond: 1 });
    await keyring.activeDataKey("a", waiter("ann"));
    await keyring.activeSigningKey("a", waiter("ann"));
    await keyring.activeDataKey("a", waiter("ann"));
    await keyring.activeDataKey("b", waiter("bob"));
    await keyring.rotate({ tenantId: "a", force: true });
    expect(await thrownBy(() => keyring.activeDataKey("c", waiter("ann")))).toBeKmsError("RATE_LIMITED");
  });

  it("has no limit where none is set, nor for itself", async () => {
    const { keyring } = setUp();
    for (let n = 0; n < 50; n += 1) await keyring.activeDataKey(`t${n}`, waiter("ann"));
    const limited = setUp({ newTenantsPerSecond: 1 });
    for (let n = 0; n < 5; n += 1) await limited.keyring.activeDataKey(`t${n}`);
  });

  it("does not refuse a caller because another, with which it waited for one look, brings too many", async () => {
    const { keyring } = setUp({ newTenantsPerSecond: 1 });
    await keyring.activeDataKey("a", waiter("ann"));
    const ann = thrownBy(() => keyring.activeDataKey("b", waiter("ann")));
    const bob = keyring.activeDataKey("b", waiter("bob"));
    expect(await ann).toBeKmsError("RATE_LIMITED");
    expect((await bob).keyId).toMatch(/^[0-9a-f]{32}$/);
    await turn();
  });

  it("says in the trail by which rule a caller made a tenant's key", async () => {
    const { keyring, store } = setUp();
    const caller = { name: "ann", has: () => true, rule: (role: string, tenantId: string) => `${role}-${tenantId}` };
    await keyring.activeDataKey("a", { caller, signal }, "generate-data-key");
    await keyring.activeSigningKey("a", { caller, signal }, "sign");
    await keyring.activeDataKey("b");
    const rows = await store.auditEvents({ limit: 9 });
    expect(rows.map(({ actor, rule }) => [actor, rule])).toEqual([
      ["ann", "generate-data-key-a"],
      ["ann", "sign-a"],
      ["fluo-kms", undefined],
    ]);
  });
});
