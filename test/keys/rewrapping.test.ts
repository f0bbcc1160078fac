/** Keys from one provider key to another: what moves, what stays as it was, races, and what an outage or a crash leaves. */
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { wholeKeyring, type WholeKeyring, type WholeKeyringOptions } from "../support/whole-keyring.ts";
import { providerKeys, wrappedBy } from "../../src/provider-keys/provider-keys.ts";
import type { KeyRecord, KeyState } from "../../src/store/key-record.ts";
import { recordContext } from "../../src/keys/states.ts";
import type { RewrapRequest, RewrapResult } from "../../src/keys/rewrapping.ts";
import { rewrapStoreKey, unlockStore, unwrapStoreKey } from "../../src/keys/store-key/unlock.ts";
import { unwrap } from "../../src/keys/unwrap.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { cancelled } from "../../src/runtime/deadline.ts";
import { openMemory } from "../../src/store/sqlite/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { thrownBy } from "../support/matchers.ts";
import { counting, dayMs, disabling, providerWith, storeWith } from "../support/keys-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";

const by = { actor: "ann", requestId: "r1" };
const start = Date.parse("2026-01-01T00:00:00.000Z");

/** A store under `a`, and a service for which `b` is the current provider key and `a` the other. */
async function setUp({ a: oldKey = newProvider(), b: newKey = newProvider() } = {}) {
  const [a, b] = [counting(oldKey), counting(newKey)];
  const store = await unlockStore(openMemory(realTime), providerKeys({ current: a.provider }), realTime);
  const time = { ms: 0 };
  const open = (provider: Provider, otherProviders: Provider[], options: Partial<WholeKeyringOptions> = {}) =>
    wholeKeyring({
      store,
      provider,
      otherProviders,
      time: { ...realTime, now: () => new Date(start + time.ms), monotonicMs: () => time.ms },
      random: () => 0,
      ...options,
    });
  const before = open(a.provider, []);
  const after = open(b.provider, [a.provider]);
  return { a, b, store, time, before, after, open };
}

const newProvider = (): Provider => localProvider(randomMasterKey());

const rewrap = (keyring: WholeKeyring, request: Partial<RewrapRequest> = {}, signal?: AbortSignal) =>
  keyring.rewrap({ by, limit: 100, dryRun: false, ...request }, signal);

/** Every page. */
async function rewrapAll(keyring: WholeKeyring, limit = 100): Promise<RewrapResult[]> {
  const pages: RewrapResult[] = [];
  for (let after: RewrapResult["next"]; ; ) {
    const page = await rewrap(keyring, { limit, after });
    pages.push(page);
    after = page.next;
    if (after === undefined || page.interrupted !== undefined) return pages;
  }
}

const allRecords = (store: Store) => store.listKeys({ limit: 1000 });

const under = ({ name, keyId }: Provider, records: readonly KeyRecord[]) =>
  records.filter(({ provider, providerKeyId }) => provider === name && providerKeyId === keyId).length;

/** A tenant for each, with a data key in each state that a key can have. */
const statesOfKeys = ["ACTIVE", "RETIRED", "DISABLED", "COMPROMISED", "DESTROY_SCHEDULED", "DESTROYED"] as const;

async function keysInAllStates({ before, time }: Awaited<ReturnType<typeof setUp>>): Promise<Map<KeyState, string>> {
  const ids = new Map<KeyState, string>();
  for (const state of statesOfKeys) {
    const tenantId = state.toLowerCase().replaceAll("_", "-");
    const { keyId } = await before.activeDataKey(tenantId);
    ids.set(state, keyId);
    const request = { tenantId, keyId, by };
    if (state === "RETIRED") await before.rotate({ tenantId, force: true });
    if (state === "DISABLED") await before.disable(request);
    if (state === "COMPROMISED") await before.markCompromised(request);
    if (state === "DESTROYED") {
      await before.scheduleDestruction({ ...request, days: 7 });
      time.ms += 7 * dayMs;
      await before.destroyDue();
    }
  }
  const scheduled = { tenantId: "destroy-scheduled", keyId: ids.get("DESTROY_SCHEDULED")!, by };
  await before.scheduleDestruction({ ...scheduled, days: 7 });
  return ids;
}

