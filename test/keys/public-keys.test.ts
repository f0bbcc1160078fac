/** Public keys: every version with its state and times, from the store alone. */
import { describe, expect, it } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { thrownBy } from "../support/matchers.ts";
import { countingStore, dayMs, disabling, setUp, shared, storeWith } from "../support/keys-fixture.ts";

describe("public keys", () => {
  it("are looked up one by one: a key costs one look-up, however many versions there are", async () => {
    const { store, calls } = countingStore();
    const { keyring } = setUp({ store });
    const { keyId } = await keyring.activeSigningKey("acme");
    for (let i = 0; i < 10; i += 1) await keyring.rotate({ tenantId: "acme", force: true });
    calls.length = 0;
    expect(await keyring.publicKeys.find("acme", keyId)).toMatchObject({ version: 1, state: "RETIRED" });
    expect(keyring.publicKeys.find("acme", keyId)).toMatchObject({ version: 1 });
    expect(calls).toEqual(["get"]);
  });

  it("change at once with a rotation and a mark made here", async () => {
    const { keyring } = setUp();
    const { keyId } = await keyring.activeSigningKey("acme");
    await keyring.publicKeys.find("acme", keyId);
    await keyring.rotate({ tenantId: "acme", force: true });
    expect(await keyring.publicKeys.find("acme", keyId)).toMatchObject({
      state: "RETIRED",
      validUntil: expect.any(Date),
    });
    await keyring.markCompromised({ tenantId: "acme", keyId, by: { actor: "ann", requestId: "" } });
    expect(await keyring.publicKeys.find("acme", keyId)).toMatchObject({ state: "COMPROMISED" });
    expect((await keyring.publicKeys.all("acme")).keys.map(({ state }) => state)).toEqual(["COMPROMISED", "ACTIVE"]);
  });

  it("are all versions, oldest first, valid from activation to a minute after retirement", async () => {
    const { keyring, time, calls } = setUp();
    const first = await keyring.activeSigningKey("acme");
    const firstPublicKey = Uint8Array.from(first.key.publicKey);
    time.ms = dayMs;
    await keyring.rotate({ tenantId: "acme", force: true });
    const second = await keyring.activeSigningKey("acme");
    const before = calls.total;
    const compromisedAt = undefined;
    expect((await keyring.publicKeys.all("acme")).keys).toEqual([
      {
        keyId: first.keyId,
        version: 1,
        publicKey: firstPublicKey,
        state: "RETIRED",
        validFrom: new Date("2026-01-01T00:00:00.000Z"),
        validUntil: new Date("2026-01-02T00:01:00.000Z"),
        compromisedAt,
      },
      {
        keyId: second.keyId,
        version: 2,
        publicKey: Uint8Array.from(second.key.publicKey),
        state: "ACTIVE",
        validFrom: new Date("2026-01-02T00:00:00.000Z"),
        validUntil: undefined,
        compromisedAt,
      },
    ]);
    expect(calls.total).toBe(before);
  });

  it("are none for a tenant without signing keys, and makes it none", async () => {
    const { keyring, calls } = setUp();
    await keyring.activeDataKey("acme");
    const before = calls.total;
    expect((await keyring.publicKeys.all("acme")).keys).toEqual([]);
    expect((await keyring.publicKeys.all("nobody")).keys).toEqual([]);
    expect(await keyring.publicKeys.find("nobody", "ff".repeat(16))).toBeUndefined();
    expect(calls.total).toBe(before);
    expect(keyring.stats().public.size).toBe(0);
  });

  it("are found by id inside their tenant only, at once when cached", async () => {
    const { keyring } = setUp();
    const { keyId } = await keyring.activeSigningKey("acme");
    const data = await keyring.activeDataKey("acme");
    await keyring.activeSigningKey("other");
    expect(await keyring.publicKeys.find("acme", keyId)).toMatchObject({ keyId, state: "ACTIVE" });
    expect(keyring.publicKeys.find("acme", keyId)).toMatchObject({ keyId });
    expect(await keyring.publicKeys.find("other", keyId)).toBeUndefined();
    expect(await keyring.publicKeys.find("acme", data.keyId)).toBeUndefined();
    expect(await keyring.publicKeys.find("acme", "ff".repeat(16))).toBeUndefined();
  });

  it("include a new key at once, another replica's too", async () => {
    const parts = shared();
    const [here, there] = [setUp(parts).keyring, setUp(parts).keyring];
    await here.activeSigningKey("acme");
    await there.publicKeys.all("acme");
    const [rotated] = (await here.rotate({ tenantId: "acme", force: true })).rotated;
    expect((await here.publicKeys.all("acme")).keys).toHaveLength(2);
    expect(await there.publicKeys.find("acme", rotated!.keyId!)).toMatchObject({ version: 2 });
    expect((await there.publicKeys.all("acme")).keys).toHaveLength(2);
  });

  it("show within 30 seconds what another replica did to a key", async () => {
    const { keyring, store, time } = setUp();
    const { keyId } = await keyring.activeSigningKey("acme");
    await keyring.publicKeys.all("acme");
    await keyring.publicKeys.find("acme", keyId);
    const record = (await store.active("acme", "signing"))!;
    const compromisedAt = new Date(time.start + 5);
    await store.update(record, { ...record, state: "COMPROMISED", compromisedAt }, disabling);
    time.ms = 30_000;
    expect(await keyring.publicKeys.find("acme", keyId)).toMatchObject({ state: "COMPROMISED", compromisedAt });
  });

  it("are served for a day while the store gives no answer, but an unknown id is then nobody's to judge", async () => {
    let down = false;
    const store = storeWith(() => {
      if (down) throw new KmsError("STORE_UNAVAILABLE", "down");
    });
    const { keyring, time } = setUp({ store });
    const { keyId } = await keyring.activeSigningKey("acme");
    await keyring.publicKeys.all("acme");
    await keyring.publicKeys.find("acme", keyId);
    down = true;
    time.ms = dayMs;
    expect((await keyring.publicKeys.all("acme")).keys).toMatchObject([{ keyId }]);
    expect(await keyring.publicKeys.find("acme", keyId)).toMatchObject({ keyId });
    expect(await thrownBy(() => keyring.publicKeys.find("acme", "ff".repeat(16)))).toBeKmsError("STORE_UNAVAILABLE");
    expect(await keyring.publicKeys.find("acme", keyId)).toMatchObject({ keyId });
    time.ms = dayMs + 30_000;
    expect(await thrownBy(() => keyring.publicKeys.find("acme", keyId))).toBeKmsError("STORE_UNAVAILABLE");
  });
});
