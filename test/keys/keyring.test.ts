/** The keyring: a tenant's keys made once, found again, kept apart, and refused by state. */
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { openGcm, sealGcm } from "../../src/crypto/aes-gcm.ts";
import { verifySignature } from "../../src/crypto/ed25519.ts";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import type { KeyState } from "../../src/store/key-record.ts";
import { cachesOf } from "../../src/keys/keyring.ts";
import type { UsableDataKey } from "../../src/keys/usable-key.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { type LongRead, longReads } from "../../src/store/long-reads.ts";
import type { Store } from "../../src/store/store.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import { thrownBy } from "../support/matchers.ts";
import {
  counting,
  countingStore,
  dayMs,
  disabling,
  providerWith,
  setUp,
  shared,
  storeWith,
  turn,
} from "../support/keys-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";

const hourMs = 3_600_000;
const aad = Buffer.from("test");
const message = Buffer.from("a statement");
const by = { actor: "ann", requestId: "" };

function bytesOf({ material }: UsableDataKey): Uint8Array {
  const bytes = new Uint8Array(32);
  material.inputKey("pii").expand([], bytes);
  return bytes;
}

const seal = (key: UsableDataKey, text: string) => sealGcm(bytesOf(key), Buffer.from(text), aad);
const open = (key: UsableDataKey, sealed: Uint8Array) => Buffer.from(openGcm(bytesOf(key), sealed, aad)).toString();

async function moveTo(store: Store, state: KeyState): Promise<string> {
  const active = (await store.active("acme", "data"))!;
  const destroyWait = { sinceMs: 0, waitMs: 0 }; // without one nothing is destroyed
  await store.update(active, { ...active, state, previousState: "ACTIVE", destroyWait }, disabling);
  return active.keyId;
}

describe("a tenant's first call", () => {
  it("makes one key of each purpose with two provider calls, whoever else calls at once", async () => {
    const { keyring, store, calls } = setUp();
    const thousand = <T>(ask: () => T) => Promise.all(Array.from({ length: 1_000 }, ask));
    const data = new Set(await thousand(() => keyring.activeDataKey("acme")));
    expect(calls).toMatchObject({ generateDataKey: 1, encrypt: 0, decrypt: 1 });
    const signing = new Set(await thousand(() => keyring.activeSigningKey("acme")));
    expect(calls).toMatchObject({ generateDataKey: 1, encrypt: 1, decrypt: 2 });
    const [[dataKey], [signingKey]] = [[...data], [...signing]];
    const active = { version: 1, state: "ACTIVE" };
    expect(await store.list("acme", "data")).toMatchObject([{ keyId: dataKey!.keyId, ...active }]);
    const records = await store.list("acme", "signing");
    expect(records).toMatchObject([{ keyId: signingKey!.keyId, ...active }]);
    expect([data.size, signing.size, dataKey!.keyId === signingKey!.keyId]).toEqual([1, 1, false]);
    expect(verifySignature(records[0]!.publicKey, message, signingKey!.key.sign(message))).toBe(true);
  });

  it("and every later one wait for no long read, which may wait for those of others", async () => {
    const { store, calls } = countingStore();
    const { provider } = shared();
    const first = setUp({ store, provider }).keyring;
    const { keyId } = await first.activeDataKey("acme");
    await first.activeSigningKey("acme");
    const another = setUp({ store, provider }).keyring;
    await another.activeSigningKey("acme");
    await another.dataKey("acme", keyId);
    expect(calls).toContain("activate");
    expect(calls.filter((call) => longReads.includes(call as LongRead))).toEqual([]);
  });

  it("says that an ACTIVE key is lost whose record is not found, which is unknown to whoever brings its id", async () => {
    const { store, provider } = shared();
    const { keyId } = await setUp({ store, provider }).keyring.activeDataKey("acme");
    const { keyring } = setUp({ store: { ...store, get: async () => undefined }, provider });
    expect(await thrownBy(() => keyring.activeDataKey("acme"))).toBeKmsError("DATA_LOSS", keyId);
    expect(await thrownBy(() => keyring.dataKey("acme", keyId))).toBeKmsError("CIPHERTEXT_REJECTED");
  });

  it("uses the key that another replica made while it looked for one", async () => {
    const { store, provider } = shared();
    const other = setUp({ store, provider }).keyring;
    const late: Store = {
      ...store,
      async active(tenantId, purpose) {
        const present = await store.active(tenantId, purpose);
        await other.activeDataKey(tenantId);
        return present;
      },
    };
    const { keyring } = setUp({ store: late, provider });
    expect((await keyring.activeDataKey("acme")).keyId).toBe((await other.activeDataKey("acme")).keyId);
    expect(await store.list("acme", "data")).toHaveLength(1);
  });

  it("is raced by replicas: one key wins, everyone uses it, and nothing is left of the others", async () => {
    const { store, provider } = shared();
    const replicas = Array.from({ length: 5 }, () => setUp({ store, provider }).keyring);
    const keys = await Promise.all(replicas.map((keyring) => keyring.activeDataKey("acme")));
    expect(new Set(keys.map(({ keyId }) => keyId)).size).toBe(1);
    expect(open(keys[1]!, seal(keys[0]!, "hello"))).toBe("hello");
    expect((await store.counts()).byPurpose.data).toEqual({ ACTIVE: 1 });
  });

  it("does not fail for the others when one caller goes away", async () => {
    const { keyring } = setUp();
    const caller = new AbortController();
    const gone = keyring.activeDataKey("acme", caller);
    const stays = keyring.activeDataKey("acme");
    caller.abort();
    expect(await thrownBy(() => gone)).toBeKmsError("CANCELLED");
    expect((await stays).keyId).toMatch(/^[0-9a-f]{32}$/);
  });

  it("makes no second key where the tenant's only one is disabled", async () => {
    const { keyring, store } = setUp();
    await keyring.activeDataKey("acme");
    const keyId = await moveTo(store, "DISABLED");
    keyring.invalidate("acme", keyId);
    expect(await thrownBy(() => keyring.activeDataKey("acme"))).toBeKmsError("KEY_UNUSABLE", "acme");
    expect(await store.list("acme", "data")).toHaveLength(1);
  });
});