/** Wraps another key than it was given. */
const garbled = (provider: Provider): Provider => ({
  ...provider,
  encrypt: (_, context, signal) => provider.encrypt(randomBytes(32), context, signal),
});

const unavailable = () => Promise.reject(new KmsError("PROVIDER_UNAVAILABLE", "no answer"));

describe("re-wrapping", () => {
  it("moves the store key and keys of every state but DESTROYED, and changes nothing else of them", async () => {
    const parts = await setUp();
    const { a, b, store, after } = parts;
    const ids = await keysInAllStates(parts);
    await parts.before.activeSigningKey("acme");
    const records = await allRecords(store);
    const result = await rewrap(after);
    const moved = records.filter(({ state }) => state !== "DESTROYED");
    expect(result).toEqual({
      target: wrappedBy(b.provider),
      storeKey: true,
      keys: moved.length,
      failed: [],
      interrupted: undefined,
      others: [],
      remaining: 0,
      next: undefined,
    });
    const now = await allRecords(store);
    const onlyB = providerKeys({ current: b.provider });
    for (const [index, record] of now.entries()) {
      const present = records[index]!;
      if (present.state === "DESTROYED") expect(record).toEqual(present);
      else {
        expect(record).toEqual({ ...present, ...wrappedBy(b.provider), wrapped: record.wrapped });
        expect(await unwrap(onlyB, record)).toEqual(await unwrap(providerKeys({ current: a.provider }), present));
      }
    }
    expect(now.find(({ keyId }) => keyId === ids.get("DESTROYED"))?.providerKeyId).toBe(a.provider.keyId);
    await unwrapStoreKey(await store.storeKey(), onlyB);
    const rows = (await store.auditEvents({ limit: 99 })).filter(({ action }) => action === "rewrap");
    const moves = moved.map(({ tenantId, keyId, purpose }) => ({ ...by, tenantId, keyId, purpose, outcome: "OK" }));
    expect(rows).toHaveLength(1 + moved.length);
    for (const row of [{ ...by, tenantId: "", keyId: "", outcome: "OK" }, ...moves]) {
      expect(rows).toContainEqual(expect.objectContaining(row));
    }
    // And back again.
    const back = await rewrap(parts.open(a.provider, [b.provider]));
    expect(back).toMatchObject({ storeKey: true, keys: moved.length, remaining: 0 });
    expect(under(a.provider, await allRecords(store))).toBe(records.length);
  });

  it("takes three calls a key, and eight keys at once at most", async () => {
    const { a, b, before, after } = await setUp();
    await Promise.all(Array.from({ length: 30 }, (_, n) => before.activeDataKey(`t${n}`)));
    await rewrap(after, { limit: 1 }); // the store key, too
    for (const { calls } of [a, b]) Object.assign(calls, { encrypt: 0, decrypt: 0, mostInFlight: 0, total: 0 });
    expect((await rewrap(after)).keys).toBe(29);
    expect([a.calls.decrypt, a.calls.total]).toEqual([29, 29]);
    expect([b.calls.encrypt, b.calls.decrypt, b.calls.total]).toEqual([29, 29, 58]);
    expect(Math.max(a.calls.mostInFlight, b.calls.mostInFlight)).toBeLessThanOrEqual(8);
  });

  it("overwrites every secret that it opened", async () => {
    const opened: Uint8Array[] = [];
    const telling = (provider = newProvider()): Provider => ({
      ...provider,
      async decrypt(...given) {
        const secret = await provider.decrypt(...given);
        opened.push(secret);
        return secret;
      },
    });
    const { before, after } = await setUp({ a: telling(), b: telling() });
    await before.activeSigningKey("acme");
    before.close();
    await rewrap(after);
    expect(opened.length).toBeGreaterThan(4);
    expect(opened.every((secret) => secret.every((byte) => byte === 0))).toBe(true);
  });

  it("does nothing where everything is under the current key", async () => {
    const { b, before, after, store } = await setUp();
    await before.activeDataKey("acme");
    await rewrap(after);
    b.calls.total = 0;
    const rows = await store.auditEvents({ limit: 100 });
    expect(await rewrap(after)).toMatchObject({ storeKey: false, keys: 0, remaining: 0, next: undefined });
    expect(b.calls.total).toBe(0);
    expect(await store.auditEvents({ limit: 100 })).toEqual(rows);
  });

  it("goes page by page, and says what remains", async () => {
    const { a, before, after } = await setUp();
    for (let n = 0; n < 5; n++) await before.activeDataKey(`t${n}`);
    const pages = await rewrapAll(after, 2);
    expect(pages.map(({ keys, remaining, storeKey }) => [keys, remaining, storeKey])).toEqual([
      [2, 3, true],
      [2, 1, false],
      [1, 0, false],
    ]);
    expect(pages[0]!.others).toEqual([{ ...wrappedBy(a.provider), keys: 3 }]);
  });

  it("only says what it would do, without a provider call, when it is asked to", async () => {
    const { a, b, before, after, store } = await setUp();
    await before.activeDataKey("acme");
    const stranger = await strangersKey(store, "stranger");
    for (const { calls } of [a, b]) calls.total = 0;
    const records = await allRecords(store);
    const result = await rewrap(after, { dryRun: true });
    expect(result).toMatchObject({ storeKey: true, keys: 1, remaining: 3 });
    expect(result.failed).toMatchObject([{ key: { keyId: stranger.keyId }, error: { code: "PROVIDER_DENIED" } }]);
    expect([a.calls.total, b.calls.total]).toEqual([0, 0]);
    expect(await allRecords(store)).toEqual(records);
    expect((await store.storeKey()).providerKeyId).toBe(a.provider.keyId);
  });

  it("leaves PENDING keys to those who make them, and counts them", async () => {
    const { a, before, after, store } = await setUp();
    await before.activeDataKey("acme");
    const active = (await store.active("acme", "data"))!;
    await store.insertPending({ ...active, keyId: "0a".repeat(16) });
    const result = await rewrap(after);
    expect(result).toMatchObject({ keys: 1, remaining: 1, next: undefined });
    expect(result.others).toEqual([{ ...wrappedBy(a.provider), keys: 1 }]);
  });
});

