/** What is read of a log, against the definitions of RFC 6962; and that nothing is believed that does not lead to the log's root. */
import { createPublicKey, verify } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Keyring } from "../../src/keys/keyring.ts";
import { logReader } from "../../src/tenant-log/reader.ts";
import type { LogStore } from "../../src/store/log-store.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import { setUp as setUpKeys } from "../support/keys-fixture.ts";
import { thrownBy } from "../support/matchers.ts";
import { path, proof, treeHash } from "../support/rfc6962.ts";
import { entryOf, filledLog, grownLog, leavesUpTo } from "../support/filled-log.ts";
import { realTime } from "../../src/runtime/time.ts";

const tenantId = "acme";
const sizes = [1, 255, 256, 257, 66_000];

async function setUp(size: number) {
  const { store, keyring } = setUpKeys();
  await keyring.activeSigningKey(tenantId);
  const head = await filledLog(store, size, { tenantId });
  return { store, keyring, head, logs: logReader({ store, keys: keyring }) };
}

/** All of a small log; of a large one the ends of tiles and of the log. */
function indicesOf(size: number): number[] {
  const all = Array.from({ length: size }, (_, index) => index);
  return size < 1_000 ? all : [0, 255, 256, 32_767, 65_535, 65_536, size - 1];
}

describe.each(sizes)("a log of %i entries", (size) => {
  it("proves each entry, in the present tree and in earlier ones, as RFC 6962 defines it", async () => {
    const { logs } = await setUp(size);
    const log = await logs.open(tenantId);
    const trees = [...new Set([size, Math.ceil(size / 2), Math.max(1, size - 1)])];
    for (const treeSize of trees) {
      const leaves = leavesUpTo(treeSize);
      const root = treeHash(leaves);
      for (const index of indicesOf(size).filter((each) => each < treeSize)) {
        const found = await log.inclusion(index, treeSize);
        expect(found).toMatchObject({ tree: { size: treeSize }, entry: entryOf(index) });
        expect(Buffer.from(found.tree.root).equals(root)).toBe(true);
        expect(Buffer.from(found.path).equals(Buffer.concat(path(index, leaves)))).toBe(true);
      }
    }
  });

  it("proves that it goes on from each earlier tree, as RFC 6962 defines it", async () => {
    const { logs } = await setUp(size);
    const log = await logs.open(tenantId);
    const leaves = leavesUpTo(size);
    for (const from of indicesOf(size).map((index) => index + 1)) {
      const found = await log.consistency(from, size);
      expect(found).toMatchObject({ from: { size: from }, to: { size } });
      expect(Buffer.from(found.from.root).equals(treeHash(leaves.slice(0, from)))).toBe(true);
      expect(Buffer.from(found.to.root).equals(treeHash(leaves))).toBe(true);
      expect(Buffer.from(found.path).equals(Buffer.concat(proof(from, leaves)))).toBe(true);
    }
  });

  it("is read at the head that it had when it was opened", async () => {
    const { logs, store, head } = await setUp(size);
    const log = await logs.open(tenantId);
    await grownLog(store, head, size + 300);
    expect(log.head.size).toBe(size);
    expect(await log.inclusion(size - 1, size)).toMatchObject({ tree: { root: head.root }, entry: entryOf(size - 1) });
    expect(await thrownBy(() => log.tile({ level: 0, tile: Math.floor(size / 256), width: 256 }))).toBeKmsError(
      "NOT_FOUND",
    );
  });
});

describe("what was altered in the store", () => {
  const flipped = async (bytes: Promise<Uint8Array>, at: number) => {
    const copy = new Uint8Array(await bytes);
    if (at < copy.length) copy[at]! ^= 1;
    return copy;
  };

  async function readFrom(altered: (store: LogStore) => Partial<LogStore>) {
    const { store, keyring } = await setUp(600);
    return logReader({ store: { ...store, ...altered(store) }, keys: keyring }).open(tenantId);
  }

  it("is DATA_LOSS in every proof that it is part of: a leaf, a node, an entry", async () => {
    const leaf = await readFrom((store) => ({
      logHashes: (log, level, tile) => flipped(store.logHashes(log, level, tile), level === 0 && tile === 1 ? 40 : 1e9),
    }));
    expect(await thrownBy(() => leaf.inclusion(256, 600))).toBeKmsError("DATA_LOSS", "does not prove its entry 256");
    expect(await thrownBy(() => leaf.inclusion(0, 300))).toBeKmsError("DATA_LOSS", "tree of 300 entries");
    expect(await thrownBy(() => leaf.consistency(300, 600))).toBeKmsError("DATA_LOSS");
    expect(await leaf.inclusion(0, 600)).toMatchObject({ entry: entryOf(0) }); // it needs a node above, which is as it was

    const node = await readFrom((store) => ({
      logHashes: (log, level, tile) => flipped(store.logHashes(log, level, tile), level === 1 ? 40 : 1e9),
    }));
    expect(await thrownBy(() => node.inclusion(0, 600))).toBeKmsError("DATA_LOSS");
    expect(await thrownBy(() => node.consistency(256, 600))).toBeKmsError("DATA_LOSS");

    const text = await readFrom((store) => ({ logEntries: (...given) => flipped(store.logEntries(...given), 5) }));
    expect(await thrownBy(() => text.inclusion(512, 600))).toBeKmsError("DATA_LOSS", "does not prove its entry 512");
    expect(await text.inclusion(513, 600)).toMatchObject({ entry: entryOf(513) });
  });

  it("is DATA_LOSS where it is gone: hashes, entries, or the end of an entry", async () => {
    const cut = async (bytes: Promise<Uint8Array>) => (await bytes).subarray(0, -1);
    const none = async () => new Uint8Array();
    for (const altered of [
      () => ({ logHashes: none }),
      () => ({ logEntries: none }),
      (store: LogStore) => ({ logHashes: (...given) => cut(store.logHashes(...given)) }) satisfies Partial<LogStore>,
      (store: LogStore) => ({ logEntries: (...given) => cut(store.logEntries(...given)) }) satisfies Partial<LogStore>,
    ]) {
      const log = await readFrom(altered);
      expect(await thrownBy(() => log.inclusion(599, 600))).toBeKmsError("DATA_LOSS");
      const width = 600 - 512;
      const tiles = [
        { level: 0, tile: 2, width },
        { level: "entries", tile: 2, width },
      ] as const;
      const outcomes = await Promise.allSettled(tiles.map((tile) => log.tile(tile)));
      const refused = outcomes.filter(({ status }) => status === "rejected");
      expect(refused).toHaveLength(1);
      expect(refused[0]).toMatchObject({ reason: { code: "DATA_LOSS" } });
    }
  });

  it("is DATA_LOSS where a head's frontier does not lead to its root", async () => {
    const { store, keyring } = await setUp(3);
    const logHead: LogStore["logHead"] = async (...given) => {
      const head = await store.logHead(...given);
      return head && { ...head, frontier: new Uint8Array(head.frontier.length) };
    };
    const logs = logReader({ store: { ...store, logHead }, keys: keyring });
    expect(await thrownBy(() => logs.open(tenantId))).toBeKmsError("DATA_LOSS", "does not lead to");
  });
});