describe("a tenant whose keys are all out of use", () => {
  async function refused() {
    const honest = memoryStore(realTime);
    const { store, calls } = countingStore(honest);
    const parts = setUp({ store });
    await parts.keyring.activeDataKey("acme");
    const keyId = await moveTo(honest, "DISABLED");
    parts.keyring.invalidate("acme", keyId);
    const refuse = async () => {
      expect(await thrownBy(() => parts.keyring.activeDataKey("acme"))).toBeKmsError("KEY_UNUSABLE", "rotate");
    };
    calls.length = 0;
    return { ...parts, honest, storeCalls: calls, keyId, refuse };
  }

  it("is refused without another look for a second", async () => {
    const { time, storeCalls, refuse } = await refused();
    await refuse();
    expect(storeCalls).toEqual(["active", "lastVersion", "list"]);
    time.ms += 999;
    await refuse();
    expect(storeCalls).toHaveLength(3);
    time.ms += 1;
    await refuse();
    expect(storeCalls).toHaveLength(6);
  });

  it("is refused no more once one is enabled or made", async () => {
    for (const change of ["enable", "rotate"] as const) {
      const { keyring, keyId, refuse } = await refused();
      await refuse();
      if (change === "rotate") await keyring.rotate({ tenantId: "acme" });
      else await keyring.enable({ tenantId: "acme", keyId, by });
      expect((await keyring.activeDataKey("acme")).keyId === keyId).toBe(change === "enable");
    }
  });

  it("is looked at again where one was enabled during the look", async () => {
    const honest = memoryStore(realTime);
    const listed = Promise.withResolvers<void>();
    const enabled = Promise.withResolvers<void>();
    const list: Store["list"] = async (...given) => {
      const versions = await honest.list(...given);
      listed.resolve();
      await enabled.promise;
      return versions;
    };
    const { keyring } = setUp({ store: { ...honest, list } });
    await keyring.activeDataKey("acme");
    const keyId = await moveTo(honest, "DISABLED");
    keyring.invalidate("acme", keyId);
    const refusal = thrownBy(() => keyring.activeDataKey("acme"));
    await listed.promise;
    await keyring.enable({ tenantId: "acme", keyId, by });
    enabled.resolve();
    await refusal;
    expect((await keyring.activeDataKey("acme")).keyId).toBe(keyId);
  });

  it("is looked at each time while a record is damaged", async () => {
    const honest = memoryStore(realTime);
    let looks = 0;
    let damaged = false;
    const store = storeWith((name) => {
      if (name === "list") looks += 1;
      if (name === "list" && damaged) throw new KmsError("DATA_LOSS", "damaged");
    }, honest);
    const { keyring } = setUp({ store });
    await keyring.activeDataKey("acme");
    keyring.invalidate("acme", await moveTo(honest, "DISABLED"));
    damaged = true;
    for (const _ of [1, 2]) expect(await thrownBy(() => keyring.activeDataKey("acme"))).toBeKmsError("DATA_LOSS");
    expect(looks).toBe(2);
    damaged = false;
    expect(await thrownBy(() => keyring.activeDataKey("acme"))).toBeKmsError("KEY_UNUSABLE");
  });
});