/** A key that a provider key wrapped which nobody configured. */
async function strangersKey(store: Store, tenantId: string, provider = newProvider()): Promise<KeyRecord> {
  const keyring = wholeKeyring({ time: realTime, store, provider });
  await keyring.activeDataKey(tenantId);
  keyring.close();
  return (await store.active(tenantId, "data"))!;
}

describe("a key that cannot be re-wrapped", () => {
  it("does not stop the others: its provider key is not configured, or its record is damaged", async () => {
    const { b, a, before, store, open } = await setUp();
    const { keyId } = await before.activeDataKey("damaged");
    const stranger = await strangersKey(store, "stranger");
    for (let n = 0; n < 9; n++) await before.activeDataKey(`t${n}`);
    const damaged = storeWith((name, _tenantId, asked) => {
      if (name === "get" && asked === keyId) throw new KmsError("DATA_LOSS", "damaged");
    }, store);
    const keyring = open(b.provider, [a.provider], { store: damaged });
    const pages = await rewrapAll(keyring, 3);
    const codes = pages.flatMap(({ failed }) => failed.map(({ key, error }) => `${key?.tenantId} ${error.code}`));
    expect(codes.sort()).toEqual(["damaged DATA_LOSS", "stranger PROVIDER_DENIED"]);
    expect(pages.reduce((sum, { keys }) => sum + keys, 0)).toBe(9);
    expect(pages.at(-1)).toMatchObject({ remaining: 2, next: undefined });
    expect(await store.get("stranger", stranger.keyId)).toEqual(stranger);
  });

  it("is one that the right provider key does not open", async () => {
    const { a, b, before, after, store } = await setUp();
    await before.activeDataKey("acme");
    const present = (await store.active("acme", "data"))!;
    const wrapped = await a.provider.encrypt(randomBytes(32), { ...recordContext(present), tenant_id: "other" });
    await store.update(present, { ...present, wrapped }, disabling);
    const { failed, keys } = await rewrap(after);
    expect(keys).toBe(0);
    expect(failed[0]!.error).toBeKmsError("DATA_LOSS", present.keyId);
    expect(under(b.provider, await allRecords(store))).toBe(0);
  });

  it.each(["signing", "data"] as const)(
    "is a %s key of which its provider gives back another: what it wrapped stays",
    async (purpose) => {
      const a = newProvider();
      const { b, before, open, store } = await setUp({ a });
      await (purpose === "signing" ? before.activeSigningKey("acme") : before.activeDataKey("acme"));
      const present = (await store.active("acme", purpose))!;
      const decrypt: Provider["decrypt"] = async (wrapped, context, signal) =>
        context.purpose === purpose ? randomBytes(32) : a.decrypt(wrapped, context, signal);
      const { failed, keys } = await rewrap(open(b.provider, [{ ...a, decrypt }]));
      expect(keys).toBe(0);
      expect(failed[0]!.error).toBeKmsError("DATA_LOSS", present.keyId);
      expect(await store.active("acme", purpose)).toEqual(present);
    },
  );

  it("is one that its provider key refuses", async () => {
    const denied = async () => Promise.reject(new KmsError("PROVIDER_DENIED", "access denied"));
    const a = newProvider();
    const refusing = { ...a, decrypt: denied };
    const { b, before, open, store } = await setUp({ a });
    await before.activeDataKey("acme");
    const result = await rewrap(open(b.provider, [refusing]));
    expect(result.failed.map(({ key, error }) => [key?.tenantId, error.code])).toEqual([
      [undefined, "PROVIDER_DENIED"],
      ["acme", "PROVIDER_DENIED"],
    ]);
    expect(result).toMatchObject({ storeKey: false, keys: 0, remaining: 2 });
    expect((await store.active("acme", "data"))?.providerKeyId).toBe(a.keyId);
  });
});

