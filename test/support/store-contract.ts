/** What every store must do: src/store/store.ts as code. A store's own test says only how to make an empty one. */
import { createSecretKey, randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { KeyRecord, KeyState } from "../../src/store/key-record.ts";
import type {
  Activation,
  KeyName,
  StateChange,
  WrappedBy,
  WrappedName,
  WrappedCursor,
} from "../../src/store/key-store.ts";
import { type AuditCursor, type AuditEvent, type AuditPage, beforeWriters } from "../../src/store/audit-store.ts";
import type { LockedStore, Store } from "../../src/store/store.ts";
import { KmsError } from "../../src/errors.ts";
import { thrownBy } from "./matchers.ts";
import { pendingKey, unlocked } from "./store-fixture.ts";

const dayMs = 24 * 60 * 60 * 1000;
const start = new Date("2026-01-01T00:00:00.000Z");
const by = { actor: "ann", requestId: "" };
const change: StateChange = { ...by, action: "disable", at: start };

/** `make` gives a new and empty store. */
export function storeContract(name: string, make: () => LockedStore | Promise<LockedStore>): void {
  describe(`store ${name}`, () => {
    const storeKey = createSecretKey(randomBytes(32));
    let locked: LockedStore;
    let store: Store;
    beforeEach(async () => {
      locked = await make();
      store = await unlocked(locked, storeKey);
    });
    afterEach(() => store.close());

    async function insert(changes: Partial<KeyRecord> = {}): Promise<KeyRecord> {
      const record = pending(changes);
      await store.insertPending(record);
      return record;
    }

    async function activate(record: KeyRecord, changes: Partial<Activation> = {}): Promise<KeyRecord> {
      const { tenantId, purpose, keyId } = record;
      return store.activate({ tenantId, purpose, keyId, expect: "no-version", at: start, by, ...changes });
    }

    async function makeActive(changes: Partial<KeyRecord> = {}, activation: Partial<Activation> = {}) {
      return activate(await insert(changes), activation);
    }

    async function moveTo(record: KeyRecord, state: KeyState): Promise<KeyRecord> {
      const destroyWait = state === "DESTROYED" ? { sinceMs: 0, waitMs: 0 } : record.destroyWait;
      const changed = { ...record, state, previousState: record.state, destroyWait };
      await store.update(record, changed, change);
      return changed;
    }

    it("gives back a record as it was inserted, every column", async () => {
      const record = await insert({ purpose: "signing", publicKey: randomBytes(32) });
      expect(await store.get("acme", record.keyId)).toEqual(plain(record));
    });

    it("is not changed through a record that it was given or gave away", async () => {
      const record = await insert();
      const before = plain(record);
      record.wrapped.fill(0);
      record.createdAt.setTime(0);
      const given = (await store.get("acme", record.keyId))!;
      given.wrapped.fill(0);
      given.createdAt.setTime(0);
      expect(await store.get("acme", record.keyId)).toEqual(before);
    });

    it("refuses a key id that exists, in another tenant too", async () => {
      const { keyId } = await insert();
      expect(await thrownBy(() => insert({ keyId }))).toBeKmsError("CONFLICT");
      expect(await thrownBy(() => insert({ keyId, tenantId: "other" }))).toBeKmsError("CONFLICT");
      expect((await store.get("acme", keyId))?.tenantId).toBe("acme");
    });

    it("knows nothing before the first key", async () => {
      expect(await store.active("acme", "data")).toBeUndefined();
      expect(await store.get("acme", "00".repeat(16))).toBeUndefined();
      expect(await store.list("acme", "data")).toEqual([]);
      expect(await store.request("acme", "r1")).toBeUndefined();
      expect(await store.due(start, 10)).toEqual({ keys: [], total: 0 });
      const nothing = { byPurpose: { data: {}, signing: {} }, oldestActiveAt: undefined, lastRotationAt: undefined };
      expect(await store.counts()).toEqual(nothing);
    });

    it("keeps a pending key out of active and list, and activates the first as version 1", async () => {
      const record = await insert();
      expect(await store.active("acme", "data")).toBeUndefined();
      expect(await store.list("acme", "data")).toEqual([]);
      expect((await store.get("acme", record.keyId))?.state).toBe("PENDING");
      const active = await activate(record);
      expect(active).toEqual({ ...plain(record), state: "ACTIVE", version: 1, activatedAt: start });
      expect(await store.active("acme", "data")).toEqual(active);
      expect(await store.list("acme", "data")).toEqual([active]);
    });

    it("retires the old key and counts on", async () => {
      const first = await makeActive();
      const at = new Date(start.getTime() + dayMs);
      const second = await makeActive({}, { expect: { active: first.keyId }, at });
      expect(second).toMatchObject({ state: "ACTIVE", version: 2, activatedAt: at });
      expect(await store.list("acme", "data")).toEqual([{ ...first, state: "RETIRED", retiredAt: at }, second]);
    });

    it("lets one of two activations with the same expectation win", async () => {
      const first = await makeActive();
      const rivals = [await insert(), await insert()];
      await oneWins(rivals.map((rival) => activate(rival, { expect: { active: first.keyId } })));
      const states = (await store.list("acme", "data")).map(({ state }) => state);
      expect(states).toEqual(["RETIRED", "ACTIVE"]);
    });

    it("lets one of two first keys win, and the loser stays pending", async () => {
      const rivals = [await insert(), await insert()];
      await oneWins(rivals.map((rival) => activate(rival)));
      const stored = await Promise.all(rivals.map(({ keyId }) => store.get("acme", keyId)));
      expect(stored.map((record) => record?.state).sort()).toEqual(["ACTIVE", "PENDING"]);
    });

    it("refuses a first key where a version exists, in whatever state", async () => {
      const disabled = await moveTo(await makeActive(), "DISABLED");
      const record = await insert();
      expect(await thrownBy(() => activate(record))).toBeKmsError("CONFLICT");
      expect(await store.list("acme", "data")).toEqual([disabled]);
    });

    it("activates where versions exist and none is active, if that is what was expected", async () => {
      await moveTo(await makeActive(), "DISABLED");
      const second = await makeActive({}, { expect: "no-active" });
      expect(second).toMatchObject({ state: "ACTIVE", version: 2 });
      const third = await insert();
      expect(await thrownBy(() => activate(third, { expect: "no-active" }))).toBeKmsError("CONFLICT");
      expect((await store.active("acme", "data"))?.keyId).toBe(second.keyId);
    });

    it("activates only what is pending, of that tenant and purpose", async () => {
      const active = await makeActive();
      const expectActive = { expect: { active: active.keyId } };
      expect(await thrownBy(() => activate(active, expectActive))).toBeKmsError("CONFLICT");
      expect(await thrownBy(() => activate(pending(), expectActive))).toBeKmsError("CONFLICT");
      const elsewhere = await insert({ tenantId: "other" });
      expect(await thrownBy(() => activate({ ...elsewhere, tenantId: "acme" }, expectActive))).toBeKmsError("CONFLICT");
      const signing = await insert({ purpose: "signing" });
      expect(await thrownBy(() => activate({ ...signing, purpose: "data" }, expectActive))).toBeKmsError("CONFLICT");
      expect(await store.list("acme", "data")).toEqual([active]);
    });

    it("keeps tenants apart", async () => {
      const ours = await makeActive();
      const theirs = await makeActive({ tenantId: "other" });
      expect(await store.get("other", ours.keyId)).toBeUndefined();
      expect((await store.active("other", "data"))?.keyId).toBe(theirs.keyId);
      expect(await store.list("acme", "data")).toEqual([ours]);
      await store.deletePending("other", ours.keyId);
      expect(await thrownBy(() => store.update({ ...ours, tenantId: "other" }, ours, change))).toBeKmsError("CONFLICT");
      expect(await store.get("acme", ours.keyId)).toEqual(ours);
    });

    it("keeps purposes apart", async () => {
      const data = await makeActive();
      const signing = await makeActive({ purpose: "signing", publicKey: randomBytes(32) });
      expect(signing.version).toBe(1);
      expect(await store.active("acme", "data")).toEqual(data);
      expect(await store.list("acme", "signing")).toEqual([signing]);
    });

    it("replaces a record in the state that was expected, and keeps its identity", async () => {
      const active = await makeActive();
      const other = { version: 9, publicKey: randomBytes(32), createdAt: new Date(0) };
      const compromised = { state: "COMPROMISED", previousState: "ACTIVE", compromisedAt: start } as const;
      const changed: KeyRecord = { ...active, ...compromised, ...other };
      await store.update(active, changed, change);
      const { version, publicKey, createdAt } = active;
      expect(await store.get("acme", active.keyId)).toEqual({ ...changed, version, publicKey, createdAt });
      expect(await store.active("acme", "data")).toBeUndefined();
    });

    it("refuses to replace a record in another state, a pending one, or to make a second active one", async () => {
      const first = await makeActive();
      const disabled = await moveTo(first, "DISABLED");
      expect(await thrownBy(() => store.update(first, first, change))).toBeKmsError("CONFLICT");
      const second = await makeActive({}, { expect: "no-active" });
      const enable = () => store.update(disabled, { ...disabled, state: "ACTIVE" }, change);
      expect(await thrownBy(enable)).toBeKmsError("CONFLICT");
      expect((await store.active("acme", "data"))?.keyId).toBe(second.keyId);
      const third = await insert();
      expect(await thrownBy(() => store.update(third, { ...third, state: "ACTIVE" }, change))).toBeKmsError("CONFLICT");
    });

    it("deletes pending records alone, and old ones alone", async () => {
      const active = await makeActive();
      const old = await insert({ createdAt: new Date(start.getTime() - 1) });
      const young = await insert();
      const dropped = await insert();
      await store.deletePending("acme", dropped.keyId);
      await store.deletePending("acme", active.keyId);
      expect(await store.get("acme", dropped.keyId)).toBeUndefined();
      expect(await store.deletePendingBefore(start)).toBe(1);
      expect(await store.get("acme", old.keyId)).toBeUndefined();
      expect(await store.get("acme", young.keyId)).toBeDefined();
      expect(await store.get("acme", active.keyId)).toBeDefined();
    });

    it("remembers what a request activated, inside its tenant", async () => {
      const request = { requestId: "r1", digest: "aa" };
      const data = await makeActive({}, { request });
      const signing = await makeActive({ purpose: "signing" }, { request });
      const expected = [data, signing].map(({ keyId }) => ({ keyId, retiredKeyId: undefined }));
      expect(await store.request("acme", "r1")).toEqual({ ...request, activated: expect.arrayContaining(expected) });
      expect(await store.request("other", "r1")).toBeUndefined();
    });

    it.each([
      ["id with another digest", "bb", "REQUEST_ID_REUSED"],
      ["that has made a key of the purpose before", "aa", "CONFLICT"],
    ] as const)("refuses a request %s, and changes nothing", async (_what, digest, code) => {
      const first = await makeActive({}, { request: { requestId: "r1", digest: "aa" } });
      const second = await insert();
      const again = { expect: { active: first.keyId }, request: { requestId: "r1", digest } };
      expect(await thrownBy(() => activate(second, again))).toBeKmsError(code, "r1");
      expect(await store.list("acme", "data")).toEqual([first]);
      expect((await store.request("acme", "r1"))?.digest).toBe("aa");
    });

    it("remembers nothing of a request that lost", async () => {
      await makeActive();
      const second = await insert();
      await thrownBy(() => activate(second, { request: { requestId: "r1", digest: "aa" } }));
      expect(await store.request("acme", "r1")).toBeUndefined();
    });

    it("remembers a request for a day, and forgets it when it is told to", async () => {
      await makeActive({}, { request: { requestId: "r1", digest: "aa" } });
      await makeActive({ tenantId: "b" }, { at: new Date(start.getTime() + dayMs - 1) });
      expect(await store.request("acme", "r1")).toBeDefined();
      expect(await store.deleteRequestsBefore(start)).toBe(0);
      expect(await store.deleteRequestsBefore(new Date(start.getTime() + 1))).toBe(1);
      expect(await store.request("acme", "r1")).toBeUndefined();
    });

    it("lists what is due, oldest first, up to the limit, with the total", async () => {
      const at = (ms: number) => ({ at: new Date(start.getTime() + ms) });
      const third = await makeActive({ tenantId: "c" }, at(3));
      const first = await makeActive({ tenantId: "a" }, at(1));
      const second = await makeActive({ tenantId: "b", purpose: "signing" }, at(2));
      await makeActive({ tenantId: "d" }, at(4));
      await moveTo(await makeActive({ tenantId: "e" }), "DISABLED");
      const before = new Date(start.getTime() + 4);
      expect(await store.due(before, 2)).toEqual({ keys: [nameOf(first), nameOf(second)], total: 3 });
      expect(await store.due(before, 9, "data")).toEqual({ keys: [nameOf(first), nameOf(third)], total: 2 });
      expect(await store.due(before, 0)).toEqual({ keys: [], total: 3 });
    });

    it("names what is to be destroyed, earliest first", async () => {
      const second = await scheduled("b", { dueMs: 9, sinceMs: 1, waitMs: 2 });
      const first = await scheduled("a", { dueMs: 10, sinceMs: 2, waitMs: 0 });
      await scheduled("of an earlier version", { dueMs: 1 });
      await scheduled("later", { dueMs: 1, sinceMs: 2, waitMs: 2 });
      const late = await scheduled("whose time never comes by the clock", { dueMs: 11, sinceMs: 0, waitMs: 1 });
      const at = new Date(start.getTime() + 10);
      expect(await store.destroyable({ at, endedMs: 3, longEndedMs: 0 }, 9)).toEqual([first, second]);
      expect(await store.destroyable({ at, endedMs: 3, longEndedMs: 1 }, 9)).toEqual([late, first, second]);
      expect(await store.destroyable({ at, endedMs: 3, longEndedMs: 0 }, 1)).toEqual([first]);
      expect(await store.destroyable({ at, endedMs: 1, longEndedMs: 0 }, 9)).toEqual([]);
    });

    const scheduled = async (
      tenantId: string,
      { dueMs, sinceMs, waitMs = 0 }: { dueMs: number; sinceMs?: number; waitMs?: number },
    ) => {
      const record = await makeActive({ tenantId });
      const destroyAt = new Date(start.getTime() + dueMs);
      const destroyWait = sinceMs === undefined ? undefined : { sinceMs, waitMs };
      await store.update(record, { ...record, state: "DESTROY_SCHEDULED", destroyAt, destroyWait }, change);
      return nameOf(record);
    };

    it("gives the destructions that wait, those that have to wait least first", async () => {
      expect(await store.destructionsWaiting(9)).toEqual({ records: [], total: 0 });
      const late = await scheduled("a", { dueMs: 1, sinceMs: 4, waitMs: 2 });
      const none = await scheduled("b", { dueMs: 1 });
      const early = await scheduled("c", { dueMs: 1, sinceMs: 1, waitMs: 3 });
      const { records, total } = await store.destructionsWaiting(9);
      expect({ names: records.map(nameOf), total }).toEqual({ names: [early, late, none], total: 3 });
      expect(records[0]).toMatchObject({ destroyWait: { sinceMs: 1, waitMs: 3 } });
      expect((await store.destructionsWaiting(1)).records.map(nameOf)).toEqual([early]);
      expect((await store.destructionsWaiting(1)).total).toBe(3);
    });

    it("names destructions without a wait, and those whose wait ends too late, and takes their wait", async () => {
      await scheduled("a", { dueMs: 1, sinceMs: 4, waitMs: 2 });
      const none = await scheduled("b", { dueMs: 1 });
      const ahead = await scheduled("c", { dueMs: 1, sinceMs: 5, waitMs: 2 });
      const found = await store.unwitnessedDestructions(6, 9);
      expect(new Set(found.map(({ keyId }) => keyId))).toEqual(new Set([none.keyId, ahead.keyId]));
      expect(await store.unwitnessedDestructions(6, 1)).toHaveLength(1);
      const present = (await store.get("b", none.keyId))!;
      await store.setDestroyWait(present, { sinceMs: 3, waitMs: 1 });
      expect(await store.get("b", none.keyId)).toEqual({ ...present, destroyWait: { sinceMs: 3, waitMs: 1 } });
      expect(await store.unwitnessedDestructions(6, 9)).toEqual([ahead]);
      expect(await store.auditEvents({ tenantId: "b", keyId: none.keyId, limit: 9 })).toHaveLength(2);
    });

    it("gives no wait to a record that was changed, or that is not to be destroyed", async () => {
      const wait = { sinceMs: 0, waitMs: 0 };
      const { keyId } = await scheduled("a", { dueMs: 1 });
      const present = (await store.get("a", keyId))!;
      await store.update(present, { ...present, compromisedAt: start }, change);
      expect(await thrownBy(() => store.setDestroyWait(present, wait))).toBeKmsError("CONFLICT", keyId);
      const active = await makeActive();
      expect(await thrownBy(() => store.setDestroyWait(active, wait))).toBeKmsError("CONFLICT", active.keyId);
    });

    it("destroys nothing before services have witnessed enough, nor without a wait", async () => {
      const before = { witnessedMs: 7, wallAt: start, secondAt: undefined };
      await store.noteWitnessedTime(undefined, before);
      const { keyId } = await scheduled("a", { dueMs: 1, sinceMs: 0, waitMs: 9 });
      const present = (await store.get("a", keyId))!;
      const destroy = (leastWitnessedMs?: number, record = present) => {
        const next: KeyRecord = { ...record, state: "DESTROYED", wrapped: new Uint8Array() };
        return store.update(record, next, { ...change, action: "destroy", leastWitnessedMs });
      };
      expect(await thrownBy(() => destroy(9))).toBeKmsError("CONFLICT", "less time");
      await store.noteWitnessedTime(before, { ...before, witnessedMs: 8 });
      expect(await thrownBy(() => destroy(9))).toBeKmsError("CONFLICT", "less time");
      expect(await store.get("a", keyId)).toEqual(present);
      await destroy(8);
      expect(await store.get("a", keyId)).toMatchObject({ state: "DESTROYED", destroyWait: { sinceMs: 0, waitMs: 9 } });
      const earlier = await scheduled("b", { dueMs: 1 });
      const record = (await store.get("b", earlier.keyId))!;
      expect(await thrownBy(() => destroy(undefined, record))).toBeInstanceOf(KmsError); // by the database itself
      expect(await store.get("b", earlier.keyId)).toEqual(record);
    });

    it("keeps witnessed time, and lets none be counted twice", async () => {
      const time = (witnessedMs: number, secondAt?: Date) => ({ witnessedMs, wallAt: start, secondAt });
      expect((await store.witnessedTime()).noted).toBeUndefined();
      await store.noteWitnessedTime(undefined, time(1));
      expect((await store.witnessedTime()).noted).toEqual(time(1));
      expect(await thrownBy(() => store.noteWitnessedTime(undefined, time(2)))).toBeKmsError("CONFLICT");
      const rivals = [time(2, start), time(3, start)];
      const { won } = await oneWins(rivals.map((next) => store.noteWitnessedTime(time(1), next)));
      expect((await store.witnessedTime()).noted).toEqual(rivals[won]);
    });

    it("notes witnessed time under a lease that holds alone", async () => {
      const time = (witnessedMs: number) => ({ witnessedMs, wallAt: start, secondAt: undefined });
      const { generation } = await store.lease("maintenance/2", "a", 60_000);
      const fence = { name: "maintenance/2", generation: generation! };
      await store.noteWitnessedTime(undefined, time(1), fence);
      const other = { ...fence, generation: fence.generation + 1 };
      expect(await thrownBy(() => store.noteWitnessedTime(time(1), time(2), other))).toBeKmsError("LEASE_LOST");
      await store.lease("maintenance/2", "a", 0);
      expect(await thrownBy(() => store.noteWitnessedTime(time(1), time(2), fence))).toBeKmsError("LEASE_LOST");
      expect((await store.witnessedTime()).noted).toEqual(time(1));
    });

    it("keeps who wants a key destroyed, and who confirmed it", async () => {
      const active = await makeActive();
      const request = { at: new Date(start.getTime() + 1), rule: "ops", token: "ab".repeat(32), days: 7 };
      const requested = { ...active, destruction: { by: "ann", request, confirmedBy: undefined } };
      await store.update(active, requested, change);
      expect(await store.get("acme", active.keyId)).toEqual(plain(requested));
      expect(await thrownBy(() => store.update(active, requested, change))).toBeKmsError("CONFLICT", active.keyId);
      const { destruction } = requested;
      for (const other of [
        { ...destruction, by: "bob" },
        { ...destruction, confirmedBy: "bob" },
        { ...destruction, request: { ...request, rule: undefined } },
        { ...destruction, request: { ...request, token: undefined } },
        { ...destruction, request: { ...request, at: start } },
        { ...destruction, request: { ...request, days: 8 } },
      ]) {
        const present = { ...requested, destruction: other as typeof destruction };
        expect(await thrownBy(() => store.update(present, active, change))).toBeKmsError("CONFLICT", active.keyId);
      }
      const confirmed = { ...requested, destruction: { by: "ann", request: undefined, confirmedBy: "bob" } };
      await store.update(requested, confirmed, change);
      expect(await store.get("acme", active.keyId)).toEqual(plain(confirmed));
    });

    it("lists the requests for destruction of a time, longest ago first, up to the limit, with the total", async () => {
      const at = (ms: number) => new Date(start.getTime() + ms);
      const request = async (tenantId: string, ms: number) => {
        const record = await makeActive({ tenantId });
        const destruction = { by: "ann", request: { at: at(ms), rule: undefined, days: 7 }, confirmedBy: undefined };
        await store.update(record, { ...record, destruction }, change);
        return { ...plain(record), destruction };
      };
      const found = (after: number, until: number, limit = 9) =>
        store.destructionRequests({ after: at(after), until: at(until), limit });
      await makeActive({ tenantId: "none" });
      expect(await found(0, 9)).toEqual({ records: [], total: 0 });
      const [second, first] = [await request("b", 2), await request("a", 1)];
      await request("c", 3);
      const confirmed = await request("d", 2);
      const destruction = { by: "ann", request: undefined, confirmedBy: "bob" };
      await store.update(confirmed, { ...confirmed, destruction }, change);
      expect(await found(0, 2)).toEqual({ records: [first, second], total: 2 });
      expect(await found(0, 3, 1)).toEqual({ records: [first], total: 3 });
      expect((await found(1, 2)).records).toEqual([second]);
    });

    it("has in the trail by which rule somebody did something", async () => {
      const ruled = { ...by, rule: "web" };
      const active = await makeActive({}, { by: ruled });
      await store.update(active, { ...active, compromisedAt: start }, { ...change, rule: "ops" });
      await store.appendAudit([event({ rule: "web" }), event({ actor: "bob" })]);
      const rows = await store.auditEvents({ limit: 9 });
      expect(rows.map(({ rule }) => rule)).toEqual(["web", "ops", "web", undefined]);
      expect((await store.verifyAudit(undefined, 9)).problems).toEqual([]);
    });

    it("has in the trail what a row stands for that stands for many, and what only words say", async () => {
      const many = { names: 1_000, firstAt: new Date(start.getTime() - 60_000), detail: "at least so many names" };
      const told = [many, { names: 0, firstAt: start }, { detail: "seen twice" }, {}];
      await store.appendAudit(told.map((members) => event(members)));
      const nothing = { names: undefined, firstAt: undefined, detail: undefined };
      const rows = await store.auditEvents({ limit: 9 });
      expect(rows.map(({ names, firstAt, detail }) => ({ names, firstAt, detail }))).toEqual(
        told.map((members) => ({ ...nothing, ...members })),
      );
      expect((await store.verifyAudit(undefined, 9)).problems).toEqual([]);
    });

    it("gives the last version without the keys", async () => {
      expect(await store.lastVersion("acme", "data")).toBe(0);
      const first = await makeActive();
      await insert();
      await makeActive({}, { expect: { active: first.keyId } });
      expect(await store.lastVersion("acme", "data")).toBe(2);
      expect(await store.lastVersion("acme", "signing")).toBe(0);
    });

    it("lists keys page by page, of all tenants, one, a purpose or a state", async () => {
      const first = await makeActive();
      await makeActive({}, { expect: { active: first.keyId } });
      await makeActive({ purpose: "signing" });
      await makeActive({ tenantId: "b" });
      await insert({ tenantId: "b" });
      const shown = (records: KeyRecord[]) => records.map((key) => `${key.tenantId}/${key.purpose}/${key.version}`);
      const all = ["acme/data/1", "acme/data/2", "acme/signing/1", "b/data/1"];
      expect(shown(await store.listKeys({ limit: 9 }))).toEqual(all);
      const page = await store.listKeys({ limit: 2 });
      expect(shown(page)).toEqual(all.slice(0, 2));
      expect(shown(await store.listKeys({ limit: 9, after: page[1] }))).toEqual(all.slice(2));
      expect(shown(await store.listKeys({ limit: 9, tenantId: "acme", purpose: "data" }))).toEqual(all.slice(0, 2));
      expect(shown(await store.listKeys({ limit: 9, state: "RETIRED" }))).toEqual(all.slice(0, 1));
      expect(await store.listKeys({ limit: 9, tenantId: "nobody" })).toEqual([]);
    });

    it("replaces a record only where nothing of it changed since it was read", async () => {
      const active = await makeActive();
      await store.update(active, { ...active, compromisedAt: start }, change);
      const late = () => store.update(active, { ...active, state: "DISABLED" }, change);
      expect(await thrownBy(late)).toBeKmsError("CONFLICT", active.keyId);
      expect(await store.get("acme", active.keyId)).toEqual({ ...active, compromisedAt: start });
    });

    it("puts a key in the place of one that was compromised, in one step", async () => {
      const first = await makeActive();
      const second = await makeActive({}, { expect: { active: first.keyId }, outgoing: "COMPROMISED" });
      expect(second.state).toBe("ACTIVE");
      const compromised = { state: "COMPROMISED", previousState: "ACTIVE", compromisedAt: start, retiredAt: start };
      expect(await store.get("acme", first.keyId)).toEqual({ ...first, ...compromised });
    });

    it("gives a lease to one, who may renew it", async () => {
      const first = { generation: 1, finishedAt: undefined };
      expect(await store.lease("work", "a", 60_000)).toEqual(first);
      expect(await store.lease("work", "b", 60_000)).toEqual({ ...first, generation: undefined });
      expect(await store.lease("work", "a", 60_000)).toEqual(first);
      expect((await store.lease("another", "b", 60_000)).generation).toBe(1);
    });

    it("gives a lease that ran out to the next, with a new generation, and to its holder likewise", async () => {
      await store.lease("work", "a", -1);
      expect((await store.lease("work", "b", -1)).generation).toBe(2);
      expect((await store.lease("work", "b", 60_000)).generation).toBe(3);
    });

    it("gives a lease that ends too late, its clock having been put back, to the next, and its holder may renew it till then", async () => {
      const first = await store.lease("work", "a", dayMs);
      expect((await store.lease("work", "b", 2 * dayMs)).generation).toBeUndefined();
      expect(await store.lease("work", "a", dayMs)).toEqual(first);
      const fence = { name: "work", generation: first.generation! };
      const { keyId } = await makeActive({}, { fence });
      expect((await store.lease("work", "b", 60_000)).generation).toBe(2);
      const second = await insert();
      const late = activate(second, { expect: { active: keyId }, fence });
      expect(await thrownBy(() => late)).toBeKmsError("LEASE_LOST", "lease");
      // Asked for no time, as by one that gives back what it lost, it stays its holder's.
      expect((await store.lease("work", "a", 0)).generation).toBeUndefined();
    });

    it("remembers when the work of a lease was last done, frees it, and tells it without taking it", async () => {
      expect(await store.leaseFinishedAt("work")).toBeUndefined();
      const fence = { name: "work", generation: (await store.lease("work", "a", 60_000)).generation! };
      expect(await store.leaseFinishedAt("work")).toBeUndefined();
      await store.finishLease(fence, start);
      expect(await store.leaseFinishedAt("work")).toEqual(start);
      const next = { generation: 2, finishedAt: start };
      expect(await store.lease("work", "b", 60_000)).toEqual(next);
      expect(await thrownBy(() => store.finishLease(fence, start))).toBeKmsError("LEASE_LOST", "work");
      expect(await store.leaseFinishedAt("work")).toEqual(start);
      expect(await store.lease("work", "b", 60_000)).toEqual(next);
      expect(await store.leaseFinishedAt("another")).toBeUndefined();
    });

    it("activates under a lease only while it is held", async () => {
      const fence = { name: "work", generation: (await store.lease("work", "a", 60_000)).generation! };
      const first = await makeActive({}, { fence });
      await store.finishLease(fence, start);
      const second = await insert();
      const expectFirst = { expect: { active: first.keyId } };
      expect(await thrownBy(() => activate(second, { ...expectFirst, fence }))).toBeKmsError("LEASE_LOST", "lease");
      await store.lease("work", "b", 60_000);
      expect(await thrownBy(() => activate(second, { ...expectFirst, fence }))).toBeKmsError("LEASE_LOST", "lease");
      expect(await store.list("acme", "data")).toEqual([first]);
      const next = { ...fence, generation: fence.generation + 1 };
      expect((await activate(second, { ...expectFirst, fence: next })).state).toBe("ACTIVE");
    });

    describe("of the store key", () => {
      const next = { provider: "vault", providerKeyId: "vault:1", wrapped: new Uint8Array(randomBytes(61)) };
      const replaced = { actor: "ann", requestId: "r7", at: start };

      it("replaces the wrapped form, with an audit row of no tenant and no key", async () => {
        await makeActive();
        const present = await store.storeKey();
        await store.replaceStoreKey(present, next, replaced, storeKey);
        expect(await store.storeKey()).toEqual({ ...present, ...next });
        const row = {
          ...replaced,
          action: "rewrap",
          tenantId: "",
          purpose: undefined,
          keyId: "",
          outcome: "OK",
          count: 1,
        };
        expect((await store.auditEvents({ limit: 9 })).at(-1)).toMatchObject(row);
        expect((await store.verifyAudit(undefined, 9)).problems).toEqual([]);
        expect(await locked.storeKey()).toEqual({ ...present, ...next });
        const reopened = await locked.unlock(storeKey);
        expect(await reopened.list("acme", "data")).toHaveLength(1);
      });

      it("replaces it before anything else was written, too", async () => {
        await store.replaceStoreKey(await store.storeKey(), next, replaced, storeKey);
        expect((await store.verifyAudit(undefined, 9)).problems).toEqual([]);
        expect((await store.auditHead())?.sequence).toBe(1);
      });

      it("lets one of two replacements win, and leaves nothing of the other", async () => {
        const present = await store.storeKey();
        const rivals = [next, { ...next, wrapped: new Uint8Array(randomBytes(61)) }];
        const calls = rivals.map((rival) => store.replaceStoreKey(present, rival, replaced, storeKey));
        const { won } = await oneWins(calls, "store key");
        expect(await store.storeKey()).toMatchObject(rivals[won]!);
        expect(await store.auditEvents({ limit: 9 })).toHaveLength(1);
      });

      it("refuses what is wrapped of another key", async () => {
        const present = await store.storeKey();
        const other = createSecretKey(randomBytes(32));
        const call = () => store.replaceStoreKey(present, next, replaced, other);
        expect(await thrownBy(call)).toBeKmsError("DATA_LOSS", "not the store key");
        expect(await store.storeKey()).toEqual(present);
        expect(await store.auditEvents({ limit: 9 })).toEqual([]);
      });
    });

    describe("of several provider keys", () => {
      const [a, b, c] = ["local:a", "local:b", "other:c"].map((providerKeyId) => {
        return { provider: providerKeyId.split(":")[0]!, providerKeyId };
      }) as [WrappedBy, WrappedBy, WrappedBy];
      const id = (n: number) => String(n).repeat(32);
      const all = (current: WrappedBy, tenants: Record<string, WrappedBy | undefined> = {}) => ({
        current,
        tenants: new Map(Object.entries(tenants)),
      });
      const shown = (names: WrappedName[]) => names.map(({ providerKeyId, keyId }) => `${providerKeyId} ${keyId[0]}`);
      const make = (n: number, by: WrappedBy) => makeActive({ tenantId: `t${n}`, keyId: id(n), ...by });

      it("names and counts the keys that others than the current one wrapped", async () => {
        const keys = [await make(5, a), await make(1, c), await make(3, a), await make(2, b)];
        await insert({ tenantId: "t9", keyId: id(9), ...c });
        const page = (current: WrappedBy) => store.wrappedByOthers(all(current), { limit: 9 });
        expect(shown(await page(b))).toEqual(["local:a 3", "local:a 5", "other:c 1"]);
        expect(shown(await page(a))).toEqual(["local:b 2", "other:c 1"]);
        expect(shown(await page(c))).toEqual(["local:a 3", "local:a 5", "local:b 2"]);
        expect((await page(c))[1]).toEqual({ ...nameOf(keys[0]!), version: 1, ...a });
        expect(await store.countWrappedByOthers(all(b))).toEqual([
          { ...a, keys: 2 },
          { ...c, keys: 2 },
        ]);
        expect(await store.countWrappedByOthers(all({ provider: "x", providerKeyId: "y" }))).toHaveLength(3);
      });

      it("names them page by page, though they become less", async () => {
        for (const [n, by] of [a, a, b, c, c].entries()) await make(n, by);
        const current = { provider: "vault", providerKeyId: "" };
        const pages: string[][] = [];
        for (let after: WrappedCursor | undefined; ; ) {
          const found = await store.wrappedByOthers(all(current), { limit: 2, after });
          pages.push(shown(found));
          if (found.length === 0) break;
          after = found.at(-1);
          const [first] = found;
          const record = (await store.get(first!.tenantId, first!.keyId))!;
          await store.update(record, { ...record, ...current }, { ...change, action: "rewrap" });
        }
        expect(pages).toEqual([["local:a 0", "local:a 1"], ["local:b 2", "other:c 3"], ["other:c 4"], []]);
        expect(shown(await store.wrappedByOthers(all(current), { limit: 9 }))).toEqual(["local:a 1", "other:c 3"]);
        expect(await store.wrappedByOthers(all(current), { limit: 9, after: { ...c, keyId: id(9) } })).toEqual([]);
      });

      it("knows which tenants have a provider key of their own", async () => {
        await make(1, a); // as should be
        await make(2, b); // a tenant's own
        await make(3, a); // should be under b
        await make(4, b); // should be under a
        await make(5, c); // likewise
        await make(6, c); // its own
        await make(7, b); // should be under c
        const should = all(a, { t2: b, t3: b, t6: c, t7: c, t8: c });
        const wrong = ["local:a 3", "local:b 4", "local:b 7", "other:c 5"];
        expect(shown(await store.wrappedByOthers(should, { limit: 9 }))).toEqual(wrong);
        expect(await store.countWrappedByOthers(should)).toEqual([
          { ...a, keys: 1 },
          { ...b, keys: 2 },
          { ...c, keys: 1 },
        ]);
        const pages: string[][] = [];
        for (let after: WrappedCursor | undefined; pages.at(-1)?.length !== 0; ) {
          const found = await store.wrappedByOthers(should, { limit: 1, after });
          pages.push(shown(found));
          after = found.at(-1) ?? after;
        }
        expect(pages.flat()).toEqual(wrong);
      });

      it("does not count a key that is being made under its tenant's own provider key", async () => {
        await make(1, a);
        await insert({ tenantId: "t2", keyId: id(2), ...b });
        expect(await store.countWrappedByOthers(all(a, { t2: b }))).toEqual([]);
        expect(await store.countWrappedByOthers(all(a, { t2: c }))).toEqual([{ ...b, keys: 1 }]);
      });

      it("finds no place wrong of a tenant whose own is not known", async () => {
        await make(1, a);
        await make(2, b);
        await make(3, c);
        const should = all(a, { t1: undefined, t2: undefined, t3: b });
        expect(shown(await store.wrappedByOthers(should, { limit: 9 }))).toEqual(["other:c 3"]);
        expect(await store.countWrappedByOthers(should)).toEqual([{ ...c, keys: 1 }]);
      });

      it("finds those of more tenants than one statement names", async () => {
        const own = Object.fromEntries(Array.from({ length: 250 }, (_, n) => [`own-${n}`, b]));
        await makeActive({ tenantId: "own-0", keyId: id(1), ...a });
        await makeActive({ tenantId: "own-199", keyId: id(2), ...a });
        await makeActive({ tenantId: "own-249", keyId: id(3), ...b });
        const should = all(a, own);
        expect(shown(await store.wrappedByOthers(should, { limit: 9 }))).toEqual(["local:a 1", "local:a 2"]);
        expect(await store.countWrappedByOthers(should)).toEqual([{ ...a, keys: 2 }]);
      });

      it("neither names nor counts what is destroyed", async () => {
        await moveTo(await make(1, a), "DESTROYED");
        await moveTo(await make(2, a), "DESTROY_SCHEDULED");
        await moveTo(await make(3, a), "COMPROMISED");
        expect(shown(await store.wrappedByOthers(all(b), { limit: 9 }))).toEqual(["local:a 2", "local:a 3"]);
        expect(await store.countWrappedByOthers(all(b))).toEqual([{ ...a, keys: 2 }]);
        expect(await store.countWrappedByOthers(all(a))).toEqual([]);
      });
    });

    it("writes who changed what into the audit trail, with the change", async () => {
      const first = await makeActive({}, { by: { actor: "ann", requestId: "r0" } });
      const second = await makeActive({}, { expect: { active: first.keyId }, by: { actor: "bob", requestId: "r1" } });
      await store.update(second, { ...second, state: "DISABLED" }, { ...change, actor: "eve", requestId: "r2" });
      const common = { tenantId: "acme", purpose: "data", outcome: "OK", count: 1, at: start };
      const rows = await store.auditEvents({ limit: 9 });
      expect(rows).toMatchObject([
        { ...common, actor: "ann", requestId: "r0", action: "create", keyId: first.keyId, sequence: 1 },
        { ...common, actor: "bob", requestId: "r1", action: "retire", keyId: first.keyId, sequence: 2 },
        { ...common, actor: "bob", requestId: "r1", action: "rotate", keyId: second.keyId, sequence: 3 },
        { ...common, actor: "eve", requestId: "r2", action: "disable", keyId: second.keyId, sequence: 4 },
      ]);
      expect(new Set(rows.map(({ writerId }) => writerId)).size).toBe(1);
    });

    it("writes nothing into the audit trail of a change that was refused", async () => {
      const first = await makeActive();
      await thrownBy(async () => activate(await insert()));
      await thrownBy(() => store.update({ ...first, version: 7 }, first, change));
      expect(await store.auditEvents({ limit: 9 })).toHaveLength(1);
      expect((await store.auditHead())?.sequence).toBe(1);
    });

    it("gives audit rows page by page, of all, a tenant or a key", async () => {
      expect(await store.auditHead()).toBeUndefined();
      await store.appendAudit([]);
      await store.appendAudit([event({ count: 1 }), event({ tenantId: "b", count: 2 })]);
      await store.appendAudit([event({ keyId: "", count: 3 }), event({ purpose: undefined, count: 4 })]);
      const counted = async (page: Partial<AuditPage>) =>
        (await store.auditEvents({ limit: 9, ...page })).map(({ count }) => count);
      expect(await counted({})).toEqual([1, 2, 3, 4]);
      const [, second] = await store.auditEvents({ limit: 2 });
      expect(await counted({ after: second!.id })).toEqual([3, 4]);
      expect(await counted({ tenantId: "b" })).toEqual([2]);
      expect(await counted({ keyId: "ff" })).toEqual([1, 2, 4]);
      expect(await counted({ tenantId: "acme", keyId: "ff", limit: 1 })).toEqual([1]);
      expect((await store.auditEvents({ limit: 9 }))[3]).toMatchObject(event({ purpose: undefined, count: 4 }));
    });

    it("names the tenants that were lately active, newest first", async () => {
      expect(await store.recentTenants(9)).toEqual([]);
      const of = (...tenantIds: string[]) => store.appendAudit(tenantIds.map((tenantId) => event({ tenantId })));
      await of("a", "b", "c", "a");
      await store.appendAudit([event({ tenantId: "" }), event({ tenantId: "refused", outcome: "NOT_FOUND" })]);
      expect(await store.recentTenants(9)).toEqual(["a", "c", "b"]);
      expect(await store.recentTenants(2)).toEqual(["a", "c"]);
    });

    it("looks for them among the newest 10,000 rows", async () => {
      await store.appendAudit([event({ tenantId: "old" }), event({ tenantId: "oldest that counts" })]);
      await store.appendAudit(Array.from({ length: 9_999 }, () => event({ tenantId: "busy" })));
      expect(await store.recentTenants(9)).toEqual(["busy", "oldest that counts"]);
    });

    it("finds its own audit trail whole, in steps of any length", async () => {
      await store.appendAudit(Array.from({ length: 7 }, (_, count) => event({ count })));
      await store.appendAudit(Array.from({ length: 300 }, (_, count) => event({ count })));
      for (const limit of [1, 50, 307, 308]) {
        let events = 0;
        let next: AuditCursor | undefined;
        do {
          const verdict = await store.verifyAudit(next, limit);
          expect(verdict.problems).toEqual([]);
          events += verdict.events;
          next = verdict.next;
          if (next === undefined) expect(verdict.heads).toEqual([await store.auditHead()]);
        } while (next !== undefined);
        expect(events).toBe(307);
      }
    });

    it("verifies the audit trail as far as a head that was read before, whatever is appended meanwhile", async () => {
      await store.appendAudit(Array.from({ length: 7 }, (_, count) => event({ count })));
      const heads = await store.auditHeads("", 9);
      expect(heads).toEqual([await store.auditHead()]);
      expect(await store.auditHeads(heads[0]!.writerId, 9)).toEqual([]);
      await store.appendAudit([event({}), event({})]);
      const first = await store.verifyAudit(beforeWriters, 4);
      expect(first).toMatchObject({ events: 0, heads: [], problems: [], next: { sequence: 0 } });
      const some = await store.verifyAudit({ ...first.next!, until: heads[0]! }, 4);
      expect(some).toMatchObject({ events: 4, heads: [], problems: [], next: { sequence: 4, until: heads[0]! } });
      const rest = await store.verifyAudit(some.next, 4);
      expect(rest).toEqual({ events: 3, heads, problems: [], next: undefined });
      const other = { ...heads[0]!, mac: new Uint8Array(32) };
      expect((await store.verifyAudit({ ...first.next!, until: other }, 99)).problems).toHaveLength(1);
    });

    it("counts records by purpose and state, of all and of a tenant", async () => {
      const first = await makeActive();
      const rotatedAt = new Date(start.getTime() + 2);
      await makeActive({}, { expect: { active: first.keyId }, at: rotatedAt });
      await makeActive({ purpose: "signing" }, { at: new Date(start.getTime() + 1) });
      await makeActive({ tenantId: "b" }, { at: new Date(0) });
      await insert();
      const [oldestActiveAt, lastRotationAt] = [new Date(start.getTime() + 1), rotatedAt];
      const signing = { ACTIVE: 1 };
      expect(await store.counts()).toEqual({
        byPurpose: { data: { ACTIVE: 2, RETIRED: 1, PENDING: 1 }, signing },
        oldestActiveAt: new Date(0),
        lastRotationAt,
      });
      const ofTenant = { data: { ACTIVE: 1, RETIRED: 1 }, signing };
      expect(await store.counts("acme")).toEqual({ byPurpose: ofTenant, oldestActiveAt, lastRotationAt });
      const nothing = { byPurpose: { data: {}, signing: {} }, oldestActiveAt: undefined, lastRotationAt: undefined };
      expect(await store.counts("nobody")).toEqual(nothing);
    });
  });
}

function event(changes: Partial<AuditEvent> = {}): AuditEvent {
  const what = { action: "encrypt_pii", tenantId: "acme", purpose: "data", keyId: "ff", outcome: "OK" } as const;
  return { at: start, ...by, ...what, count: 1, ...changes };
}

function nameOf({ tenantId, purpose, keyId }: KeyRecord): KeyName {
  return { tenantId, purpose, keyId };
}

function pending(changes: Partial<KeyRecord> = {}): KeyRecord {
  return pendingKey({ createdAt: new Date(start), ...changes });
}

/** What comes of calls of which one wins. The others are refused with CONFLICT, which says `about`. */
export async function oneWins<T>(calls: readonly Promise<T>[], about = ""): Promise<{ won: number; value: T }> {
  const outcomes = await Promise.allSettled(calls);
  const won = outcomes.findIndex(({ status }) => status === "fulfilled");
  for (const [at, outcome] of outcomes.entries()) {
    if (at !== won) expect(outcome.status === "rejected" && outcome.reason).toBeKmsError("CONFLICT", about);
  }
  return { won, value: (outcomes[won] as PromiseFulfilledResult<Awaited<T>>).value };
}

/** Copied, and bytes as `Uint8Array`s, which a store may well give back where it was given Buffers. */
function plain(record: KeyRecord): KeyRecord {
  const { wrapped, publicKey, createdAt } = record;
  const copies = { wrapped: new Uint8Array(wrapped), publicKey: new Uint8Array(publicKey) };
  return { ...record, ...copies, createdAt: new Date(createdAt) };
}
