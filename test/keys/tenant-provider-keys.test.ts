/** Tenants with a provider key of their own, as the keyring sees them: what is new is under it, and what is old stays where it is. */
import { describe, expect, it, onTestFinished } from "vitest";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import { hasWrapped, providerKeys, type TenantProviderKeys, wrappedBy } from "../../src/provider-keys/provider-keys.ts";
import { unlockStore } from "../../src/keys/store-key/unlock.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { openMemory } from "../../src/store/sqlite/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { thrownBy } from "../support/matchers.ts";
import { counting, setUp } from "../support/keys-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";

const admin = { actor: "ann", requestId: "" };
const request = { by: admin, limit: 100, dryRun: false };

const notOpen = new KmsError("PROVIDER_UNAVAILABLE", "bank is not open");
const refusing = (code: KmsErrorCode, message: string) => async () => {
  throw new KmsError(code, message);
};

/** Own provider keys by tenant, which change as the test says; an error in place of one that is not open. */
async function house() {
  const shared = localProvider(randomMasterKey());
  const store = await unlockStore(openMemory(realTime), providerKeys({ current: shared }), realTime);
  const [bank, shop] = [counting(localProvider(randomMasterKey())), counting(localProvider(randomMasterKey()))];
  const named: Provider[] = [bank.provider, shop.provider];
  const owns = new Map<string, Provider | KmsError>();
  const tenantProviderKeys: TenantProviderKeys = {
    ofTenant(tenantId) {
      const own = owns.get(tenantId);
      if (own instanceof KmsError) throw own;
      return own;
    },
    openOf(tenantId) {
      const own = owns.get(tenantId);
      return own instanceof KmsError ? undefined : own;
    },
    find: (wrapped) => named.find((provider) => hasWrapped(provider, wrapped)),
    notOpen: () => [...owns.values()].flatMap((own) => (own instanceof KmsError ? ["bank"] : [])),
    tenants: () =>
      new Map([...owns].map(([tenantId, own]) => [tenantId, own instanceof KmsError ? undefined : wrappedBy(own)])),
  };
  const parts = setUp({ store, provider: shared, tenantProviderKeys });
  onTestFinished(() => parts.keyring.close());
  return { ...parts, tenantProviderKeys, owns, named, bank, shop };
}

async function underOf(store: Store, tenantId: string): Promise<string[]> {
  const records = [...(await store.list(tenantId, "data")), ...(await store.list(tenantId, "signing"))];
  return records.map(({ providerKeyId }) => providerKeyId);
}

describe("a tenant with a provider key of its own", () => {
  it("has its new keys under it, and others have theirs under the service's", async () => {
    const { keyring, store, owns, bank, provider, calls } = await house();
    owns.set("acme", bank.provider);
    await keyring.activeDataKey("acme");
    await keyring.activeSigningKey("acme");
    expect(calls.total).toBe(0);
    await keyring.activeDataKey("other");
    expect(await underOf(store, "acme")).toEqual([bank.provider.keyId, bank.provider.keyId]);
    expect(await underOf(store, "other")).toEqual([provider.keyId]);
  });

  it("has none, and nothing is damaged, where it does not open what it wrapped, or opens something else", async () => {
    const { keyring, store, owns, bank, named, ...parts } = await house();
    owns.set("acme", bank.provider);
    const { keyId } = await keyring.activeDataKey("acme");
    for (const decrypt of [refusing("CIPHERTEXT_REJECTED", "ciphertext rejected"), async () => new Uint8Array(32)]) {
      named[0] = { ...bank.provider, decrypt };
      owns.set("acme", named[0]);
      const again = setUp({ store, provider: parts.provider, tenantProviderKeys: parts.tenantProviderKeys }).keyring;
      const error = await thrownBy(() => again.activeDataKey("acme"));
      expect(error).toBeKmsError("PROVIDER_DENIED", `does not open key ${keyId} as it wrapped it`);
      expect((await thrownBy(() => again.activeSigningKey("acme"))) as KmsError).toMatchObject({
        code: expect.stringMatching(/^PROVIDER_/),
      });
      again.close();
    }
    expect(await underOf(store, "acme")).toEqual([bank.provider.keyId]);
  });

  it("gets another under it at the next rotation, and its old keys go on under the one that wrapped them", async () => {
    const { keyring, store, owns, bank, provider } = await house();
    const old = await keyring.activeDataKey("acme");
    owns.set("acme", bank.provider);
    expect((await keyring.activeDataKey("acme")).keyId).toBe(old.keyId);
    await keyring.rotate({ tenantId: "acme", force: true, by: admin });
    expect(await underOf(store, "acme")).toEqual([provider.keyId, bank.provider.keyId]);
    keyring.forgetWrappedBy(provider);
    await keyring.dataKey("acme", old.keyId);
  });

  it("is refused while its key is not open, and nobody else is: it has no key under another instead", async () => {
    const { keyring, store, owns, bank } = await house();
    owns.set("acme", notOpen);
    owns.set("beta", bank.provider);
    for (const get of [keyring.activeDataKey, keyring.activeSigningKey]) {
      expect(await thrownBy(async () => get("acme"))).toBeKmsError("PROVIDER_UNAVAILABLE", "bank is not open");
    }
    expect(await underOf(store, "acme")).toEqual([]);
    await keyring.activeDataKey("beta");
    await keyring.activeDataKey("other");
  });

  it("uses its own credentials, where another is configured with the same key", async () => {
    const { keyring, time, owns, named, bank } = await house();
    owns.set("acme", bank.provider);
    const { keyId } = await keyring.activeDataKey("acme");
    keyring.invalidate("acme", keyId);
    const decrypt = refusing("PROVIDER_DENIED", "the other may not");
    named[0] = { ...bank.provider, decrypt };
    time.ms += 60_000;
    expect((await keyring.activeDataKey("acme")).keyId).toBe(keyId);
    keyring.invalidate("acme", keyId);
    owns.set("acme", named[0]);
    named[0] = bank.provider;
    time.ms += 60_000;
    expect(await thrownBy(async () => keyring.activeDataKey("acme"))).toBeKmsError("PROVIDER_DENIED", "may not");
  });

  it("is told why its stored keys do not open: not open yet, or named no more", async () => {
    const { keyring, time, owns, named, bank } = await house();
    owns.set("acme", bank.provider);
    const { keyId } = await keyring.activeDataKey("acme");
    keyring.invalidate("acme", keyId);
    named.splice(0, 1);
    owns.set("acme", new KmsError("PROVIDER_DENIED", "bank is refused"));
    expect(await thrownBy(async () => keyring.activeDataKey("acme"))).toBeKmsError(
      "PROVIDER_DENIED",
      "bank is refused",
    );
    owns.delete("acme");
    time.ms += 60_000; // failures are remembered for a while
    owns.set("beta", notOpen);
    const error = (await thrownBy(async () => keyring.activeDataKey("acme"))) as KmsError;
    expect(error).toBeKmsError("PROVIDER_UNAVAILABLE", "which may be a provider key that is not open");
    expect(error.message).not.toContain("bank"); // another tenant's, perhaps
    expect(error.advice).toContain("bank");
    owns.clear();
    time.ms += 60_000;
    expect(await thrownBy(async () => keyring.activeDataKey("acme"))).toBeKmsError(
      "PROVIDER_DENIED",
      bank.provider.keyId,
    );
  });
});