describe("the store key", () => {
  it("fails by itself where its provider key is not configured, and the keys move", async () => {
    const { b, before, open, a } = await setUp();
    await before.activeDataKey("acme");
    const lone = open(b.provider, []);
    const result = await rewrap(lone);
    expect(result.failed.map(({ key }) => key?.tenantId)).toEqual([undefined, "acme"]);
    expect(result.failed[0]!.error).toBeKmsError("PROVIDER_DENIED", `the store is under local ${a.provider.keyId}`);
    expect(result).toMatchObject({ storeKey: false, keys: 0, remaining: 2, next: undefined });
  });

  it("is not given to a provider key that does not bind what it wraps to its context", async () => {
    const b = newProvider();
    const unbound: Provider = {
      ...b,
      encrypt: (plaintext) => b.encrypt(plaintext, {}),
      decrypt: (wrapped) => b.decrypt(wrapped, {}),
    };
    const { store, before, open, a } = await setUp();
    await before.activeDataKey("acme");
    const { failed } = await rewrap(open(unbound, [a.provider]));
    expect(failed[0]!.error).toBeKmsError("PROVIDER_DENIED", "another encryption context");
    expect((await store.storeKey()).providerKeyId).toBe(a.provider.keyId);
  });

  it("is not replaced where the provider does not give it back", async () => {
    const b = newProvider();
    const garbling = garbled(b);
    const { store, a } = await setUp();
    const present = await store.storeKey();
    const call = () =>
      rewrapStoreKey(store, providerKeys({ current: garbling, others: [a.provider] }), { ...by, at: new Date(start) });
    expect(await thrownBy(call)).toBeKmsError("PROVIDER_UNAVAILABLE", "the store key");
    expect(await store.storeKey()).toEqual(present);
  });

  it("is replaced once by two replicas at once", async () => {
    const { store, a, b } = await setUp();
    const call = () =>
      rewrapStoreKey(store, providerKeys({ current: b.provider, others: [a.provider] }), {
        ...by,
        at: new Date(start),
      });
    expect((await Promise.all([call(), call()])).sort()).toEqual([false, true]);
    const rows = await store.auditEvents({ limit: 9 });
    expect(rows.filter(({ action }) => action === "rewrap")).toHaveLength(1);
  });
});

