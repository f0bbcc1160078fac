/** Handovers from one signing key to the next, in the log of their tenant. */
import { describe, expect, it } from "vitest";
import { leafHash } from "../../src/tlog/merkle.ts";
import { isIncluded } from "../../src/tlog/verify-proof.ts";
import { parseHandover } from "../../src/attestation/log-entry.ts";
import { parseTlogProof } from "../../src/tlog/inclusion-proof.ts";
import { verifierKey } from "../../src/tlog/verifier-key.ts";
import type { Store } from "../../src/store/store.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import { realTime } from "../../src/runtime/time.ts";
import { expectChainAfterRace } from "../support/handover-race.ts";
import { checkpointOf, type replica, replicas, tenant } from "../support/tenant-log-fixture.ts";

const by = { actor: "ann", requestId: "" };
const started = replicas();

const signingKey = ({ keyring }: ReturnType<typeof replica>) => keyring.activeSigningKey(tenant);
const rotate = ({ keyring }: ReturnType<typeof replica>) =>
  keyring.rotate({ tenantId: tenant, purposes: ["signing"], force: true });

describe("a rotation", () => {
  it("hands a log over: an entry names the new key, in a checkpoint that both keys signed", async () => {
    const log = started();
    await log.append(0, 5);
    const from = await signingKey(log);
    await rotate(log);
    const to = await signingKey(log);
    const [handover, ...more] = await log.store.logHandovers(tenant);
    expect(more).toEqual([]);
    expect(handover).toMatchObject({ number: 1, fromKeyId: from.keyId, toKeyId: to.keyId, index: 5 });
    const toVkey = verifierKey("kms.example.com/acme", to.key.publicKey);
    expect(parseHandover(handover!.entry)).toMatchObject({ tenant, fromKeyId: from.keyId, toKeyId: to.keyId, toVkey });
    const { checkpoint, index, path } = parseTlogProof(handover!.proof)!;
    const tree = checkpointOf(checkpoint, from.key.publicKey, to.key.publicKey)!;
    expect(tree.size).toBe(6);
    expect(isIncluded({ leaf: leafHash(handover!.entry), index, path }, tree)).toBe(true);
    const { place } = await log.append(5, 7);
    expect(place.firstIndex).toBe(6);
    expect(checkpointOf(place.checkpoint, to.key.publicKey)?.size).toBe(8);
    expect(checkpointOf(place.checkpoint, from.key.publicKey)).toBeUndefined();
  });

  it("goes on under load, without a gap", async () => {
    const log = started();
    await log.append(200, 202);
    const appending = Array.from({ length: 30 }, (_, n) => log.append(n * 4, n * 4 + 4));
    await Promise.all([...appending, rotate(log)]);
    await rotate(log);
    expect((await log.store.logHead(tenant))?.size).toBe(124);
    expect((await log.store.logHandovers(tenant)).every(({ proof }) => proof !== "")).toBe(true);
  });

  it("of a tenant without a log leaves none, nor does one of its data key", async () => {
    const log = started();
    await log.keyring.activeSigningKey(tenant);
    await rotate(log);
    expect(await log.store.logHead(tenant)).toBeUndefined();
    await log.append(0, 1);
    await log.keyring.activeDataKey(tenant);
    await log.keyring.rotate({ tenantId: tenant, purposes: ["data"], force: true });
    expect(await log.store.logHandovers(tenant)).toEqual([]);
  });

  it("hands a log over that began while the new key was made", async () => {
    const other = started();
    const { store } = other;
    const logHead = async (...given: Parameters<typeof store.logHead>) => {
      const found = await store.logHead(...given);
      if (found === undefined) await other.append(0, 3);
      return found;
    };
    const log = started({ store: { ...store, logHead }, provider: other.provider });
    const from = await signingKey(log);
    const { rotated } = await rotate(log);
    expect(rotated).toHaveLength(1);
    const { keyId } = await signingKey(log);
    expect(keyId).not.toBe(from.keyId);
    expect(await store.logHandovers(tenant)).toMatchObject([{ fromKeyId: from.keyId, toKeyId: keyId, index: 3 }]);
  });

  it.each([
    ["that is to begin", 0],
    ["in which there is nothing", undefined],
    ["that another began", 3],
  ])("before a log %s is known to a replica that had no news of it", async (_log, entries) => {
    const one = started();
    const { store, provider } = one;
    const other = started({ store: { ...store, watch: () => () => {} }, provider });
    const { keyId: old } = await signingKey(other);
    await rotate(one);
    expect((await signingKey(other)).keyId).toBe(old);
    if (entries === undefined) await one.heads.open(tenant, (await signingKey(one)).keyId);
    else if (entries > 0) await one.append(0, entries);
    const { keyId, place } = await other.append(3, 6);
    expect(keyId).toBe((await signingKey(one)).keyId);
    expect(place.firstIndex).toBe(entries ?? 0);
    expect((await signingKey(other)).keyId).toBe(keyId);
  });

  it("hands over from the key that is ACTIVE, also where a replica had no news of it", async () => {
    const one = started();
    await one.append(0, 5);
    const { store, provider } = one;
    const other = started({ store: { ...store, watch: () => () => {} }, provider });
    await signingKey(other);
    await rotate(one);
    const { keyId } = await signingKey(one);
    expect((await rotate(other)).rotated).toMatchObject([{ retiredKeyId: keyId }]);
    expect(await store.logHandovers(tenant)).toMatchObject([{ index: 5 }, { index: 6, fromKeyId: keyId }]);
  });

  it("that another replica wins leaves nothing in the log", async () => {
    const one = started();
    await one.append(0, 5);
    const from = await signingKey(one);
    const other = started({ store: one.store, provider: one.provider });
    const results = await Promise.all([rotate(one), rotate(other)]);
    const [won, ...more] = results.flatMap(({ rotated }) => rotated);
    expect(more).toEqual([]);
    expect(results.flatMap(({ failed }) => failed)).toMatchObject([{ error: { code: "CONFLICT" } }]);
    const named = { fromKeyId: from.keyId, toKeyId: won!.keyId, index: 5, proof: expect.stringMatching(/^c2sp/) };
    expect(await one.store.logHandovers(tenant)).toMatchObject([named]);
    expect((await one.store.logHead(tenant))?.size).toBe(6);
  });

  it("names only keys that came into use, however often two replicas race on SQLite", async () => {
    const store = memoryStore(realTime);
    await expectChainAfterRace(started, { stores: [store, store], rounds: 100 });
  });

  it("goes on with the head as it is where another replica appended before", async () => {
    const one = started();
    await one.append(0, 5);
    const heads: number[] = [];
    const store: Store = {
      ...one.store,
      async activate(activation) {
        const { handover } = activation;
        if (typeof handover === "object") heads.push(handover.append.expect.size);
        if (heads.length < 3) await one.append(heads.length * 10, heads.length * 10 + 2);
        return one.store.activate(activation);
      },
    };
    const other = started({ store, provider: one.provider });
    const { keyId: fromKeyId } = await signingKey(other);
    expect((await rotate(other)).rotated).toMatchObject([{ retiredKeyId: fromKeyId }]);
    expect(heads).toEqual([5, 7, 9]);
    expect(await store.logHandovers(tenant)).toMatchObject([{ fromKeyId, index: 9 }]);
    expect((await other.append(100, 101)).place.firstIndex).toBe(10);
  });

  it("tries no second time where another key is ACTIVE, whatever became of the log", async () => {
    const one = started();
    await one.append(0, 5);
    let tries = 0;
    const store: Store = {
      ...one.store,
      async activate(activation) {
        tries += 1;
        await rotate(one);
        await one.append(10, 12);
        return one.store.activate(activation);
      },
    };
    const other = started({ store, provider: one.provider });
    expect((await rotate(other)).failed).toMatchObject([{ error: { code: "CONFLICT" } }]);
    expect(tries).toBe(1);
    expect(await store.logHandovers(tenant)).toMatchObject([{ index: 5 }]);
  });

  it("fails where the log is damaged, and leaves the key in use", async () => {
    const log = started();
    await log.append(0, 5);
    const { keyId } = await signingKey(log);
    const { store, provider } = log;
    const logHead: Store["logHead"] = async (...given) => ({
      ...(await store.logHead(...given))!,
      root: new Uint8Array(32),
    });
    const other = started({ store: { ...store, logHead }, provider });
    expect((await rotate(other)).failed).toMatchObject([{ keyId, error: { code: "DATA_LOSS" } }]);
    expect((await signingKey(other)).keyId).toBe(keyId);
    expect(await store.list(tenant, "signing")).toHaveLength(1);
  });
});