describe("a cached key", () => {
  it("is returned at once, without a promise or a provider call", async () => {
    const { keyring, calls } = setUp();
    const key = await keyring.activeDataKey("acme");
    const signing = await keyring.activeSigningKey("acme");
    const before = calls.total;
    expect(keyring.activeDataKey("acme")).toBe(key);
    expect(keyring.activeSigningKey("acme")).toBe(signing);
    await keyring.dataKey("acme", key.keyId);
    expect(keyring.dataKey("acme", key.keyId)).toBe(key);
    expect(calls.total).toBe(before);
    expect(keyring.stats().data).toEqual({
      hits: 2,
      misses: 2,
      evictions: 0,
      size: 1,
      stale: 0,
      loads: { first: 0, refreshed: 0, expired: 0, doubted: 0 },
    });
  });

  it("is overwritten on close, when others push it out after the turn in which it was taken, and after its time", async () => {
    const { keyring } = setUp();
    const [data, signing] = [await keyring.activeDataKey("acme"), await keyring.activeSigningKey("acme")];
    keyring.close();
    const small = setUp({ maxEntries: 1 }).keyring;
    const pushedOut = await small.activeSigningKey("acme");
    await small.activeSigningKey("other");
    expect(pushedOut.key.sign(message)).toHaveLength(64);
    const { keyring: old, time } = setUp();
    const expired = await old.activeDataKey("acme");
    time.ms = 5 * hourMs;
    old.dropExpired();
    await turn();
    for (const { material } of [data, expired]) expect(() => material.inputKey("pii")).toThrow(KmsError);
    for (const { key } of [signing, pushedOut]) expect(() => key.sign(message)).toThrow(KmsError);
  });

  it("leaves no copy of the provider's plaintext", async () => {
    const local = localProvider(randomMasterKey());
    const given: Uint8Array[] = [];
    const watched: Provider = {
      ...local,
      async generateDataKey(...rest) {
        const key = await local.generateDataKey(...rest);
        given.push(key.plaintext);
        return key;
      },
      encrypt(plaintext, ...rest) {
        given.push(plaintext);
        return local.encrypt(plaintext, ...rest);
      },
      async decrypt(...rest) {
        const plaintext = await local.decrypt(...rest);
        given.push(plaintext);
        return plaintext;
      },
    };
    const { keyring, time } = setUp({ provider: watched });
    await keyring.activeDataKey("acme");
    await keyring.activeSigningKey("acme");
    time.ms = 2 * hourMs;
    await keyring.activeDataKey("acme");
    expect(given).toHaveLength(5);
    expect(given.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
  });

  it("sees within 30 seconds what another replica did", async () => {
    const { store, provider } = shared();
    const [here, there] = [setUp({ store, provider }), setUp({ store, provider })];
    const { keyId } = await here.keyring.activeDataKey("acme");
    await here.keyring.dataKey("acme", keyId);
    await there.keyring.rotate({ tenantId: "acme", force: true });
    here.time.ms = 30_000;
    expect((await here.keyring.activeDataKey("acme")).keyId).not.toBe(keyId);
    const retired = (await store.get("acme", keyId))!;
    await store.update(retired, { ...retired, state: "DISABLED", previousState: "RETIRED" }, disabling);
    here.time.ms = 60_000;
    expect(await thrownBy(() => here.keyring.dataKey("acme", keyId))).toBeKmsError("KEY_UNUSABLE", keyId);
  });
});

describe("a key that another replica marked as compromised while its record was still believed", () => {
  async function meet() {
    const { store, provider } = shared();
    const here = setUp({ store, provider, ttlMs: 1_000, maxStaleMs: 0 });
    const there = setUp({ store, provider });
    const { keyId } = await here.keyring.activeDataKey("acme");
    await here.keyring.dataKey("acme", keyId);
    const { replacement } = await there.keyring.markCompromised({ tenantId: "acme", keyId, by });
    here.time.ms = 2_000; // the key itself is loaded again, and with it its record
    return { ...here, keyId, replacement: replacement!.keyId };
  }

  it("is not asked of those who encrypt: they get the one in its place", async () => {
    const { keyring, replacement } = await meet();
    expect((await keyring.activeDataKey("acme")).keyId).toBe(replacement);
  });

  it("opens for break-glass, and for nobody else, and is not encrypted with then", async () => {
    const { keyring, keyId, replacement } = await meet();
    const waiter = (has: boolean) => ({
      signal: new AbortController().signal,
      caller: { name: "ann", has: () => has },
    });
    expect(await thrownBy(() => keyring.dataKey("acme", keyId, waiter(false)))).toBeKmsError("KEY_UNUSABLE", keyId);
    expect((await keyring.dataKey("acme", keyId, waiter(true))).keyId).toBe(keyId);
    expect((await keyring.activeDataKey("acme")).keyId).toBe(replacement);
  });
});

describe("a key for decryption", () => {
  it("is still there after three rotations, with every cache entry expired and after a restart", async () => {
    const { store, provider } = shared();
    const { keyring, time } = setUp({ store, provider });
    const first = await keyring.activeDataKey("acme");
    const sealed = seal(first, "for ever");
    for (let i = 0; i < 3; i += 1) await keyring.rotate({ tenantId: "acme", purposes: ["data"], force: true });
    expect(open(await keyring.dataKey("acme", first.keyId), sealed)).toBe("for ever");
    time.ms = 30 * dayMs;
    expect(open(await keyring.dataKey("acme", first.keyId), sealed)).toBe("for ever");
    const restarted = setUp({ store, provider }).keyring;
    expect(open(await restarted.dataKey("acme", first.keyId), sealed)).toBe("for ever");
  });

  it("is no other tenant's, no other purpose's and no pending one, and the answers are alike", async () => {
    const { keyring, store } = setUp();
    const data = await keyring.activeDataKey("acme");
    const signing = await keyring.activeSigningKey("acme");
    await keyring.activeDataKey("other");
    await keyring.dataKey("acme", data.keyId);
    const record = (await store.get("acme", data.keyId))!;
    const keyId = randomBytes(16).toString("hex");
    await store.insertPending({ ...record, keyId });
    const refused = [
      await thrownBy(() => keyring.dataKey("other", data.keyId)),
      await thrownBy(() => keyring.dataKey("acme", signing.keyId)),
      await thrownBy(() => keyring.dataKey("acme", keyId)),
      await thrownBy(() => keyring.dataKey("acme", "ff".repeat(16))),
    ];
    for (const error of refused) expect(error).toBeKmsError("CIPHERTEXT_REJECTED");
    expect(new Set(refused.map((error) => (error as KmsError).message)).size).toBe(1);
  });

  it("is not spoiled for its tenant by another tenant that asks for it at the same time", async () => {
    const { keyring, time } = setUp();
    const { keyId } = await keyring.activeDataKey("acme");
    time.ms = 10 * hourMs;
    const theirs = thrownBy(() => keyring.dataKey("other", keyId));
    const ours = keyring.dataKey("acme", keyId);
    expect(await theirs).toBeKmsError("CIPHERTEXT_REJECTED");
    expect((await ours).keyId).toBe(keyId);
  });

  it("that is out of use is refused for 30 seconds without another look", async () => {
    const honest = memoryStore(realTime);
    const { store, calls } = countingStore(honest);
    const { keyring, time } = setUp({ store });
    const { keyId } = await keyring.activeDataKey("acme");
    await moveTo(honest, "DISABLED");
    keyring.invalidate("acme", keyId);
    const refuse = async () =>
      expect(await thrownBy(() => keyring.dataKey("acme", keyId))).toBeKmsError("KEY_UNUSABLE");
    calls.length = 0;
    await refuse();
    time.ms += 20_000;
    await refuse();
    expect(calls).toEqual(["get"]);
    time.ms += 10_000;
    await refuse();
    expect(calls).toEqual(["get", "get"]);
  });
});

describe("a secret that is cached", () => {
  const states = ["RETIRED", "DISABLED", "COMPROMISED", "DESTROY_SCHEDULED", "DESTROYED"] as const;
  const secretsOf = (keyring: Parameters<typeof cachesOf>[0], keyType: string) =>
    cachesOf(keyring, 10).find((each) => each.keyType === keyType)!.size;

  it.each(states)("of a signing key leaves the memory once that is noticed to be %s", async (state) => {
    const { keyring } = setUp();
    const { keyId } = await keyring.activeSigningKey("acme");
    expect(secretsOf(keyring, "signing")).toBe(1);
    keyring.noticed("acme", keyId, state);
    expect(secretsOf(keyring, "signing")).toBe(0);
  });

  it.each(states)("of a data key leaves it too where %s opens nothing", async (state) => {
    const { keyring } = setUp();
    const { keyId } = await keyring.activeDataKey("acme");
    keyring.noticed("acme", keyId, state);
    expect(secretsOf(keyring, "data")).toBe(state === "RETIRED" ? 1 : 0);
  });
});

describe("a provider in trouble", () => {
  function troubled() {
    const trouble: { code: KmsErrorCode | undefined } = { code: undefined };
    const provider = providerWith((operation) => {
      if (operation === "decrypt" && trouble.code) throw new KmsError(trouble.code, "as told");
    });
    return { ...setUp({ provider }), trouble };
  }

  it("does not stop a cached key while it gives no answer, up to the stale bound", async () => {
    const { keyring, time, trouble } = troubled();
    const { keyId } = await keyring.activeDataKey("acme");
    trouble.code = "PROVIDER_UNAVAILABLE";
    const stale = () => cachesOf(keyring, 10).map((each) => [each.keyType, each.stale]);
    const none = ["data", "signing", "public"].map((keyType) => [keyType, 0]);
    expect(stale()).toEqual(none);
    time.ms = hourMs;
    expect((await keyring.activeDataKey("acme")).keyId).toBe(keyId);
    expect(stale()).toEqual([["data", 1], ...none.slice(1)]);
    time.ms = 5 * hourMs - 1;
    expect((await keyring.activeDataKey("acme")).keyId).toBe(keyId);
    time.ms = 5 * hourMs;
    expect(await thrownBy(() => keyring.activeDataKey("acme"))).toBeKmsError("PROVIDER_UNAVAILABLE");
  });

  it("is not believed when it gives back another key: nothing is encrypted under that", async () => {
    const local = localProvider(randomMasterKey());
    let lies = false;
    const provider: Provider = {
      ...local,
      decrypt: async (...given) => (lies ? randomBytes(32) : local.decrypt(...given)),
    };
    const { keyring, time } = setUp({ provider });
    const { keyId } = await keyring.activeDataKey("acme");
    time.ms += 2 * 3_600_000;
    lies = true;
    for (const load of [() => keyring.activeDataKey("acme"), () => keyring.dataKey("acme", keyId)]) {
      expect(await thrownBy(load)).toBeKmsError("DATA_LOSS", keyId);
    }
    lies = false;
    expect((await keyring.activeDataKey("acme")).keyId).toBe(keyId);
  });

  it("calls a stored key that does not open a loss, not the caller's mistake", async () => {
    const { keyring, time, trouble } = troubled();
    const { keyId } = await keyring.activeDataKey("acme");
    trouble.code = "CIPHERTEXT_REJECTED";
    time.ms = 10 * hourMs;
    expect(await thrownBy(() => keyring.dataKey("acme", keyId))).toBeKmsError("DATA_LOSS", keyId);
  });
});

describe("warming", () => {
  it("makes no key, and leaves one be that is not ACTIVE", async () => {
    const { keyring, store, calls } = setUp();
    expect(await keyring.warm("acme")).toBe(0);
    await keyring.activeDataKey("acme");
    expect(await keyring.warm("acme")).toBe(1);
    expect(await store.list("acme", "signing")).toEqual([]);
    expect(calls).toMatchObject({ generateDataKey: 1, encrypt: 0 });
    await moveTo(store, "DISABLED");
    const before = calls.total;
    expect(await setUp({ store }).keyring.warm("acme")).toBe(0);
    expect(calls.total).toBe(before);
  });
});

describe("a provider key that is refused", () => {
  /** Tenant `old` under a provider key that wraps nothing any more, tenant `new` under the current one. */
  async function twoProviderKeys() {
    const store = memoryStore(realTime);
    const [current, other] = [counting(localProvider(randomMasterKey())), counting(localProvider(randomMasterKey()))];
    await setUp({ store, provider: other.provider }).keyring.activeDataKey("old");
    const { keyring } = setUp({ store, provider: current.provider, otherProviders: [other.provider] });
    const keys = [await keyring.activeDataKey("old"), await keyring.activeDataKey("new")];
    const decrypts = () => [other.calls.decrypt, current.calls.decrypt];
    return { store, keyring, current: current.provider, other: other.provider, decrypts, keys };
  }

  it("has all it wrapped forgotten and overwritten, and nothing else", async () => {
    const { keyring, other, keys } = await twoProviderKeys();
    keyring.forgetWrappedBy(other);
    await turn();
    expect(() => keys[0]!.material.inputKey("pii")).toThrow(KmsError);
    expect(keyring.activeDataKey("new")).toBe(keys[1]);
    expect(keyring.activeDataKey("old")).toBeInstanceOf(Promise);
  });

  it("has all it wrapped asked for anew when it is only doubted, and nothing else, and serves it meanwhile", async () => {
    const { keyring, other, keys, decrypts } = await twoProviderKeys();
    const before = decrypts();
    keyring.doubtWrappedBy(other);
    expect(keyring.activeDataKey("old")).toBe(keys[0]);
    expect(keyring.activeDataKey("new")).toBe(keys[1]);
    await turn();
    expect(decrypts()).toEqual([before[0]! + 1, before[1]]);
  });

  it("has no key kept that was being made meanwhile: it was opened before, and stored after", async () => {
    const activating = Promise.withResolvers<void>();
    const refused = Promise.withResolvers<void>();
    const store = storeWith((name) => {
      if (name !== "activate") return;
      activating.resolve();
      return refused.promise;
    });
    const { keyring, provider, calls } = setUp({ store });
    const making = keyring.activeDataKey("acme");
    await activating.promise;
    keyring.forgetWrappedBy(provider);
    const before = calls.decrypt;
    refused.resolve();
    await making;
    expect(calls.decrypt).toBe(before + 1);
  });
});

describe("another master key after a restart", () => {
  it("is named, and nothing is opened or made anew", async () => {
    const store = memoryStore(realTime);
    const [before, after] = [setUp({ store }), setUp({ store })];
    const { keyId } = await before.keyring.activeDataKey("acme");
    const error = await thrownBy(() => after.keyring.activeDataKey("acme"));
    expect(error).toBeKmsError("PROVIDER_DENIED", keyId);
    expect(error).toBeKmsError("PROVIDER_DENIED", before.provider.keyId);
    expect(error).toBeKmsError("PROVIDER_DENIED", after.provider.keyId);
    expect(after.calls.total).toBe(0);
    expect(await store.list("acme", "data")).toHaveLength(1);
  });
});