describe("a provider that does not answer", () => {
  it.each([
    ["the other, that opens", "a", "decrypt"],
    ["the current, that wraps", "b", "encrypt"],
    ["the current, that opens again", "b", "decrypt"],
  ] as const)("ends the page, with what was done, and the next call goes on: %s", async (_what, which, operation) => {
    const moved = 12;
    let left = Number.POSITIVE_INFINITY;
    const flaky = providerWith((asked) => {
      if (asked === operation) left -= 1;
      return left < 0 && asked === operation ? unavailable() : undefined;
    });
    const { before, after, store, b } = await setUp({ [which]: flaky });
    for (let n = 0; n < 40; n++) await before.activeDataKey(`t${n}`);
    await rewrap(after, { limit: 1 });
    left = moved;
    const cut = await rewrap(after);
    expect(cut.interrupted).toBeKmsError("PROVIDER_UNAVAILABLE", "no answer");
    expect(cut.failed).toEqual([]);
    expect(cut.keys).toBe(moved);
    expect(cut.remaining).toBe(39 - moved);
    const stuck = await rewrap(after, { after: cut.next });
    expect(stuck).toMatchObject({ keys: 0, next: cut.next, remaining: 39 - moved });
    left = Number.POSITIVE_INFINITY;
    const rest = await rewrap(after, { after: cut.next });
    expect(rest).toMatchObject({ keys: 39 - moved, remaining: 0, interrupted: undefined, next: undefined });
    expect(under(b.provider, await allRecords(store))).toBe(40);
  });

  it("for the store key ends the call before any key", async () => {
    const { a, before, open, store } = await setUp();
    await before.activeDataKey("acme");
    const b = { ...newProvider(), encrypt: unavailable };
    const result = await rewrap(open(b, [a.provider]));
    expect(result).toMatchObject({ storeKey: false, keys: 0, failed: [], remaining: 2 });
    expect(result.interrupted).toBeKmsError("PROVIDER_UNAVAILABLE");
    expect(result.next).toBeDefined();
    expect(under(a.provider, await allRecords(store))).toBe(1);
  });

  it("or that gives another key back, is not believed: the key stays where it was", async () => {
    const { a, before, open, store } = await setUp();
    await before.activeDataKey("acme");
    const present = await store.active("acme", "data");
    const b = newProvider();
    const garbling = garbled(b);
    const rejecting = { ...b, encrypt: async () => randomBytes(60) };
    for (const provider of [garbling, rejecting]) {
      const keyring = open(provider, [a.provider], { store: { ...store, storeKey: async () => currentStoreKey(b) } });
      const { keys, interrupted } = await rewrap(keyring);
      expect(keys).toBe(0);
      expect(interrupted).toBeKmsError("PROVIDER_UNAVAILABLE", `key ${present?.keyId}`);
      expect(await store.active("acme", "data")).toEqual(present);
    }

    async function currentStoreKey(provider: Provider) {
      return { ...(await store.storeKey()), ...wrappedBy(provider) };
    }
  });
});