describe("a checkpoint", () => {
  /** Checked without the code under test: the origin, the size, the root, and a signature over these lines. */
  async function expectSigned(note: string, text: string, keyring: Keyring) {
    expect(note.startsWith(`${text}\n— kms.example.com/acme `)).toBe(true);
    const line = /^— \S+ (\S+)\n$/.exec(note.slice(text.length + 1));
    const signature = Buffer.from(line![1]!, "base64").subarray(4);
    const { publicKey } = (await keyring.publicKeys.all(tenantId)).keys.at(-1)!;
    const x = Buffer.from(publicKey).toString("base64url");
    const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
    expect(verify(null, Buffer.from(text), key, signature)).toBe(true);
  }

  it("is the stored head, signed by the ACTIVE key, always in the same bytes", async () => {
    const { logs, keyring, head } = await setUp(257);
    const text = `kms.example.com/acme\n257\n${Buffer.from(head.root).toString("base64")}\n`;
    const note = await (await logs.open(tenantId)).checkpoint();
    await expectSigned(note, text, keyring);
    expect(await (await logs.open(tenantId)).checkpoint()).toBe(note);
    await keyring.rotate({ tenantId, force: true });
    const rotated = await (await logs.open(tenantId)).checkpoint();
    await expectSigned(rotated, text, keyring);
    expect(rotated).not.toBe(note);
  });

  it("is there of an empty log too: the hash of nothing", async () => {
    const { logs, keyring } = await setUp(0);
    const text = "kms.example.com/acme\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    await expectSigned(await (await logs.open(tenantId)).checkpoint(), text, keyring);
  });

  it("is refused where no key is ACTIVE, and makes none", async () => {
    const { logs, keyring } = await setUp(1);
    const { keyId } = await keyring.activeSigningKey(tenantId);
    await keyring.disable({ tenantId, keyId, by: { actor: "ann", requestId: "" } });
    const log = await logs.open(tenantId);
    expect(await thrownBy(() => log.checkpoint())).toBeKmsError("KEY_UNUSABLE");
    expect((await keyring.publicKeys.all(tenantId)).keys).toMatchObject([{ state: "DISABLED" }]);
    expect(await log.inclusion(0, 1)).toMatchObject({ entry: entryOf(0) }); // no key is needed for that
  });

  it("is refused where the tenant has a log and no key, and makes none", async () => {
    const { store, keyring } = setUpKeys({ store: memoryStore(realTime) });
    await filledLog(store, 1, { tenantId });
    const log = await logReader({ store, keys: keyring }).open(tenantId);
    expect(await thrownBy(() => log.checkpoint())).toBeKmsError("KEY_UNUSABLE");
    expect(await store.list(tenantId, "signing")).toEqual([]);
  });
});

describe("a tenant's logs", () => {
  it("are found by their number, the last one without, and no other tenant's", async () => {
    const { logs, store, head } = await setUp(5);
    await filledLog(store, 7, { tenantId: "other" });
    expect((await logs.open(tenantId)).head).toEqual(await store.logHead(tenantId));
    expect((await logs.open(tenantId, 1)).head.root).toEqual(head.root);
    expect(await thrownBy(() => logs.open(tenantId, 2))).toBeKmsError("NOT_FOUND", "no log 2");
    expect(await thrownBy(() => logs.open("nobody"))).toBeKmsError("NOT_FOUND", "no log");
  });
});

describe("what a log held when a key was marked as compromised", () => {
  it("is told by its leaves, though the log went on", async () => {
    const { logs, store, head } = await setUp(300);
    const compromise = { ...head, keyId: "00".repeat(16) };
    await grownLog(store, head, 700);
    const leaves = leavesUpTo(300);
    for (const index of [0, 255, 256, 299]) {
      expect(Buffer.from(await logs.leaf(compromise, index)).equals(leaves[index]!)).toBe(true);
    }
  });

  it("is DATA_LOSS where what is stored does not lead to what was recorded", async () => {
    const { logs, head } = await setUp(300);
    const compromise = { ...head, keyId: "00".repeat(16), root: new Uint8Array(32) };
    expect(await thrownBy(() => logs.leaf(compromise, 7))).toBeKmsError("DATA_LOSS", "its entry 7");
  });
});
