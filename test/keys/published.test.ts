/** What is published of a tenant: its keys with their logs, and that neither cache nor outage hides what is new. */
import { describe, expect, it } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { replicas, tenant } from "../support/tenant-log-fixture.ts";
import { filledLog, grownLog } from "../support/filled-log.ts";
import { thrownBy } from "../support/matchers.ts";
import { setUp, shared, storeWith } from "../support/keys-fixture.ts";

const by = { actor: "ann", requestId: "" };
const started = replicas();

describe("what is published of a tenant", () => {
  it("are its keys alone while it has no log", async () => {
    const { keyring } = setUp();
    const { keyId } = await keyring.activeSigningKey("acme");
    const none = { logs: [], handovers: [], compromises: [] };
    expect(await keyring.publicKeys.published("acme")).toMatchObject({ ...none, keys: [{ keyId }] });
    expect(await keyring.publicKeys.published("nobody")).toMatchObject({ ...none, keys: [] });
    expect(keyring.stats().public.size).toBe(1);
  });

  it("has a log at once, though its keys are cached and did not change", async () => {
    const { keyring, store } = setUp();
    await keyring.activeSigningKey("acme");
    await keyring.publicKeys.published("acme");
    await filledLog(store, 0, { tenantId: "acme", state: "restored" });
    const first = { number: 1, origin: "kms.example.com/acme" };
    expect((await keyring.publicKeys.published("acme")).logs).toMatchObject([first]);
    const second = { number: 2, origin: "other.example.com/acme/2" };
    await filledLog(store, 2, { tenantId: "acme", ...second });
    expect((await keyring.publicKeys.published("acme")).logs).toMatchObject([first, second]);
  });

  it("has a handover at once with the key that it names, also where another replica rotated", async () => {
    const { store, provider } = shared();
    const [here, there] = [started({ store, provider }), started({ store, provider })];
    await here.append(0, 2);
    const { keyId: fromKeyId } = await here.keyring.activeSigningKey(tenant);
    for (const { keyring } of [here, there]) expect((await keyring.publicKeys.published(tenant)).handovers).toEqual([]);
    await here.keyring.rotate({ tenantId: tenant, force: true });
    const { keyId: toKeyId } = await here.keyring.activeSigningKey(tenant);
    for (const { keyring } of [here, there]) {
      const { keys, handovers } = await keyring.publicKeys.published(tenant);
      expect(keys.map(({ keyId }) => keyId)).toEqual([fromKeyId, toKeyId]);
      expect(handovers).toMatchObject([{ fromKeyId, toKeyId, index: 2, proof: expect.stringMatching(/^c2sp/) }]);
    }
  });

  it("has at once how far the log went when a key was marked as compromised, as it was then", async () => {
    const { keyring, store } = setUp();
    const { keyId } = await keyring.activeSigningKey("acme");
    const head = await filledLog(store, 5, { tenantId: "acme" });
    await keyring.publicKeys.published("acme");
    await keyring.markCompromised({ tenantId: "acme", keyId, by });
    await grownLog(store, head, 9);
    const { number, origin, size, root } = head;
    expect((await keyring.publicKeys.published("acme")).compromises).toEqual([
      { tenantId: "acme", keyId, number, origin, size, root },
    ]);
  });
});

describe("while the store gives no answer", () => {
  function setUpWithOutages() {
    const outage = { code: undefined as undefined | "STORE_UNAVAILABLE" | "DATA_LOSS" };
    const store = storeWith(() => {
      if (outage.code) throw new KmsError(outage.code, "down");
    });
    return { ...setUp({ store }), outage };
  }

  it("what was published last is published still, for a day, and of nobody else", async () => {
    const { keyring, store, outage, time } = setUpWithOutages();
    const { keyId } = await keyring.activeSigningKey("acme");
    await keyring.activeSigningKey("other");
    await filledLog(store, 1, { tenantId: "acme" });
    await keyring.publicKeys.published("acme");
    outage.code = "STORE_UNAVAILABLE";
    time.ms = 24 * 60 * 60 * 1000;
    const last = { keys: [{ keyId }], logs: [{ number: 1, origin: "kms.example.com/acme" }] };
    expect(await keyring.publicKeys.published("acme")).toMatchObject(last);
    expect(await thrownBy(() => keyring.publicKeys.published("other"))).toBeKmsError("STORE_UNAVAILABLE");
    time.ms += 60_000;
    expect(await thrownBy(() => keyring.publicKeys.published("acme"))).toBeKmsError("STORE_UNAVAILABLE");
  });

  it("damage is told, and nothing published in its place", async () => {
    const { keyring, outage } = setUpWithOutages();
    await keyring.activeSigningKey("acme");
    await keyring.publicKeys.published("acme");
    outage.code = "DATA_LOSS";
    expect(await thrownBy(() => keyring.publicKeys.published("acme"))).toBeKmsError("DATA_LOSS");
  });
});
