/** A new key is durable and proven before anyone uses it: whatever step fails, no unproven key becomes ACTIVE. */
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { KmsError } from "../../src/errors.ts";
import type { Keyring } from "../../src/keys/keyring.ts";
import { type KeyRecord, type Purpose, purposes } from "../../src/store/key-record.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { thrownBy } from "../support/matchers.ts";
import { grown, newLog } from "../support/log-store-fixture.ts";
import { setUp, shared } from "../support/keys-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";

const active = (keyring: Keyring, purpose: Purpose) =>
  purpose === "data" ? keyring.activeDataKey("acme") : keyring.activeSigningKey("acme");

/** The parts of a keyring, each step of which can be made to crash before or after it took effect. */
function crashing() {
  const { store, provider } = shared();
  const crash: { at: string | undefined } = { at: undefined };
  const crashAt = (point: string) => {
    if (crash.at === point) throw new KmsError("STORE_UNAVAILABLE", `crashed ${point}`);
  };
  /** The same parts, but for these steps. */
  const wrap = <Part extends object>(part: Part, steps: (keyof Part & string)[]): Part => {
    const wrapped = steps.map((step) => {
      const call = part[step] as (...given: unknown[]) => Promise<unknown>;
      return [
        step,
        async (...given: unknown[]) => {
          crashAt(`before ${step}`);
          const result = await call(...given);
          crashAt(`after ${step}`);
          return result;
        },
      ];
    });
    return { ...part, ...Object.fromEntries(wrapped) };
  };
  const crashingStore: Store = {
    ...wrap(store, ["insertPending", "get", "activate"]),
    // A crashed process cleans nothing up.
    async deletePending(...given) {
      if (crash.at === undefined) await store.deletePending(...given);
    },
  };
  const crashingProvider = wrap(provider, ["generateDataKey", "encrypt", "decrypt"]);
  return { store, provider, crash, crashingStore, crashingProvider };
}

function pointsOf(purpose: Purpose): string[] {
  const steps = [purpose === "data" ? "generateDataKey" : "encrypt", "insertPending", "get", "decrypt", "activate"];
  return steps.flatMap((step) => [`before ${step}`, `after ${step}`]);
}

describe.each(purposes)("a crash while a %s key is made", (purpose) => {
  it.each(pointsOf(purpose))("%s leaves nothing unproven in use, and the next start goes on", async (point) => {
    const { store, provider, crash, crashingStore, crashingProvider } = crashing();
    const first = setUp({ store: crashingStore, provider: crashingProvider });
    crash.at = point;
    expect(await thrownBy(() => active(first.keyring, purpose))).toBeKmsError("STORE_UNAVAILABLE", point);
    const left = await store.active("acme", purpose);
    expect(left === undefined).toBe(point !== "after activate");

    const next = setUp({ store, provider });
    const key = await active(next.keyring, purpose);
    if (left !== undefined) expect(key.keyId).toBe(left.keyId);
    expect(await store.list("acme", purpose)).toMatchObject([{ keyId: key.keyId, state: "ACTIVE", version: 1 }]);

    next.time.ms = 11 * 60_000;
    await next.keyring.pruneAbandoned();
    expect((await store.counts()).byPurpose[purpose]).toEqual({ ACTIVE: 1 });
  });

  it.each(pointsOf(purpose))("%s in a rotation leaves the old key or the new one ACTIVE", async (point) => {
    const { store, provider, crash, crashingStore, crashingProvider } = crashing();
    const { keyring } = setUp({ store: crashingStore, provider: crashingProvider });
    const { keyId: before } = await active(keyring, purpose);
    crash.at = point;
    const { failed } = await keyring.rotate({ tenantId: "acme", purposes: [purpose], force: true });
    expect(failed).toMatchObject([{ purpose, error: { code: "STORE_UNAVAILABLE" } }]);
    const present = (await store.active("acme", purpose))!;
    expect(present.keyId === before).toBe(point !== "after activate");
    expect((await active(setUp({ store, provider }).keyring, purpose)).keyId).toBe(present.keyId);
  });
});

