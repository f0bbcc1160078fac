/** Which of the configured provider keys a record is opened by, and that no other ever is. */
import { expect, it } from "vitest";
import { hasWrapped, providerKeys, nameOf, wrappedBy } from "../../src/provider-keys/provider-keys.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { thrownBy } from "../support/matchers.ts";

const [current, other, unknown] = [1, 2, 3].map(() => localProvider(randomMasterKey())) as [
  Provider,
  Provider,
  Provider,
];
const by = ({ name, keyId }: Provider) => ({ provider: name, providerKeyId: keyId, tenantId: "acme" });

it("finds the key that wrapped a record, by provider and key", () => {
  const keys = providerKeys({ current: current, others: [other] });
  expect(keys.of(by(current), "key 1")).toBe(current);
  expect(keys.of(by(other), "key 1")).toBe(other);
  expect(keys.current).toBe(current);
});

it("uses no key that the configuration does not name, and says which is meant and which are there", async () => {
  const keys = providerKeys({ current: current, others: [other] });
  const error = await thrownBy(() => keys.of(by(unknown), "key 1"));
  for (const each of ["key 1 is under", unknown.keyId, current.keyId, other.keyId]) {
    expect(error).toBeKmsError("PROVIDER_DENIED", each);
  }
});

it("does not take a key of the same name at another provider for the one", async () => {
  const keys = providerKeys({ current: current });
  const elsewhere = { ...by(current), provider: "aws" };
  expect(hasWrapped(current, elsewhere)).toBe(false);
  expect(await thrownBy(() => keys.ofStore(elsewhere))).toBeKmsError("PROVIDER_DENIED", nameOf(elsewhere));
});

it("has one name for a provider key, which no other has", () => {
  expect(new Set([by(current), by(other), { ...by(current), provider: "aws" }].map(nameOf)).size).toBe(3);
});

it("closes all", async () => {
  const closed: string[] = [];
  const closing = (name: string): Provider => ({ ...current, name, close: async () => void closed.push(name) });
  await providerKeys({ current: closing("a"), others: [closing("b")] }).close();
  expect(closed).toEqual(["a", "b"]);
});

it("opens the store key by no key of a tenant, who could put another store key under it", async () => {
  const tenantProviderKeys = {
    ofTenant: () => other,
    openOf: () => other,
    find: () => other,
    notOpen: () => [],
    tenants: () => new Map([["acme", wrappedBy(other)]]),
  };
  const keys = providerKeys({ current, tenantProviderKeys });
  expect(keys.of(by(other), "key 1")).toBe(other);
  expect(await thrownBy(() => keys.ofStore(by(other)))).toBeKmsError("PROVIDER_DENIED", "the store is under");
});