describe("a call that ends before its page", () => {
  it("because the caller left, leaves whole records, and another goes on", async () => {
    const leaving = new AbortController();
    const b = newProvider();
    let left = 5;
    const encrypt: Provider["encrypt"] = async (plaintext, context, signal) => {
      left -= 1;
      if (left === 0) leaving.abort();
      if (signal?.aborted) throw cancelled(signal);
      return b.encrypt(plaintext, context, signal);
    };
    const { before, after, store } = await setUp({ b: { ...b, encrypt } });
    for (let n = 0; n < 20; n++) await before.activeDataKey(`t${n}`);
    expect(await thrownBy(() => rewrap(after, {}, leaving.signal))).toBeKmsError("CANCELLED");
    const moved = under(b, await allRecords(store));
    expect(moved).toBeLessThan(20);
    expect(await rewrap(after)).toMatchObject({ keys: 20 - moved, remaining: 0 });
  });

  it("because the store is gone, throws, and what was stored stays", async () => {
    const { a, b, before, open, store } = await setUp();
    for (let n = 0; n < 20; n++) await before.activeDataKey(`t${n}`);
    let left = 4;
    const failing = storeWith((name) => {
      if (name === "update") left -= 1;
      if (name === "update" && left < 0) throw new KmsError("STORE_UNAVAILABLE", "disk full");
    }, store);
    const keyring = open(b.provider, [a.provider], { store: failing });
    expect(await thrownBy(() => rewrap(keyring))).toBeKmsError("STORE_UNAVAILABLE");
    expect(under(b.provider, await allRecords(store))).toBe(4);
    left = Number.POSITIVE_INFINITY;
    expect(await rewrap(keyring)).toMatchObject({ keys: 16, remaining: 0 });
  });
});

describe("at the same time", () => {
  /** The keyring runs `meanwhile` once, between the reading of a record and its replacement. */
  async function interleaved(
    meanwhile: (parts: { before: WholeKeyring; keyId: string; store: Store }) => Promise<unknown>,
  ) {
    const { a, b, before, open, store, time } = await setUp();
    const { keyId } = await before.activeDataKey("acme");
    let pending: (() => Promise<unknown>) | undefined = () => meanwhile({ before, keyId, store });
    const interrupted = providerWith(async (operation, context) => {
      if (operation !== "encrypt" || context.tenant_id === undefined) return;
      const run = pending;
      pending = undefined;
      await run?.();
    }, b.provider);
    const after = open(interrupted, [a.provider]);
    return { result: await rewrap(after), record: (await store.get("acme", keyId))!, store, b, a, time, after };
  }

  it.each([
    ["is disabled", "DISABLED", "disable"],
    ["is marked as compromised", "COMPROMISED", "markCompromised"],
    ["is to be destroyed", "DESTROY_SCHEDULED", "scheduleDestruction"],
  ] as const)("a key that %s keeps its new state, and moves", async (_what, state, change) => {
    const { result, record, b } = await interleaved(
      ({ before, keyId }): Promise<unknown> => before[change]({ tenantId: "acme", keyId, by, days: 7 }),
    );
    expect(record).toMatchObject({ state, ...wrappedBy(b.provider) });
    expect(result).toMatchObject({ keys: 1, failed: [] });
    await unwrap(providerKeys({ current: b.provider }), record);
  });

  it("a key that is rotated is RETIRED, and moves; its successor, made by a replica of yesterday, with the next call", async () => {
    const { result, record, b, store, after } = await interleaved(({ before }) =>
      before.rotate({ tenantId: "acme", force: true }),
    );
    expect(record).toMatchObject({ state: "RETIRED", ...wrappedBy(b.provider) });
    expect(result).toMatchObject({ keys: 1, remaining: 1 });
    expect(await rewrap(after)).toMatchObject({ keys: 1, remaining: 0 });
    expect((await store.active("acme", "data"))?.version).toBe(2);
  });

  it("a key that is destroyed stays destroyed", async () => {
    const { result, record } = await interleaved(async ({ keyId, store }) => {
      const present = (await store.get("acme", keyId))!;
      const destroyWait = { sinceMs: 0, waitMs: 0 };
      const next: KeyRecord = { ...present, state: "DESTROYED", wrapped: new Uint8Array(), destroyWait };
      await store.update(present, next, { ...disabling, action: "destroy" });
    });
    expect(record).toMatchObject({ state: "DESTROYED", wrapped: new Uint8Array() });
    expect(result).toMatchObject({ keys: 0, failed: [], remaining: 0 });
  });

  it("a key that another replica re-wraps is counted there alone", async () => {
    const { a, b, before, open, store } = await setUp();
    for (let n = 0; n < 30; n++) await before.activeDataKey(`t${n}`);
    const replicas = [open(b.provider, [a.provider]), open(b.provider, [a.provider])];
    const results = await Promise.all(replicas.map((replica) => rewrap(replica)));
    expect(results.reduce((sum, { keys }) => sum + keys, 0)).toBe(30);
    expect(results.flatMap(({ failed }) => failed)).toEqual([]);
    expect(under(b.provider, await allRecords(store))).toBe(30);
    const rows = (await store.auditEvents({ limit: 1000 })).filter(({ action }) => action === "rewrap");
    expect(new Set(rows.map(({ keyId }) => keyId)).size).toBe(rows.length);
  });

  it("a key that others never stop changing fails by itself", async () => {
    const { a, b, before, open, store } = await setUp();
    await before.activeDataKey("acme");
    await before.activeDataKey("other");
    const update: Store["update"] = async (present, next, change) => {
      if (present.tenantId === "acme") throw new KmsError("CONFLICT", "changed by another");
      return store.update(present, next, change);
    };
    const { failed, keys } = await rewrap(open(b.provider, [a.provider], { store: { ...store, update } }));
    expect(keys).toBe(1);
    expect(failed).toMatchObject([{ key: { tenantId: "acme" }, error: { code: "CONFLICT" } }]);
  });
});

