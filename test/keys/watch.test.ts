/** News from other replicas: what is forgotten, what is kept, and when nobody listens any more. */
import { describe, expect, it } from "vitest";
import { KmsError } from "../../src/errors.ts";
import type { KeyChange } from "../../src/store/key-store.ts";
import type { Store } from "../../src/store/store.ts";
import { thrownBy } from "../support/matchers.ts";
import { countingStore, setUp, shared, turn } from "../support/keys-fixture.ts";

const by = { actor: "ann", requestId: "" };

/** Two replicas; what `there` did reaches `here` when the test tells it. */
async function replicas() {
  const { store, provider } = shared();
  const listeners = new Set<(change: KeyChange) => void>();
  const watched: Store = {
    ...store,
    watch(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
  };
  const counted = countingStore(watched);
  const here = setUp({ store: counted.store, provider });
  const there = setUp({ store, provider });
  const data = await here.keyring.activeDataKey("acme");
  const signing = await here.keyring.activeSigningKey("acme");
  await here.keyring.dataKey("acme", data.keyId);
  await here.keyring.publicKeys.all("acme");
  await here.keyring.publicKeys.find("acme", signing.keyId);
  const tell = (change: KeyChange) => {
    for (const listener of listeners) listener(change);
  };
  return { here, there: there.keyring, data, signing, listeners, tell, storeCalls: counted.calls };
}

describe("news of a change", () => {
  it("ends the use of a key that was disabled, and overwrites it", async () => {
    const { here, there, signing, tell } = await replicas();
    await there.disable({ tenantId: "acme", keyId: signing.keyId, by });
    expect(here.keyring.activeSigningKey("acme")).toBe(signing);
    tell({ tenantId: "acme", keyId: signing.keyId, state: "DISABLED" });
    await turn();
    expect(() => signing.key.sign(new Uint8Array(1))).toThrow(KmsError);
    expect(await thrownBy(() => here.keyring.activeSigningKey("acme"))).toBeKmsError("KEY_UNUSABLE");
    expect(await here.keyring.publicKeys.find("acme", signing.keyId)).toMatchObject({ state: "DISABLED" });
    expect((await here.keyring.publicKeys.all("acme")).keys).toMatchObject([{ state: "DISABLED" }]);
  });

  it("ends the use of a data key that was compromised, for encryption and decryption", async () => {
    const { here, there, data, tell } = await replicas();
    const { replacement } = await there.markCompromised({ tenantId: "acme", keyId: data.keyId, by });
    tell({ tenantId: "acme", keyId: data.keyId, state: "COMPROMISED" });
    expect((await here.keyring.activeDataKey("acme")).keyId).toBe(replacement!.keyId);
    expect(await thrownBy(() => here.keyring.dataKey("acme", data.keyId))).toBeKmsError("KEY_UNUSABLE", data.keyId);
  });

  it("of a rotation puts the new key in use and keeps the old data key, but not the old signing key", async () => {
    const { here, there, data, signing, tell } = await replicas();
    const { rotated } = await there.rotate({ tenantId: "acme", force: true });
    for (const { keyId, retiredKeyId } of rotated) {
      tell({ tenantId: "acme", keyId: retiredKeyId!, state: "RETIRED" });
      tell({ tenantId: "acme", keyId: keyId!, state: "ACTIVE" });
    }
    expect((await here.keyring.activeDataKey("acme")).keyId).toBe(rotated[0]!.keyId);
    expect((await here.keyring.activeSigningKey("acme")).keyId).toBe(rotated[1]!.keyId);
    const before = here.calls.total;
    expect(await here.keyring.dataKey("acme", data.keyId)).toBe(data);
    expect(here.calls.total).toBe(before);
    await turn();
    expect(() => signing.key.sign(new Uint8Array(1))).toThrow(KmsError);
    expect(await here.keyring.publicKeys.find("acme", signing.keyId)).toMatchObject({ state: "RETIRED" });
  });

  it("is about its own tenant alone", async () => {
    const { here, data, tell, storeCalls } = await replicas();
    const other = await here.keyring.activeDataKey("other");
    storeCalls.length = 0;
    tell({ tenantId: "acme", keyId: data.keyId, state: "RETIRED" });
    expect(here.keyring.activeDataKey("other")).toBe(other);
    expect(storeCalls).toEqual([]);
  });

  it("does not keep a record that was read before it came", async () => {
    const { here, there, data, tell } = await replicas();
    here.time.ms = 30_000; // the record has to be read again
    const reading = here.keyring.activeDataKey("acme");
    tell({ tenantId: "acme", keyId: data.keyId, state: "RETIRED" });
    await reading;
    const { rotated } = await there.rotate({ tenantId: "acme", force: true, purposes: ["data"] });
    expect((await here.keyring.activeDataKey("acme")).keyId).toBe(rotated[0]!.keyId);
  });
});

describe("news that anything may have changed", () => {
  it("has every record read again, and costs no provider call", async () => {
    const { here, data, signing, tell, storeCalls } = await replicas();
    const before = here.calls.total;
    storeCalls.length = 0;
    tell("any");
    expect(await here.keyring.activeDataKey("acme")).toBe(data);
    expect(await here.keyring.activeSigningKey("acme")).toBe(signing);
    expect(await here.keyring.dataKey("acme", data.keyId)).toBe(data);
    await here.keyring.publicKeys.all("acme");
    await here.keyring.publicKeys.find("acme", signing.keyId);
    expect(storeCalls).toEqual(["active", "active", "get", "list", "logHandovers", "logCompromises", "get"]);
    expect(here.calls.total).toBe(before);
  });

  it("keeps no key in use that another replica took out of use", async () => {
    const { here, there, data, signing, tell } = await replicas();
    await there.disable({ tenantId: "acme", keyId: data.keyId, by });
    await there.scheduleDestruction({ tenantId: "acme", keyId: signing.keyId, by, days: 7 });
    tell("any");
    expect(await thrownBy(() => here.keyring.activeDataKey("acme"))).toBeKmsError("KEY_UNUSABLE");
    expect(await thrownBy(() => here.keyring.dataKey("acme", data.keyId))).toBeKmsError("KEY_UNUSABLE");
    expect(await thrownBy(() => here.keyring.activeSigningKey("acme"))).toBeKmsError("KEY_UNUSABLE");
  });
});

it("is not listened to after the keyring was closed", async () => {
  const { here, listeners } = await replicas();
  expect(listeners.size).toBe(1);
  here.keyring.close();
  expect(listeners.size).toBe(0);
});
