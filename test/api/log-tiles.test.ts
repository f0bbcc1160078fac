/** Logs over HTTP as C2SP tlog-tiles, as a client reads them that knows nothing but the specification. */
import { createHash } from "node:crypto";
import { request as httpRequest } from "node:http";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkpointOf } from "../support/tenant-log-fixture.ts";
import { entryOf, filledLog } from "../support/filled-log.ts";
import { treeHash } from "../support/rfc6962.ts";
import { startLogs } from "../support/logs-fixture.ts";

const sizes = { one: 1, short: 255, full: 256, next: 257, some: 700, many: 66_000 };

let service: Awaited<ReturnType<typeof startLogs>>;
beforeAll(async () => {
  service = await startLogs();
  for (const [tenantId, size] of Object.entries(sizes)) {
    await service.keyring.activeSigningKey(tenantId);
    await filledLog(service.store, size, { tenantId });
  }
});
afterAll(() => service.stop());

const prefixOf = (tenantId: string) => `${service.url}/api/kms/tenants/${tenantId}/log`;

async function fetched(url: string): Promise<{ status: number; body: Buffer; headers: Headers }> {
  const response = await fetch(url);
  return { status: response.status, body: Buffer.from(await response.arrayBuffer()), headers: response.headers };
}

async function resource(url: string): Promise<Buffer> {
  const { status, body } = await fetched(url);
  expect([url, status]).toEqual([url, 200]);
  return body;
}

/** `x001/x234/067` */
function tileIndex(n: number): string {
  const groups = n.toString().padStart(9, "0").match(/.{3}/g)!;
  while (groups.length > 1 && groups[0] === "000") groups.shift();
  return groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join("/");
}

/** All tiles of a level, in a tree of `size`, one behind the other: those that the specification says there are. */
async function levelOf(prefix: string, level: number | "entries", size: number): Promise<Buffer> {
  const width = Math.floor(size / 256 ** (level === "entries" ? 0 : level));
  const paths = Array.from({ length: Math.floor(width / 256) }, (_, n) => tileIndex(n));
  if (width % 256 > 0) paths.push(`${tileIndex(paths.length)}.p/${width % 256}`);
  const tiles: Buffer[] = [];
  // A few at once, as a client would that keeps its connections.
  for (let at = 0; at < paths.length; at += 16) {
    const some = paths.slice(at, at + 16).map((path) => resource(`${prefix}/tile/${level}/${path}`));
    tiles.push(...(await Promise.all(some)));
  }
  return Buffer.concat(tiles);
}

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest();
const hashesIn = (level: Buffer) =>
  Array.from({ length: level.length / 32 }, (_, i) => level.subarray(32 * i, 32 * i + 32));

function entriesIn(bundles: Buffer): Buffer[] {
  const entries: Buffer[] = [];
  for (let at = 0; at < bundles.length; ) {
    const end = at + 2 + bundles.readUInt16BE(at);
    entries.push(bundles.subarray(at + 2, end));
    at = end;
  }
  return entries;
}