describe("a key that is not ACTIVE any more", () => {
  it("signs no handover when it is compromised; how far the log went is noted", async () => {
    const log = started();
    await log.append(0, 5);
    const { keyId } = await signingKey(log);
    await log.keyring.markCompromised({ tenantId: tenant, keyId, by });
    expect(await log.store.logHandovers(tenant)).toEqual([]);
    expect(await log.store.logCompromises(tenant)).toMatchObject([{ keyId, number: 1, size: 5 }]);
    const { place, keyId: next } = await log.append(5, 6);
    expect(next).not.toBe(keyId);
    expect(checkpointOf(place.checkpoint, (await signingKey(log)).key.publicKey)?.size).toBe(6);
  });

  it("signs none when it is disabled", async () => {
    const log = started();
    await log.append(0, 5);
    const { keyId } = await signingKey(log);
    await log.keyring.disable({ tenantId: tenant, keyId, by });
    await rotate(log);
    expect(await log.store.logHandovers(tenant)).toEqual([]);
    expect((await signingKey(log)).keyId).not.toBe(keyId);
  });

  it("loses the rotation in which it is disabled", async () => {
    const { store, provider, ...first } = started();
    await first.append(0, 5);
    let isDisabled = false;
    const log = started({
      provider,
      store: {
        ...store,
        async logHead(tenantId) {
          if (!isDisabled) await log.keyring.disable({ tenantId: tenant, keyId, by });
          isDisabled = true;
          return store.logHead(tenantId);
        },
      },
    });
    const { keyId } = await signingKey(log);
    const { rotated, failed } = await rotate(log);
    expect(rotated).toEqual([]);
    expect(failed).toMatchObject([{ error: { code: "CONFLICT", message: `key ${keyId} is not active any more` } }]);
    expect(await store.logHandovers(tenant)).toEqual([]);
  });
});
