/** GetPublicKeys of a tenant with a log, and the same as jwks.json gives it. */
import { createSecretKey, randomBytes } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, describe, expect, it } from "vitest";
import { KeyState } from "../../../gen/ts/fluo/kms/v1/key_pb.ts";
import {
  GetPublicKeysRequestSchema,
  type GetPublicKeysResponse,
  type PublicKey,
} from "../../../gen/ts/fluo/kms/v1/public_key_pb.ts";
import { readKeySet } from "../../../src/cli/verify/key-set.ts";
import { type PublicKeySet, publicKeyHandlers } from "../../../src/service/kms/public-key-set.ts";
import { parseHandover } from "../../../src/attestation/log-entry.ts";
import { parseTlogProof } from "../../../src/tlog/inclusion-proof.ts";
import { leafHash } from "../../../src/tlog/merkle.ts";
import { verifierKey } from "../../../src/tlog/verifier-key.ts";
import { memoryStore } from "../../../src/store/sqlite/memory.ts";
import { jwksText } from "../../../src/transport/http/admin-json.ts";
import { filledLog } from "../../support/filled-log.ts";
import { checkpointOf, replica, tenant } from "../../support/tenant-log-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { call } from "../../support/service-fixture.ts";
import { sqliteBackdoor, unlocked } from "../../support/store-fixture.ts";
import { leaveUnusedHandover } from "../../support/unused-handover.ts";
import { realTime } from "../../../src/runtime/time.ts";