describe("a client that knows the prefix alone", () => {
  it.each(Object.entries(sizes))(
    "builds the whole tree of log %s from its tiles: %i entries",
    async (tenantId, size) => {
      const prefix = prefixOf(tenantId);
      const note = (await resource(`${prefix}/checkpoint`)).toString();
      const { publicKey } = (await service.keyring.publicKeys.all(tenantId)).keys[0]!;
      const checkpoint = checkpointOf(note, publicKey)!;
      expect(checkpoint).toMatchObject({ origin: `kms.example.com/${tenantId}`, size });
      const leaves = hashesIn(await levelOf(prefix, 0, size));
      expect(Buffer.compare(treeHash(leaves), checkpoint.root)).toBe(0);
      const entries = entriesIn(await levelOf(prefix, "entries", size));
      expect(entries.map((entry) => sha256(Buffer.concat([Buffer.of(0), entry])))).toEqual(leaves);
      expect(entries.at(-1)).toEqual(Buffer.from(entryOf(size - 1)));
      let below = leaves;
      for (const level of [1, 2]) {
        const hashes = hashesIn(await levelOf(prefix, level, size));
        const full = Array.from({ length: Math.floor(below.length / 256) }, (_, n) =>
          below.slice(256 * n, 256 * n + 256),
        );
        expect(hashes).toEqual(full.map(treeHash));
        below = hashes;
      }
    },
  );

  it("finds each partial tile and bundle up to what there is, as the first part of it", async () => {
    const prefix = prefixOf("some");
    const [tile, bundle] = [await resource(`${prefix}/tile/0/000`), await resource(`${prefix}/tile/entries/000`)];
    const last = await resource(`${prefix}/tile/0/002.p/188`);
    expect([tile.length, last.length]).toEqual([8192, 188 * 32]);
    for (let width = 1; width < 256; width += 1) {
      expect(await resource(`${prefix}/tile/0/000.p/${width}`)).toEqual(tile.subarray(0, 32 * width));
      const partial = await resource(`${prefix}/tile/entries/000.p/${width}`);
      expect(entriesIn(partial)).toHaveLength(width);
      expect(partial).toEqual(bundle.subarray(0, partial.length));
      const { status, body } = await fetched(`${prefix}/tile/0/002.p/${width}`);
      expect(status).toBe(width <= 188 ? 200 : 404);
      if (width <= 188) expect(body).toEqual(last.subarray(0, 32 * width));
    }
  });

  it("finds the log by its number too, and keeps an older one's tiles apart", async () => {
    await service.keyring.activeSigningKey("restored");
    await filledLog(service.store, 0, { tenantId: "restored", state: "restored" });
    await filledLog(service.store, 3, { tenantId: "restored", number: 2, origin: "kms.example.com/restored/2" });
    const prefix = prefixOf("restored");
    const second = await resource(`${prefix}/2/checkpoint`);
    expect(second.toString()).toMatch(/^kms\.example\.com\/restored\/2\n3\n/);
    expect(await resource(`${prefix}/checkpoint`)).toEqual(second);
    expect((await resource(`${prefix}/1/checkpoint`)).toString()).toMatch(/^kms\.example\.com\/restored\n0\n/);
    expect(await resource(`${prefix}/2/tile/0/000.p/3`)).toEqual(await resource(`${prefix}/tile/0/000.p/3`));
    expect((await fetched(`${prefix}/1/tile/0/000.p/3`)).status).toBe(404);
  });
});

/** fetch keeps some headers to itself, and unpacks what it gets. */
function ask(path: string, headers: Record<string, string>) {
  return new Promise<{ status: number; encoding: string; vary: string; body: Buffer }>((resolve, reject) => {
    const asked = httpRequest(`${prefixOf("some")}/${path}`, { headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => {
        const { "content-encoding": encoding = "none", vary = "" } = response.headers;
        resolve({ status: response.statusCode!, encoding, vary, body: Buffer.concat(chunks) });
      });
    });
    asked.on("error", reject).end();
  });
}

describe("what is sent", () => {
  it("says how it may be kept: a checkpoint not at all, tiles for ever, but by the caller alone", async () => {
    const prefix = prefixOf("some");
    const { headers } = await fetched(`${prefix}/checkpoint`);
    expect([headers.get("content-type"), headers.get("cache-control")]).toEqual([
      "text/plain; charset=utf-8",
      "no-store",
    ]);
    for (const path of ["tile/0/000", "tile/0/002.p/7", "tile/entries/000", "tile/1/000.p/2"]) {
      const tile = await fetched(`${prefix}/${path}`);
      expect([tile.headers.get("content-type"), tile.headers.get("cache-control")]).toEqual([
        "application/octet-stream",
        "private, max-age=31536000, immutable",
      ]);
    }
  });

  it("is compressed where it is entries, and whoever asks accepts it", async () => {
    const plain = await ask("tile/entries/000", {});
    expect(plain).toMatchObject({ encoding: "none", vary: "authorization, accept-encoding" });
    for (const accepted of ["gzip", "deflate, GZIP;q=0.5, br"]) {
      const packed = await ask("tile/entries/000", { "accept-encoding": accepted });
      expect(packed).toMatchObject({ encoding: "gzip", vary: "authorization, accept-encoding" });
      expect(packed.body.length).toBeLessThan(plain.body.length / 2);
      expect(gunzipSync(packed.body)).toEqual(plain.body);
    }
    for (const refused of ["identity", "gzip;q=0", "br, gzip; q=0.0"]) {
      expect((await ask("tile/entries/000", { "accept-encoding": refused })).encoding).toBe("none");
    }
    expect(await ask("tile/0/000", { "accept-encoding": "gzip" })).toMatchObject({
      encoding: "none",
      vary: "authorization",
    });
  });

  it("is nothing to pages of other sites", async () => {
    for (const path of ["checkpoint", "tile/0/000", "tile/entries/000"]) {
      expect((await ask(path, { origin: "https://elsewhere.example.com" })).status).toBe(403);
      expect((await ask(path, { host: "elsewhere.example.com" })).status).toBe(403);
    }
  });

  it("counts as the rpc GetCheckpoint where it is a checkpoint", async () => {
    await fetched(`${prefixOf("one")}/checkpoint`);
    const lines = (await service.metrics()).split("\n");
    expect(lines).toContainEqual(
      expect.stringMatching(/^rpc_server_call_duration_seconds_count\{rpc_method="GetCheckpoint",.*"OK"\} [1-9]/),
    );
  });
});

