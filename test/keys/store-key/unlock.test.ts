/** The key of a store: made once, opened by a provider key that is configured, and by none that does not bind it to its context. */
import { expect, it } from "vitest";
import { providerKeys } from "../../../src/provider-keys/provider-keys.ts";
import { unlockStore } from "../../../src/keys/store-key/unlock.ts";
import { localProvider } from "../../../src/provider/local/open.ts";
import { randomMasterKey } from "../../../src/provider/local/master-key.ts";
import type { Provider } from "../../../src/provider/provider.ts";
import { openStore } from "../../../src/store/registry.ts";
import { thrownBy } from "../../support/matchers.ts";
import { realTime } from "../../../src/runtime/time.ts";

const locked = () => openStore({ name: "memory" }, realTime);

it("opens under the provider key that wrapped it, in whichever place the configuration names it", async () => {
  const [a, b] = [localProvider(randomMasterKey()), localProvider(randomMasterKey())];
  const store = await locked();
  await unlockStore(store, providerKeys({ current: a }), realTime);
  for (const keys of [providerKeys({ current: a }), providerKeys({ current: b, others: [a] })])
    expect((await unlockStore(store, keys, realTime)).name).toBe("memory");
  expect(await thrownBy(() => unlockStore(store, providerKeys({ current: b }), realTime))).toBeKmsError(
    "PROVIDER_DENIED",
    b.keyId,
  );
});

it("does not open by a provider that ignores the context, which would open one tenant's key in another's place", async () => {
  const local = localProvider(randomMasterKey());
  const ignorant: Provider = {
    ...local,
    encrypt: (plaintext) => local.encrypt(plaintext, {}),
    decrypt: (wrapped) => local.decrypt(wrapped, {}),
  };
  const error = await thrownBy(async () => unlockStore(await locked(), providerKeys({ current: ignorant }), realTime));
  expect(error).toBeKmsError("PROVIDER_DENIED", "another encryption context");
});

it("is lost where the provider opens it to something else", async () => {
  const local = localProvider(randomMasterKey());
  const store = await locked();
  await unlockStore(store, providerKeys({ current: local }), realTime);
  const short: Provider = { ...local, decrypt: async (...given) => (await local.decrypt(...given)).subarray(1) };
  expect(await thrownBy(() => unlockStore(store, providerKeys({ current: short }), realTime))).toBeKmsError(
    "DATA_LOSS",
    "length",
  );
});