const by = { actor: "ann", requestId: "" };
const open: ReturnType<typeof replica>[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

/** The service has another issuer than the one under which its logs were born. */
function setUp(store = memoryStore(realTime)) {
  const log = replica({ store });
  open.push(log);
  const handlers = publicKeyHandlers({ keyring: log.keyring, issuer: "moved.example.com" });
  const get = (request: MessageInitShape<typeof GetPublicKeysRequestSchema> = {}) =>
    handlers.getPublicKeys(create(GetPublicKeysRequestSchema, { tenantId: tenant, ...request }), call());
  return { ...log, get, set: () => handlers.publicKeySet({ tenantId: tenant }, call()) };
}

const jwksOf = (set: PublicKeySet) => [...jwksText(set)].join("");
const jwksJson = (set: PublicKeySet) => JSON.parse(jwksOf(set));

const vkeysOf = ({ raw }: PublicKey, ...origins: string[]) => origins.map((origin) => verifierKey(origin, raw));

describe("a log that has ended", () => {
  it("is published with its last head, on the first page, and not with keys that are named", async () => {
    const { keyring, store, get, set } = setUp();
    const { keyId } = await keyring.activeSigningKey(tenant);
    expect(jwksJson(await set())).not.toHaveProperty("ended_logs");
    const { root } = await filledLog(store, 0, { state: "restored" });
    await filledLog(store, 5, { number: 2, origin: "moved.example.com/acme/2" });
    const origin = "kms.example.com/acme";
    const ended = [{ log: 1, origin, size: 0n }];
    expect((await get()).endedLogs).toMatchObject(ended);
    expect((await get({ pageSize: 1 })).endedLogs).toMatchObject(ended);
    expect((await get({ keyIds: [keyId] })).endedLogs).toEqual([]);
    const jwks = jwksJson(await set());
    expect(jwks.ended_logs).toEqual([{ log: 1, origin, size: 0, root: Buffer.from(root).toString("base64") }]);
    expect(readKeySet(Buffer.from(JSON.stringify(jwks))).ended).toEqual([{ origin, size: 0, root: Buffer.from(root) }]);
  });
});

describe("a key's vkey", () => {
  it("is named by the issuer while there is no log, and then by the log, whoever the issuer is now", async () => {
    const { keyring, append, get } = setUp();
    await keyring.activeSigningKey(tenant);
    const [before] = (await get()).keys;
    expect(before!.vkeys).toEqual(vkeysOf(before!, "moved.example.com/acme"));
    expect(before!.vkey).toBe(before!.vkeys[0]);
    await append(0, 1);
    const [after] = (await get()).keys;
    expect(after!.vkeys).toEqual(vkeysOf(after!, "kms.example.com/acme"));
    expect(after!.vkey).toBe(after!.vkeys[0]);
  });

  it("is there for each log, oldest first, and the last log's stands alone", async () => {
    const { keyring, store, get } = setUp();
    await keyring.activeSigningKey(tenant);
    await filledLog(store, 0, { state: "restored" });
    await filledLog(store, 3, { number: 2, origin: "moved.example.com/acme/2" });
    const [key] = (await get()).keys;
    expect(key!.vkeys).toEqual(vkeysOf(key!, "kms.example.com/acme", "moved.example.com/acme/2"));
    expect(key!.vkey).toBe(key!.vkeys[1]);
  });
});

describe("a handover", () => {
  it("is given with its entry and its proof, which both keys signed; in JSON too", async () => {
    const { keyring, append, get, set } = setUp();
    await append(0, 5);
    await keyring.rotate({ tenantId: tenant, force: true });
    const [answer, jwks] = [await get(), jwksJson(await set())];
    const [from, to] = answer.keys;
    const [handover, ...more] = answer.handovers;
    expect(more).toEqual([]);
    const { entry, proof, ...about } = handover!;
    const origin = "kms.example.com/acme";
    const names = { fromKeyId: from!.keyId, toKeyId: to!.keyId };
    expect(about).toMatchObject({ log: 1, origin, ...names, leafIndex: 5n });
    expect(parseHandover(entry)).toMatchObject({ ...names, toVkey: to!.vkey });
    expect(checkpointOf(parseTlogProof(proof)!.checkpoint, from!.raw, to!.raw)).toMatchObject({ origin, size: 6 });
    const json = { log: 1, origin, from_key_id: from!.keyId, to_key_id: to!.keyId, leaf_index: 5, proof };
    expect(jwks.handovers).toEqual([{ ...json, entry: Buffer.from(entry).toString("base64") }]);
    expect(jwks.keys.map(({ vkeys }: PublicKey) => vkeys)).toEqual([[from!.vkey], [to!.vkey]]);
  });

  it("that was not used has no proof, and jwks.json lists it apart, so that an auditor can tell it", async () => {
    const door = sqliteBackdoor();
    const key = createSecretKey(randomBytes(32));
    const store = await unlocked(await door.open(), key);
    const { keyring, append, get, set } = setUp(store);
    await append(0, 5);
    expect(jwksJson(await set())).not.toHaveProperty("unused_handovers");
    const entry = await leaveUnusedHandover({ store, sql: door.sql, key }, tenant);
    await keyring.rotate({ tenantId: tenant, force: true });
    const { keys, handovers } = await get();
    const ids = keys.map(({ keyId }) => keyId);
    expect(handovers).toMatchObject([
      { fromKeyId: ids[0], leafIndex: 5n, proof: "" },
      { fromKeyId: ids[0], toKeyId: ids[1], leafIndex: 6n, proof: expect.stringMatching(/^c2sp/) },
    ]);
    const jwks = jwksJson(await set());
    expect(jwks.handovers).toMatchObject([{ from_key_id: ids[0], to_key_id: ids[1], leaf_index: 6 }]);
    const origin = "kms.example.com/acme";
    expect(jwks.unused_handovers).toEqual([{ origin, leaf_index: 5, entry: Buffer.from(entry).toString("base64") }]);
    const read = readKeySet(Buffer.from(JSON.stringify(jwks)));
    expect(read.unused).toMatchObject([{ origin, index: 5, leaf: leafHash(entry) }]);
    expect(read.handovers).toMatchObject([{ index: 6 }]);
    await store.close();
  });

  it("is not made by the mark on a compromised key: with that it is said how far the log went", async () => {
    const { keyring, append, store, get, set } = setUp();
    await append(0, 5);
    const { keyId } = await keyring.activeSigningKey(tenant);
    const { origin, root } = (await store.logHead(tenant))!;
    await keyring.markCompromised({ tenantId: tenant, keyId, by });
    await append(5, 9);
    const answer = await get();
    const [marked, next] = answer.keys;
    expect(answer.handovers).toEqual([]);
    expect(marked).toMatchObject({ keyId, state: KeyState.COMPROMISED });
    const { compromisedLog } = marked!;
    expect({ ...compromisedLog, root: Buffer.from(compromisedLog!.root) }).toMatchObject({ log: 1, origin, size: 5n });
    expect(Buffer.compare(compromisedLog!.root, root)).toBe(0);
    expect(next!.compromisedLog).toBeUndefined();
    const json = { log: 1, origin, size: 5, root: Buffer.from(root).toString("base64") };
    expect(jwksJson(await set()).keys.map((key: { compromised_log: unknown }) => key.compromised_log)).toEqual([
      json,
      null,
    ]);
  });
});

describe("the keys of a tenant with many versions", () => {
  type Request = MessageInitShape<typeof GetPublicKeysRequestSchema>;

  async function rotated(times: number) {
    const parts = setUp();
    await parts.append(0, 5);
    for (let i = 0; i < times; i += 1)
      await parts.keyring.rotate({ tenantId: tenant, purposes: ["signing"], force: true });
    return parts;
  }

  /** Each page, from the first to the last. */
  async function pagesOf(get: (request: Request) => Promise<GetPublicKeysResponse>, pageSize: number) {
    const pages: GetPublicKeysResponse[] = [];
    let pageToken = "";
    do {
      const page = await get({ pageSize, pageToken });
      pages.push(page);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return pages;
  }

  it.each([1, 3, 4, 8, 9, 1000])(
    "come whole in pages of %i: keys newest first, then handovers oldest first",
    async (size) => {
      const { get } = await rotated(8);
      const whole = await get();
      expect(whole).toMatchObject({ nextPageToken: "", totalKeys: 0, totalHandovers: 0 });
      const pages = await pagesOf(get, size);
      expect(pages.flatMap(({ keys }) => keys)).toEqual(whole.keys.toReversed());
      expect(pages.flatMap(({ handovers }) => handovers)).toEqual(whole.handovers);
      expect(pages.map(({ totalKeys, totalHandovers }) => [totalKeys, totalHandovers])).toEqual(
        pages.map(() => [9, 8]),
      );
      expect(pages).toHaveLength(Math.ceil(9 / size) + Math.ceil(8 / size));
      expect(pages.some(({ keys, handovers }) => keys.length > 0 && handovers.length > 0)).toBe(false);
    },
  );

  it("stay where they are in pages while more are made", async () => {
    const { get, keyring } = await rotated(4);
    const whole = await get();
    const first = await get({ pageSize: 2 });
    await keyring.rotate({ tenantId: tenant, purposes: ["signing"], force: true });
    const second = await get({ pageSize: 2, pageToken: first.nextPageToken });
    expect(second.keys.map(({ version }) => version)).toEqual([3, 2]);
    expect([...first.keys, ...second.keys].map(({ keyId }) => keyId)).toEqual(
      whole.keys
        .toReversed()
        .slice(0, 4)
        .map(({ keyId }) => keyId),
    );
    expect(second.totalKeys).toBe(6);
  });

  it("are one page where there are no more, and none for a tenant without keys", async () => {
    const { get, keyring } = setUp();
    expect(await get({ pageSize: 10 })).toMatchObject({ keys: [], nextPageToken: "", totalKeys: 0 });
    await keyring.activeSigningKey(tenant);
    expect(await get({ pageSize: 1 })).toMatchObject({ keys: [{ version: 1 }], nextPageToken: "", totalKeys: 1 });
  });

  it("are found by their ids, newest first; an id of no key is passed over", async () => {
    const { get } = await rotated(5);
    const { keys } = await get();
    const keyIds = [keys[1]!, keys[4]!, keys[2]!].map(({ keyId }) => keyId);
    const found = await get({ keyIds: [...keyIds, "0".repeat(32), keyIds[0]!] });
    expect(found).toMatchObject({ handovers: [], nextPageToken: "", totalKeys: 0 });
    expect(found.keys).toEqual([keys[4], keys[2], keys[1]]);
  });

  it.each<[string, Request, string]>([
    ["a page of 1,001", { pageSize: 1001 }, "page_size"],
    ["a token without a size", { pageToken: "W10" }, "page_size"],
    ["a token of something else", { pageSize: 5, pageToken: "W10" }, "page_token"],
    ["101 ids", { keyIds: Array(101).fill("0".repeat(32)) }, "key_ids"],
    ["ids in pages", { keyIds: ["0".repeat(32)], pageSize: 5 }, "key_ids"],
  ])("are refused with %s", async (_, request, field) => {
    const { get } = setUp();
    expect(await thrownBy(() => get(request))).toBeKmsError("INVALID_ARGUMENT", field);
  });

  it("are refused with a token of another tenant, or one that was altered", async () => {
    const { get } = await rotated(2);
    const { nextPageToken } = await get({ pageSize: 1 });
    const parts = JSON.parse(Buffer.from(nextPageToken, "base64url").toString());
    const token = (...altered: unknown[]) => Buffer.from(JSON.stringify(altered)).toString("base64url");
    for (const pageToken of [
      token(parts[0], "other", ...parts.slice(2)),
      token(...parts, 1),
      token(...parts.slice(0, 2), "keys", "3"),
      token(...parts.slice(0, 2), "handovers", 1),
      token(...parts.slice(0, 2), "tiles", 1, 2),
    ]) {
      expect(await thrownBy(() => get({ pageSize: 1, pageToken }))).toBeKmsError("INVALID_ARGUMENT", "page_token");
    }
  });

  it("are RESOURCE_EXHAUSTED all at once where they are thousands, but come in pages, and whole as a key set", async () => {
    const { get, set } = await rotated(2_200);
    const error = await thrownBy(() => get());
    expect(error).toBeKmsError("MESSAGE_TOO_LARGE", "page_size");
    const pages = await pagesOf(get, 1000);
    expect(pages.map(({ keys, handovers }) => [keys.length, handovers.length])).toEqual([
      [1000, 0],
      [1000, 0],
      [201, 0],
      [0, 1000],
      [0, 1000],
      [0, 200],
    ]);
    const text = jwksOf(await set());
    const { byId, handovers } = readKeySet(Buffer.from(text));
    expect([byId.size, handovers.length]).toEqual([2_201, 2_200]);
  });
});