describe("there is no such resource", () => {
  it.each([
    "tile/0/003",
    "tile/0/002",
    "tile/0/002.p/189",
    "tile/0/002.p/255",
    "tile/0/x001/000",
    "tile/1/000",
    "tile/1/000.p/3",
    "tile/2/000.p/1",
    "tile/63/000",
    "tile/63/000.p/1",
    "tile/entries/002",
    "tile/entries/003.p/1",
  ])("behind the end of the log: %s", async (path) => {
    expect((await fetched(`${prefixOf("some")}/${path}`)).status).toBe(404);
  });

  it.each([
    "",
    "checkpoint/",
    "tile",
    "tile/",
    "tile/0",
    "tile/0/",
    "tile/0/0",
    "tile/0/0000",
    "tile/00/000",
    "tile/64/000",
    "tile/-1/000",
    "tile/0/x000/000",
    "tile/0/000/",
    "tile/0/000.p",
    "tile/0/000.p/",
    "tile/0/000.p/0",
    "tile/0/000.p/01",
    "tile/0/000.p/256",
    "tile/0/000.p/1/2",
    "tile/0/x999/x999/x999/x999/x999/999",
    "tile/0/x999/x999/x999/x999/x999/x999/999",
    "tile/entries",
    "tile/Entries/000",
    "tile/data/000",
    "0/checkpoint",
    "01/checkpoint",
    "2/checkpoint",
    "999999999/checkpoint",
    "9999999999/checkpoint",
    "1/1/checkpoint",
  ])("in any other spelling, nor of a log that the tenant does not have: %s", async (path) => {
    expect((await fetched(`${prefixOf("some")}/${path}`)).status).toBe(404);
  });

  it("of a tenant without a log; and what is no tenant is refused", async () => {
    await service.keyring.activeSigningKey("logless");
    for (const path of ["checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1"]) {
      for (const tenantId of ["logless", "nobody"]) {
        expect((await fetched(`${prefixOf(tenantId)}/${path}`)).status).toBe(404);
      }
      for (const tenantId of ["ACME", "a%2Fb"])
        expect((await fetched(`${prefixOf(tenantId)}/${path}`)).status).toBe(400);
    }
    expect((await fetch(`${prefixOf("some")}/checkpoint`, { method: "POST" })).status).toBe(405);
  });
});

describe("a log that is damaged", () => {
  it("gives no tile that is shorter than its size tells, and says that it is lost", async () => {
    const damaged = await startLogs((store) => ({
      logHashes: async (...given) => (await store.logHashes(...given)).subarray(0, -1),
      logEntries: async (...given) => (await store.logEntries(...given)).subarray(0, -1),
    }));
    try {
      await damaged.keyring.activeSigningKey("acme");
      await filledLog(damaged.store, 3, { tenantId: "acme" });
      for (const tile of ["tile/0/000.p/3", "tile/entries/000.p/3"]) {
        const response = await fetch(`${damaged.url}/api/kms/tenants/acme/log/${tile}`);
        expect([response.status, await response.json()]).toMatchObject([500, { code: "DATA_LOSS" }]);
      }
      expect(await damaged.metrics()).toContain('kms_errors_total{operation="unknown",code="DATA_LOSS"} 2');
    } finally {
      await damaged.stop();
    }
  });
});