describe("a key in use", () => {
  it("stays in the cache through it, and ends with the provider key that wraps it now", async () => {
    const { a, b, before, after } = await setUp();
    await before.activeDataKey("acme");
    const key = await after.activeDataKey("acme");
    expect(key.wrappedBy).toBe(`local ${a.provider.keyId}`);
    await rewrap(after);
    expect(await after.activeDataKey("acme")).toBe(key); // while it is loaded anew
    await expect.poll(async () => (await after.activeDataKey("acme")).wrappedBy).toBe(`local ${b.provider.keyId}`);
    after.forgetWrappedBy(a.provider);
    expect(after.stats().data.size).toBe(1);
    after.forgetWrappedBy(b.provider);
    expect(after.stats().data.size).toBe(0);
  });

  it("does so on a replica that missed the news, once it reads the record again", async () => {
    const { a, b, before, after, open, time } = await setUp();
    const { keyId } = await before.activeDataKey("acme");
    const replica = open(b.provider, [a.provider]);
    const key = await replica.dataKey("acme", keyId);
    await rewrap(after);
    expect(await replica.dataKey("acme", keyId)).toBe(key);
    time.ms += 30_000;
    expect(await replica.dataKey("acme", keyId)).toBe(key);
    await expect.poll(async () => (await replica.dataKey("acme", keyId)).wrappedBy).toBe(`local ${b.provider.keyId}`);
  });

  it("is served while its new provider key does not answer, and not once that is refused", async () => {
    const b = newProvider();
    let answer: () => Promise<never> = unavailable;
    let isDown = false;
    const flaky: Provider = { ...b, decrypt: (...given) => (isDown ? answer() : b.decrypt(...given)) };
    const { before, after } = await setUp({ b: flaky });
    await before.activeDataKey("acme");
    const key = await after.activeDataKey("acme");
    await rewrap(after);
    isDown = true;
    for (let n = 0; n < 3; n++) expect(await after.activeDataKey("acme")).toBe(key);
    answer = () => Promise.reject(new KmsError("PROVIDER_DENIED", "disabled"));
    after.doubtWrappedBy({ name: "local", keyId: key.wrappedBy.slice("local ".length) });
    const use = async () => (await thrownBy(() => after.activeDataKey("acme"))) as KmsError;
    await expect.poll(async () => (await use().catch(() => undefined))?.code).toBe("PROVIDER_DENIED");
  });
});