describe("pending records", () => {
  it("are deleted after ten minutes, not before", async () => {
    const { store, crash, crashingStore, crashingProvider } = crashing();
    const { keyring, time } = setUp({ store: crashingStore, provider: crashingProvider });
    crash.at = "after insertPending";
    await thrownBy(() => active(keyring, "data"));
    expect((await store.counts()).byPurpose.data).toEqual({ PENDING: 1 });
    time.ms = 10 * 60_000;
    expect(await keyring.pruneAbandoned()).toBe(0);
    time.ms += 1;
    expect(await keyring.pruneAbandoned()).toBe(1);
  });

  it("are looked for with the request ids and batches that are to be forgotten after 24 hours", async () => {
    const { keyring, store, time } = setUp();
    await active(keyring, "data");
    await keyring.rotate({ tenantId: "acme", force: true, requestId: "r1" });
    const log = { tenantId: "acme", number: 1 };
    await store.createLog(newLog(log));
    const batch = { requestId: "r1", digest: "aa", firstIndex: 0, count: 1, signedAt: new Date(time.start) };
    await store.appendLog(grown(newLog(log), 1, [batch]));
    time.ms = 24 * 3_600_000;
    await keyring.pruneAbandoned();
    expect(await store.request("acme", "r1")).toBeDefined();
    expect(await store.logRequest(log, "r1")).toEqual(batch);
    time.ms += 1;
    await keyring.pruneAbandoned();
    expect(await store.request("acme", "r1")).toBeUndefined();
    expect(await store.logRequest(log, "r1")).toBeUndefined();
  });

  it("are deleted at once where only the creation failed", async () => {
    const decrypt = () => Promise.reject(new KmsError("PROVIDER_UNAVAILABLE", "down"));
    const { keyring, store } = setUp({ provider: { ...localProvider(randomMasterKey()), decrypt } });
    expect(await thrownBy(() => active(keyring, "data"))).toBeKmsError("PROVIDER_UNAVAILABLE");
    expect((await store.counts()).byPurpose.data).toEqual({});
  });
});

describe.each(purposes)("a %s key", (purpose) => {
  it.each<[string, (opened: Uint8Array) => Uint8Array]>([
    ["other bytes", () => randomBytes(32)],
    ["one bit changed", (opened) => opened.with(0, opened[0]! ^ 1)],
    ["fewer bytes", (opened) => opened.subarray(1)],
    ["more bytes", (opened) => Buffer.concat([opened, Buffer.of(0)])],
    ["nothing", () => new Uint8Array()],
  ])("is never activated when the provider gives back %s", async (_what, garble) => {
    const local = localProvider(randomMasterKey());
    const provider: Provider = { ...local, decrypt: async (...given) => garble(await local.decrypt(...given)) };
    const { keyring, store } = setUp({ provider });
    expect(await thrownBy(() => active(keyring, purpose))).toBeKmsError("PROVIDER_UNAVAILABLE");
    expect(await store.active("acme", purpose)).toBeUndefined();
    expect(await store.list("acme", purpose)).toEqual([]);
  });

  it("is never activated when the provider does not open it, which is no damage of the store", async () => {
    const decrypt = () => Promise.reject(new KmsError("CIPHERTEXT_REJECTED", "ciphertext rejected"));
    const { keyring, store } = setUp({ provider: { ...localProvider(randomMasterKey()), decrypt } });
    expect(await thrownBy(() => active(keyring, purpose))).toBeKmsError(
      "PROVIDER_UNAVAILABLE",
      "did not give back key",
    );
    expect(await store.list("acme", purpose)).toEqual([]);
  });

  it.each<[string, (record: KeyRecord) => Partial<KeyRecord>, string]>([
    ["is not the one it was given", ({ wrapped }) => ({ wrapped: wrapped.with(20, wrapped[20]! ^ 1) }), ""],
    ["is of another key", () => ({ publicKey: randomBytes(32) }), "another key than its record is of"],
  ])("is never activated when the record that the store gives back %s", async (_what, change, message) => {
    const honest = memoryStore(realTime);
    const get: Store["get"] = async (tenantId, keyId) => {
      const record = await honest.get(tenantId, keyId);
      return record && { ...record, ...change(record) };
    };
    const { keyring } = setUp({ store: { ...honest, get } });
    expect(await thrownBy(() => active(keyring, purpose))).toBeKmsError("DATA_LOSS", message);
    expect(await honest.active("acme", purpose)).toBeUndefined();
  });
});
