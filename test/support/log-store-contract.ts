/** What every store must do for logs: src/store/log-store.ts as code. A store's own test says only how to make an empty one. */
import { createSecretKey, randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { KmsErrorCode } from "../../src/errors.ts";
import { pageRows } from "../../src/store/sql/all-pages.ts";
import { packRuns, singleEntry } from "../../src/tlog/entry-run.ts";
import { emptyRoot } from "../../src/tlog/merkle.ts";
import type { HandoverAppend, LogAppend, LogHandover, LogHead, LogRequest } from "../../src/store/log-store.ts";
import type { KeyRecord } from "../../src/store/key-record.ts";
import type { Activation, StateChange } from "../../src/store/key-store.ts";
import type { LockedStore, Store } from "../../src/store/store.ts";
import { thrownBy } from "./matchers.ts";
import { oneWins } from "./store-contract.ts";
import { addKey, pendingKey, unlocked } from "./store-fixture.ts";
import { contentOf, entriesFrom, entry, grown, hashOf, newLog, runsFrom, tilesOf } from "./log-store-fixture.ts";

const dayMs = 24 * 60 * 60 * 1000;
const start = new Date("2026-01-01T00:00:00.000Z");
const by = { actor: "ann", requestId: "" };
const acme = { tenantId: "acme", number: 1 };

/** `make` gives a new and empty store. */
export function logStoreContract(name: string, make: () => LockedStore | Promise<LockedStore>): void {
  describe(`logs in store ${name}`, () => {
    const storeKey = createSecretKey(randomBytes(32));
    let store: Store;
    beforeEach(async () => {
      store = await unlocked(await make(), storeKey);
    });
    afterEach(() => store.close());

    async function create(changes: Partial<LogHead> = {}): Promise<LogHead> {
      const head = newLog(changes);
      await store.createLog(head);
      return head;
    }

    /** Appends a group of entries, and gives the head that it leads to. */
    async function append(head: LogHead, count: number, requests: LogRequest[] = []): Promise<LogHead> {
      const group = grown(head, count, requests);
      await store.appendLog(group);
      return { ...head, ...group.next };
    }

    it("knows nothing of a tenant without a log", async () => {
      await create({ tenantId: "other" });
      expect(await store.logHead("acme")).toBeUndefined();
      expect(await store.logHead("acme", 1)).toBeUndefined();
      expect(await store.logHeads("acme")).toEqual([]);
      expect(await store.logRequest(acme, "r1")).toBeUndefined();
      expect(await store.logHashes(acme, 0, 0)).toHaveLength(0);
      expect(await store.logEntries(acme, 0)).toHaveLength(0);
      expect(await store.logHandovers("acme")).toEqual([]);
      expect(await store.logCompromises("acme")).toEqual([]);
    });

    it("creates the first log, empty and open", async () => {
      const head = await create();
      expect(await store.logHead("acme")).toEqual(head);
      expect(await store.logHead("acme", 1)).toEqual(head);
      expect(await store.logHeads("acme")).toEqual([head]);
      expect(head).toMatchObject({ size: 0, root: new Uint8Array(emptyRoot), state: "open" });
    });

    it("refuses a second log while the first is open, and one that is not the next", async () => {
      const head = await create();
      for (const number of [1, 2]) expect(await thrownBy(() => create({ number }))).toBeKmsError("CONFLICT", "open");
      for (const number of [0, 2]) {
        expect(await thrownBy(() => create({ tenantId: "other", number }))).toBeKmsError("CONFLICT", "is 1, not");
      }
      expect(await store.logHeads("acme")).toEqual([head]);
      expect(await store.logHeads("other")).toEqual([]);
    });

    it("numbers no log in a restored store as one that the backup may not know", async () => {
      const head = await create();
      expect(await store.nextLogNumber("acme")).toBe(2);
      expect(await store.nextLogNumber("other")).toBe(1);
      const ofAll = { tenantId: "", purpose: undefined, keyId: "", outcome: "OK", count: 1 } as const;
      const times = [start, new Date(start.getTime() - dayMs)];
      await store.appendAudit(times.map((at) => ({ ...by, ...ofAll, action: "restore", at })));
      const next = start.getTime() / 1000;
      for (const tenantId of ["acme", "other"]) expect(await store.nextLogNumber(tenantId)).toBe(next);
      expect(await thrownBy(() => create({ tenantId: "other" }))).toBeKmsError("CONFLICT", `is ${next}, not 1`);
      await create({ tenantId: "other", number: next });
      expect(await store.nextLogNumber("other")).toBe(next + 1);
      expect(await store.logHeads("acme")).toEqual([head]);
    });

    it("lets one of two first logs win", async () => {
      const rivals = [newLog({ origin: "one" }), newLog({ origin: "two" })];
      await oneWins(rivals.map((rival) => store.createLog(rival)));
      expect(await store.logHeads("acme")).toHaveLength(1);
    });

    it("appends groups of every size, and gives back their entries and hashes by bundle and tile", async () => {
      let head = await create();
      for (const count of [1, 10, 244, 1, 256, 300, 2, 1300]) head = await append(head, count);
      expect(head.size).toBe(2114);
      expect(await store.logHead("acme")).toEqual(head);
      const stored = await contentOf(store, acme, head.size);
      expect(stored.entries).toEqual(Array.from({ length: head.size }, (_, index) => entry(index)));
      expect(stored.tiles).toEqual(tilesOf(head.size));
    });

    it("appends runs of any length, where bundles begin and end in them", async () => {
      const head = await append(await create(), 200);
      const counts = [1, 54, 1, 0, 300, 2, 255, 1, 600];
      const size = counts.reduce((sum, count) => sum + count, head.size);
      const runs = counts.map((count) => {
        const text = `of ${count}: ---- and ------.`;
        const places = [2, 3].map((bytes) => ({ at: text.indexOf("--".repeat(bytes)), bytes }));
        return { form: Buffer.from(text), places, count, shown: randomBytes(count * 5) };
      });
      const entries = [...runs.slice(0, 4).map((run) => packRuns([run])), packRuns(runs.slice(4))];
      await store.appendLog({ ...grown(head, size - head.size), entries });
      const expected = runs.flatMap(({ count, shown }) =>
        Array.from({ length: count }, (_, at) => {
          const digits = Buffer.from(shown.subarray(at * 5, at * 5 + 5)).toString("hex");
          return `of ${count}: ${digits.slice(0, 4)} and ${digits.slice(4)}.`;
        }),
      );
      const stored = await contentOf(store, acme, size);
      expect(stored.entries.slice(head.size)).toEqual(expected);
      expect(stored.tiles).toEqual(tilesOf(size));
    });

    it("gives a bundle and a tile as far as they go", async () => {
      const head = await append(await create(), 300);
      expect(await store.logEntries(acme, 1)).toEqual(new Uint8Array(entriesFrom(256, 300)));
      expect(await store.logHashes(acme, 0, 1)).toHaveLength(44 * 32);
      expect(await store.logHashes(acme, 1, 0)).toHaveLength(32);
      expect(await store.logHashes(acme, 2, 0)).toHaveLength(0);
      expect(await store.logEntries(acme, 2)).toHaveLength(0);
      await append(head, 1);
      expect(await store.logEntries(acme, 1)).toEqual(new Uint8Array(entriesFrom(256, 301)));
    });

    it("appends entries as they were kept before there were runs", async () => {
      await store.appendLog({ ...grown(await create(), 300), entries: [entriesFrom(0, 300)] });
      expect(await store.logEntries(acme, 1)).toEqual(new Uint8Array(entriesFrom(256, 300)));
    });

    it("appends 20,000 entries at once, and none", async () => {
      let head = await append(await create(), 20_000);
      head = await append(head, 0);
      expect(await store.logHead("acme")).toEqual(head);
      expect(await store.logEntries(acme, 78)).toEqual(new Uint8Array(entriesFrom(19_968, 20_000)));
      expect(await store.logHashes(acme, 1, 0)).toHaveLength(78 * 32);
    });

    it("appends an entry of each length that two bytes can say", async () => {
      const head = await create();
      const { next, hashes, ...group } = grown(head, 2);
      const longest = randomBytes(65_535);
      const entries = packRuns([new Uint8Array(), longest].map(singleEntry));
      await store.appendLog({ ...group, next, hashes, entries: [entries] });
      const bundle = Buffer.concat([Buffer.of(0, 0), Buffer.of(255, 255), longest]);
      expect(await store.logEntries(acme, 0)).toEqual(new Uint8Array(bundle));
    });

    it("is not changed through bytes that it was given or gave away", async () => {
      const head = await create();
      const group = grown(head, 3);
      await store.appendLog(group);
      for (const bytes of [...group.entries, group.next.root, group.next.frontier, group.hashes[0]!.hashes])
        bytes.fill(0);
      const given = [await store.logEntries(acme, 0), await store.logHashes(acme, 0, 0)];
      const givenHead = (await store.logHead("acme"))!;
      for (const bytes of [...given, givenHead.root, givenHead.frontier]) bytes.fill(0);
      expect(await contentOf(store, acme, 3)).toEqual({ entries: [entry(0), entry(1), entry(2)], tiles: tilesOf(3) });
      const { next } = grown(head, 3);
      expect(await store.logHead("acme")).toEqual({ ...head, ...next });
    });

    it("takes hashes in memory that threads share", async () => {
      const head = await create();
      const group = grown(head, 3);
      const shared = (bytes: Uint8Array) => {
        const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
        copy.set(bytes);
        return copy;
      };
      const hashes = group.hashes.map((each) => ({ ...each, hashes: shared(each.hashes) }));
      const entries = group.entries.map(shared);
      await store.appendLog({ ...group, entries, hashes });
      expect(await contentOf(store, acme, 3)).toEqual({ entries: [entry(0), entry(1), entry(2)], tiles: tilesOf(3) });
    });

    it("refuses a group that was made for another head, and leaves nothing of it", async () => {
      const empty = await create();
      const head = await append(empty, 5);
      const changes = [empty, { size: 4 }, { root: randomBytes(32) }, { number: 2 }, { tenantId: "other" }];
      for (const other of changes.map((each) => ({ ...head, ...each }))) {
        const { requests } = grown(head, 1, [request("r1", head)]);
        const group = { ...grown(head, 1), expect: other, requests };
        if (other.size !== head.size) group.entries = [runsFrom(other.size, head.size + 1)];
        expect(await thrownBy(() => store.appendLog(group))).toBeKmsError("CONFLICT");
      }
      expect(await store.logHead("acme")).toEqual(head);
      expect(await contentOf(store, acme, 6)).toEqual(await contentOf(store, acme, 5));
      expect(await store.logRequest(acme, "r1")).toBeUndefined();
    });

    it("lets one of many groups for the same head win, whole", async () => {
      const head = await append(await create(), 250);
      const { value: next } = await oneWins([3, 7, 9, 20].map((count) => append(head, count)));
      expect(await store.logHead("acme")).toEqual(next);
      expect((await contentOf(store, acme, next.size + 1)).entries).toHaveLength(next.size);
    });

    it("goes on after a group that lost, with the one that is made for the head as it is", async () => {
      const empty = await create();
      await append(empty, 2);
      await thrownBy(() => append(empty, 3));
      const head = await append((await store.logHead("acme"))!, 3);
      expect(await contentOf(store, acme, 5)).toEqual({ entries: [0, 1, 2, 3, 4].map(entry), tiles: tilesOf(5) });
      expect(head.size).toBe(5);
    });

    it("refuses a group whose entries are not as many as it says", async () => {
      const head = await create();
      const group = grown(head, 3);
      const cut = runsFrom(0, 3).slice(0, -1);
      for (const entries of [[cut], group.entries.slice(1), [runsFrom(0, 2)], [runsFrom(0, 4)], []]) {
        expect(await thrownBy(() => store.appendLog({ ...group, entries }))).toBeKmsError("INTERNAL");
      }
      expect(await store.logHead("acme")).toEqual(head);
      expect(await store.logEntries(acme, 0)).toHaveLength(0);
    });

    it("refuses a group whose hashes are not those of the nodes that it completes", async () => {
      const head = await append(await create(), 250);
      const group = grown(head, 300);
      const [leaves, nodes] = group.hashes;
      expect(group.hashes).toHaveLength(2);
      const others = [
        [leaves!],
        [nodes!, leaves!],
        [leaves!, nodes!, { tileLevel: 2, start: 0, hashes: randomBytes(32) }],
        [leaves!, { ...nodes!, start: 1 }],
        [leaves!, { ...nodes!, hashes: randomBytes(32) }],
        [{ ...leaves!, hashes: leaves!.hashes.slice(1) }, nodes!],
      ];
      for (const hashes of others) {
        expect(await thrownBy(() => store.appendLog({ ...group, hashes }))).toBeKmsError("INTERNAL");
      }
      expect(await store.logHead("acme")).toEqual(head);
      expect(await store.logHashes(acme, 1, 0)).toHaveLength(0);
    });

    it("keeps the logs of tenants apart", async () => {
      const ours = await append(await create(), 3);
      const theirs = await append(await create({ tenantId: "other" }), 2);
      expect(await store.logHead("acme")).toEqual(ours);
      expect(await store.logHead("other")).toEqual(theirs);
      expect((await contentOf(store, { tenantId: "other", number: 1 }, 2)).entries).toHaveLength(2);
    });

    describe("remembered batches", () => {
      it("are given back inside their log", async () => {
        const head = await create();
        const [one, two] = [request("r1", head, 2), { ...request("r2", head, 3), firstIndex: 2 }];
        await append(head, 5, [one, two]);
        expect(await store.logRequest(acme, "r1")).toEqual(one);
        expect(await store.logRequest(acme, "r2")).toEqual(two);
        expect(await store.logRequest(acme, "r3")).toBeUndefined();
        expect(await store.logRequest({ ...acme, number: 2 }, "r1")).toBeUndefined();
        expect(await store.logRequest({ ...acme, tenantId: "other" }, "r1")).toBeUndefined();
      });

      it("are not remembered twice: the group is refused, whatever the digest", async () => {
        const head = await append(await create(), 2, [request("r1", newLog(), 2)]);
        for (const digest of ["aa".repeat(32), "bb".repeat(32)]) {
          const again = [request("r2", head, 1), { ...request("r1", head, 1), digest }];
          expect(await thrownBy(() => append(head, 2, again))).toBeKmsError("CONFLICT");
        }
        expect(await store.logHead("acme")).toEqual(head);
        expect(await store.logEntries(acme, 0)).toEqual(new Uint8Array(entriesFrom(0, 2)));
        expect(await store.logRequest(acme, "r2")).toBeUndefined();
      });

      it("may be many in a group", async () => {
        const head = await create();
        const many = Array.from({ length: 60 }, (_, firstIndex) => ({
          ...request(`r${firstIndex}`, head),
          firstIndex,
        }));
        await append(head, 60, many);
        expect(await store.logRequest(acme, "r59")).toEqual(many[59]);
      });

      it("are remembered for a day", async () => {
        const head = await create();
        const old = { ...request("old", head, 1), signedAt: new Date(start.getTime() - dayMs - 1) };
        const young = { ...request("young", head, 1), firstIndex: 1, signedAt: new Date(start.getTime() - dayMs) };
        const after = await append(head, 2, [old, young]);
        expect(await store.deleteLogRequestsBefore(new Date(start.getTime() - dayMs))).toBe(1);
        expect(await store.deleteLogRequestsBefore(new Date(start.getTime() - dayMs))).toBe(0);
        expect(await store.logRequest(acme, "old")).toBeUndefined();
        expect(await store.logRequest(acme, "young")).toEqual(young);
        await append(after, 1, [request("old", after, 1)]); // and its id may be used again
      });
    });

    describe("handovers", () => {
      const proof = "c2sp.org/tlog-proof@v1\nindex 1\n\n";

      /** A group of three entries, of which the second hands over from one key to another. */
      function handoverIn(head: LogHead, fromKeyId: string, toKeyId: string): HandoverAppend {
        const { tenantId, number, size } = head;
        const entry = new Uint8Array([1, 2]);
        return {
          append: grown(head, 3),
          handover: { tenantId, number, fromKeyId, toKeyId, index: size + 1, entry, proof },
        };
      }

      const signingPair = async () => {
        const old = await addKey(store, { purpose: "signing" });
        return { old, next: await newPending() };
      };

      async function newPending(): Promise<KeyRecord> {
        const record = pendingKey({ purpose: "signing" });
        await store.insertPending(record);
        return record;
      }

      function activate(
        { tenantId, purpose, keyId }: KeyRecord,
        expectActive: string,
        handover: Activation["handover"],
      ): Promise<KeyRecord> {
        const expected = { active: expectActive };
        return store.activate({ tenantId, purpose, keyId, expect: expected, at: start, by, handover });
      }

      it("are stored with the activation, with the entries that they are in", async () => {
        const { old, next } = await signingPair();
        let head = await append(await create(), 250);
        const first = handoverIn(head, old.keyId, next.keyId);
        expect(await activate(next, old.keyId, first)).toMatchObject({ keyId: next.keyId, state: "ACTIVE" });
        head = { ...head, ...first.append.next };
        expect(await store.logHead("acme")).toEqual(head);
        expect(await contentOf(store, acme, 253)).toMatchObject({ tiles: tilesOf(253) });
        expect(await store.logHandovers("acme")).toEqual([first.handover]);
        expect((await store.active("acme", "signing"))?.keyId).toBe(next.keyId);
        const third = await newPending();
        const second = handoverIn(head, next.keyId, third.keyId);
        await activate(third, next.keyId, second);
        expect(await store.logHandovers("acme")).toEqual([first.handover, second.handover]);
        expect(await store.logHandovers("other")).toEqual([]);
        await append({ ...head, ...second.append.next }, 2);
      });

      it("are read whole, however many there are", async () => {
        let active = await addKey(store, { purpose: "signing" });
        let head = await create();
        const handovers: LogHandover[] = [];
        while (handovers.length <= pageRows) {
          const next = await newPending();
          const stored = handoverIn(head, active.keyId, next.keyId);
          active = await activate(next, active.keyId, stored);
          head = { ...head, ...stored.append.next };
          handovers.push(stored.handover);
        }
        expect(await store.logHandovers("acme")).toEqual(handovers);
      });

      it.each<[what: string, code: KmsErrorCode, append: (own: LogAppend) => LogAppend]>([
        ["for another head", "CONFLICT", () => grown(newLog(), 3)],
        ["with other entries than it says", "INTERNAL", (own) => ({ ...own, entries: [] })],
      ])("leave all as it was where the group is %s", async (_what, code, change) => {
        const { old, next } = await signingPair();
        const head = await append(await create(), 2);
        const own = handoverIn(head, old.keyId, next.keyId);
        const stored = { ...own, append: change(own.append) };
        expect(await thrownBy(() => activate(next, old.keyId, stored))).toBeKmsError(code);
        expect(await store.logHead("acme")).toEqual(head);
        expect(await store.logHandovers("acme")).toEqual([]);
        expect((await contentOf(store, acme, 5)).entries).toHaveLength(2);
        expect((await store.active("acme", "signing"))?.keyId).toBe(old.keyId);
        expect((await store.get("acme", next.keyId))?.state).toBe("PENDING");
      });

      it("are not in the log where the activation fails", async () => {
        const { old, next } = await signingPair();
        const head = await append(await create(), 2);
        const stored = handoverIn(head, old.keyId, next.keyId);
        expect(await thrownBy(() => activate(next, next.keyId, stored))).toBeKmsError("CONFLICT", "the active key is");
        expect(await thrownBy(() => activate(old, old.keyId, stored))).toBeKmsError("CONFLICT", "is not pending");
        expect(await store.logHead("acme")).toEqual(head);
        expect(await store.logHandovers("acme")).toEqual([]);
        expect((await contentOf(store, acme, 5)).entries).toHaveLength(2);
        await append(head, 1);
      });

      it("are not made in a log that ended", async () => {
        const { old, next } = await signingPair();
        const head = await create({ state: "restored" });
        const stored = handoverIn(head, old.keyId, next.keyId);
        expect(await thrownBy(() => activate(next, old.keyId, stored))).toBeKmsError("CONFLICT");
        expect((await store.active("acme", "signing"))?.keyId).toBe(old.keyId);
      });

      it("of one key are one, however many rivals there are, and others who append", async () => {
        const { old, next } = await signingPair();
        const rivals = [next, await newPending(), await newPending()];
        let head = await append(await create(), 250);
        let winner: KeyRecord | undefined;
        for (let tries = 0; winner === undefined && tries < 50; tries += 1) {
          const { value } = await oneWins<unknown>([
            ...rivals.map((rival) => activate(rival, old.keyId, handoverIn(head, old.keyId, rival.keyId))),
            // An append is done sooner than an activation, and could always win.
            ...(tries < 5 ? [store.appendLog(grown(head, 7))] : []),
          ]);
          winner = value as KeyRecord | undefined;
          head = (await store.logHead("acme"))!;
        }
        expect(await store.active("acme", "signing")).toEqual(winner);
        expect(await store.logHandovers("acme")).toMatchObject([{ fromKeyId: old.keyId, toKeyId: winner?.keyId }]);
        expect(await contentOf(store, acme, head.size)).toMatchObject({ tiles: tilesOf(head.size) });
      });

      it("are not left out by an activation that saw no log: the log was not there yet when it was stored", async () => {
        const { old, next } = await signingPair();
        const unannounced = () => activate(next, old.keyId, "no-log");
        const [, activated] = await Promise.allSettled([create(), unannounced()]);
        const active = await store.active("acme", "signing");
        if (activated.status === "rejected") {
          expect(activated.reason).toBeKmsError("CONFLICT", "has begun meanwhile");
          expect(active?.keyId).toBe(old.keyId);
        } else expect(active?.keyId).toBe(next.keyId);
        expect(await thrownBy(unannounced)).toBeKmsError("CONFLICT");
      });

      it("are needed while a log is open, and not after one that ended", async () => {
        const { old, next } = await signingPair();
        await create({ state: "restored" });
        await activate(next, old.keyId, "no-log");
        expect((await store.active("acme", "signing"))?.keyId).toBe(next.keyId);
      });
    });

    describe("a key that is marked as compromised", () => {
      const mark: StateChange = { ...by, action: "mark_compromised", at: start };
      const notedAt = ({ origin, size, root }: LogHead, { keyId }: KeyRecord) => {
        return { ...acme, keyId, origin, size, root: new Uint8Array(root) };
      };

      it("gets the size and root of its tenant's last log, once, when it is marked", async () => {
        const key = await addKey(store, { purpose: "signing" });
        const head = await append(await create(), 3);
        const marked = { ...key, state: "COMPROMISED", compromisedAt: start, previousState: "ACTIVE" } as const;
        await store.update(key, marked, mark);
        const noted = [notedAt(head, key)];
        expect(await store.logCompromises("acme")).toEqual(noted);
        await append(head, 2);
        const later = {
          ...marked,
          state: "DESTROY_SCHEDULED",
          destroyAt: start,
          previousState: "COMPROMISED",
        } as const;
        await store.update(marked, later, { ...mark, action: "schedule_destruction" });
        expect(await store.logCompromises("acme")).toEqual(noted);
        expect(await store.logCompromises("other")).toEqual([]);
      });

      it("gets them too where another becomes ACTIVE in its place", async () => {
        const key = await addKey(store, { purpose: "signing" });
        const head = await append(await create(), 3);
        const record = pendingKey({ purpose: "signing" });
        await store.insertPending(record);
        const expectActive = { active: key.keyId };
        await store.activate({ ...record, expect: expectActive, at: start, by, outgoing: "COMPROMISED" });
        expect(await store.logCompromises("acme")).toEqual([notedAt(head, key)]);
      });

      it("gets none where there is no log, where it is retired or disabled, or where it is a data key", async () => {
        const unlogged = await addKey(store, { tenantId: "other", purpose: "signing" });
        await create();
        const data = await addKey(store, { purpose: "data" });
        for (const key of [unlogged, data]) {
          await store.update(key, { ...key, state: "COMPROMISED", compromisedAt: start }, mark);
        }
        await addKey(store, { purpose: "signing" });
        const second = await addKey(store, { purpose: "signing" }); // which retires the first
        await store.update(second, { ...second, state: "DISABLED" }, { ...mark, action: "disable" });
        for (const tenantId of ["acme", "other"]) expect(await store.logCompromises(tenantId)).toEqual([]);
      });
    });

    function request(requestId: string, { size }: LogHead, count = 1): LogRequest {
      return { requestId, digest: hashOf(requestId), firstIndex: size, count, signedAt: start };
    }
  });
}