describe("re-wrapping", () => {
  it("moves each tenant's keys to where they should be: in, out, and from one to another", async () => {
    const { keyring, store, owns, bank, shop, provider } = await house();
    owns.set("out", bank.provider).set("over", bank.provider).set("stays", bank.provider);
    const before = new Map<string, string>();
    for (const tenant of ["in", "out", "over", "stays", "other"])
      before.set(tenant, (await keyring.activeDataKey(tenant)).keyId);
    owns.set("in", shop.provider).set("over", shop.provider).delete("out");

    const dry = await keyring.rewrap({ ...request, dryRun: true });
    expect(dry).toMatchObject({ keys: 3, failed: [], remaining: 3 });
    const done = await keyring.rewrap(request);
    expect(done).toMatchObject({ keys: 3, failed: [], remaining: 0, others: [], interrupted: undefined });
    expect(done.target).toEqual(wrappedBy(provider));
    for (const [tenant, where] of [
      ["in", shop],
      ["out", { provider }],
      ["over", shop],
      ["stays", bank],
      ["other", { provider }],
    ] as const) {
      expect([tenant, await underOf(store, tenant)]).toEqual([tenant, [where.provider.keyId]]);
    }
    for (const each of [bank.provider, shop.provider, provider]) keyring.forgetWrappedBy(each);
    for (const [tenant, keyId] of before) expect((await keyring.activeDataKey(tenant)).keyId).toBe(keyId);
  });

  it("goes on with others where a tenant's key is away, whether it was there or should go there", async () => {
    const { keyring, owns, named, bank, shop } = await house();
    owns.set("from", bank.provider);
    for (const tenant of ["from", "to", "well"]) await keyring.activeDataKey(tenant);
    owns.delete("from");
    owns.set("to", shop.provider);
    const away = refusing("PROVIDER_UNAVAILABLE", "the provider cannot be reached");
    named[0] = { ...bank.provider, decrypt: away };
    owns.set("to", { ...shop.provider, encrypt: away });
    owns.set("well", localProvider(randomMasterKey()));
    named.push(owns.get("well") as Provider);

    const result = await keyring.rewrap(request);
    expect(result.keys).toBe(1);
    expect(result.interrupted).toBeUndefined();
    expect(result.failed.map(({ key, error }) => [key!.tenantId, error.code]).sort()).toEqual([
      ["from", "PROVIDER_UNAVAILABLE"],
      ["to", "PROVIDER_UNAVAILABLE"],
    ]);
    expect(result.remaining).toBe(2);
  });

  it("leaves a tenant's keys alone while its own is not open", async () => {
    const { keyring, store, owns, bank } = await house();
    owns.set("acme", bank.provider);
    await keyring.activeDataKey("acme");
    owns.set("acme", notOpen);
    const result = await keyring.rewrap(request);
    expect(result).toMatchObject({ keys: 0, failed: [], remaining: 0, others: [] });
    expect(await underOf(store, "acme")).toEqual([bank.provider.keyId]);
  });
});
