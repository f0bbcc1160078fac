import { spawnSync } from "node:child_process";
import { createSecretKey, randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { embeddedDatabase } from "../../../src/store/sqlite/embedded.ts";
import type { KeyRecord } from "../../../src/store/key-record.ts";
import { openSqlite } from "../../../src/store/sqlite/open.ts";
import { thrownBy } from "../../support/matchers.ts";
import { logStoreContract } from "../../support/log-store-contract.ts";
import { storeContract } from "../../support/store-contract.ts";
import { addKey, sqliteBackdoor, unlocked } from "../../support/store-fixture.ts";
import { realTime } from "../../../src/runtime/time.ts";

storeContract("sqlite", () => sqliteBackdoor().open());
logStoreContract("sqlite", () => sqliteBackdoor().open());

const destruction = { action: "destroy", actor: "ann", requestId: "", at: new Date() } as const;
const gone = { state: "DESTROYED", wrapped: new Uint8Array() } as const;
const destroyed = { ...gone, destroyWait: { sinceMs: 0, waitMs: 0 } };

/** Writes bytes into the unused middle of the first leaf page of a table that has room for them, as a rebuilt page may have them. */
function plantResidue(file: string, bytes: Uint8Array): void {
  const descriptor = openSync(file, "r+");
  try {
    const page = Buffer.alloc(pageBytes);
    for (let number = 1; readSync(descriptor, page, 0, pageBytes, number * pageBytes) === pageBytes; number += 1) {
      const unusedFrom = 8 + 2 * page.readUInt16BE(3);
      const unusedTo = page.readUInt16BE(5);
      if (page[0] !== leafTablePage || unusedTo - unusedFrom < bytes.length) continue;
      writeSync(descriptor, bytes, 0, bytes.length, number * pageBytes + unusedFrom);
      return;
    }
  } finally {
    closeSync(descriptor);
  }
  throw new Error("no page has room");
}

const pageBytes = 4096;
const leafTablePage = 0x0d;

describe("a SQLite store", () => {
  it("gives back after a restart what it was given, and goes on counting", async () => {
    const { open } = sqliteBackdoor();
    const key = createSecretKey(randomBytes(32));
    const before = await unlocked(await open(), key);
    const record = await addKey(before);
    await before.close();
    const locked = await open();
    expect(await locked.storeKey()).toMatchObject({ provider: "local", providerKeyId: "local:00" });
    const after = await locked.unlock(key);
    expect(await after.active("acme", "data")).toEqual(record);
    expect((await addKey(after)).version).toBe(2);
    const rows = await after.auditEvents({ limit: 9 });
    expect(rows.map(({ sequence }) => sequence)).toEqual([1, 1, 2]); // each process has a chain of its own
    expect((await after.verifyAudit(undefined, 9)).problems).toEqual([]);
    await after.close();
  });

  it("can be read by its owner alone, and is refused when others can", async () => {
    const { open, file } = sqliteBackdoor();
    const store = await unlocked(await open());
    await addKey(store);
    for (const name of [file, `${file}-wal`, `${file}-shm`]) expect(statSync(name).mode & 0o777).toBe(0o600);
    await store.close();
    chmodSync(file, 0o640);
    expect(await thrownBy(open)).toBeKmsError("STORE_UNAVAILABLE", `chmod 600 ${file}`);
  });

  it("waits for the disk at each commit", async () => {
    const { open, sql } = sqliteBackdoor();
    const locked = await open();
    expect(await sql("pragma journal_mode")).toEqual([{ journal_mode: "wal" }]);
    await locked.close();
  });

  it("says which file it cannot use", async () => {
    const { file, open } = sqliteBackdoor();
    writeFileSync(file, randomBytes(4096), { mode: 0o600 });
    const below = `${file}/kms.db`;
    const error = await thrownBy(() => openSqlite({ name: "sqlite", file: below }, realTime));
    expect(error).toBeKmsError("STORE_UNAVAILABLE", `${below} cannot be used (ENOTDIR)`);
    expect(await thrownBy(open)).toBeKmsError("DATA_LOSS", "damaged");
  });

  it("refuses a store that is for newer releases", async () => {
    const { open, sql } = sqliteBackdoor();
    await (await open()).close();
    await sql("update kms_schema set version = version + 1, min_reader = version + 1");
    expect(await thrownBy(open)).toBeKmsError("STORE_UNAVAILABLE", "use the newer release");
  });

  it("keeps its locks on the file while it looks for a destroyed key's bytes", async () => {
    const { open, file } = sqliteBackdoor();
    const store = await unlocked(await open());
    const record = await addKey(store, { wrapped: randomBytes(500) });
    await store.update(record, { ...record, ...destroyed }, destruction);
    // A process that is alone with the file removes its log, into which others still write.
    const program = `const { DatabaseSync } = require("node:sqlite");
      const db = new DatabaseSync(${JSON.stringify(file)});
      db.exec("pragma locking_mode = exclusive; begin exclusive");`;
    const other = spawnSync(process.execPath, ["--eval", program], { encoding: "utf8" });
    expect(other.stderr).toContain("database is locked");
    expect(other.status).toBe(1);
    await store.close();
  });

  it("leaves nothing of a destroyed key's bytes in its files, and keeps its public key", async () => {
    const { open, file } = sqliteBackdoor();
    const store = await unlocked(await open());
    const wrapped = randomBytes(500);
    const record = await addKey(store, { wrapped, purpose: "signing", publicKey: randomBytes(32) });
    const inFiles = () =>
      [file, `${file}-wal`].some((name) => existsSync(name) && readFileSync(name).includes(wrapped.subarray(0, 32)));
    expect(inFiles()).toBe(true);
    await store.update(record, { ...record, ...destroyed }, destruction);
    expect(inFiles()).toBe(false);
    const left = await store.get("acme", record.keyId);
    expect(left).toMatchObject({ state: "DESTROYED", publicKey: record.publicKey, wrapped: new Uint8Array() });
    await store.close();
  });

  it("leaves nothing of destroyed keys in pages whose rows were moved, either", async () => {
    const { open, file, sql } = sqliteBackdoor();
    const store = await unlocked(await open());
    const keys: KeyRecord[] = [];
    for (let index = 0; index < 60; index += 1) {
      keys.push(await addKey(store, { tenantId: `t${index % 7}-${index}`, wrapped: randomBytes(60) }));
    }
    // As if a page had been built anew and the old place of a row were in its unused middle.
    const doomed = keys.filter((_, index) => index % 3 === 0);
    const change = { ...destruction, action: "schedule_destruction" } as const;
    const scheduled = await Promise.all(
      doomed.map(async (key) => {
        const next = { ...key, state: "DESTROY_SCHEDULED", destroyAt: new Date() } as const;
        await store.update(key, next, change);
        return next;
      }),
    );
    plantResidue(file, scheduled[0]!.wrapped);
    await Promise.all(scheduled.map((key) => store.update(key, { ...key, ...destroyed }, destruction)));
    const bytes = readFileSync(file);
    for (const { wrapped } of scheduled) expect(bytes.includes(wrapped.subarray(12, 44))).toBe(false);
    expect(await sql("pragma user_version")).toEqual([{ user_version: 0 }]);
    expect(await sql("pragma integrity_check")).toEqual([{ integrity_check: "ok" }]);
    expect((await store.list(keys[1]!.tenantId, "data"))[0]).toEqual(keys[1]);
    await store.close();
  });

  it("erases when it is opened what a crash kept from being erased", async () => {
    const { open, file, sql } = sqliteBackdoor();
    const key = createSecretKey(randomBytes(32));
    const store = await unlocked(await open(), key);
    const residue = randomBytes(60);
    await addKey(store);
    await store.close();
    plantResidue(file, residue);
    await sql("pragma user_version = 1"); // a destruction was stored, and nothing else came of it
    const again = await (await open()).unlock(key);
    await expect.poll(() => readFileSync(file).includes(residue.subarray(12, 44))).toBe(false);
    await expect.poll(() => sql("pragma user_version")).toEqual([{ user_version: 0 }]);
    await again.close();
  });

  it("erases a destroyed key once a reader that held the old pages is gone", async () => {
    const { open, file } = sqliteBackdoor();
    const store = await unlocked(await open());
    const wrapped = randomBytes(500);
    const record = await addKey(store, { wrapped });
    const reader = new DatabaseSync(file, { readOnly: true });
    reader.exec("begin");
    reader.prepare("select count(*) from kms_keys").get();
    await store.update(record, { ...record, ...destroyed }, destruction);
    const inFiles = () => [file, `${file}-wal`].some((name) => readFileSync(name).includes(wrapped.subarray(0, 32)));
    expect(inFiles()).toBe(true);
    reader.exec("commit");
    reader.close();
    await expect.poll(inFiles).toBe(false);
    await store.close();
  });

  it("tells of what another process changed", async () => {
    const { open } = sqliteBackdoor();
    const key = createSecretKey(randomBytes(32));
    const theirs = await unlocked(await open(), key); // the first, as one that opens the file looks like a change
    const ours = await (await open()).unlock(key);
    const heard: unknown[] = [];
    const stop = ours.watch((change) => heard.push(change));
    await addKey(ours);
    await new Promise((resolve) => setTimeout(resolve, 1_100)); // two looks, or fewer where the machine is slow
    expect(heard).toEqual([]);
    await addKey(theirs);
    await expect.poll(() => new Set(heard)).toEqual(new Set(["any"]));
    stop();
    await Promise.all([ours.close(), theirs.close()]);
  });

  it("misses no change of another from when it was opened on, nor when its connection had to be given up", async () => {
    const { file } = sqliteBackdoor();
    const [ours, theirs] = [0, 1].map(() => embeddedDatabase({ time: realTime, file, soon: setImmediate }));
    await theirs!.write(({ query }) => query("create table notes (text text) strict"));
    const count = () => ours!.read(async (query) => (await query("select count(*) as count from notes"))[0]?.count);
    const change = () => theirs!.write(({ query }) => query("insert into notes values ('news')"));

    expect(await count()).toBe(0);
    await change();
    expect(await ours!.look()).toBe(true);
    await ours!.write(({ query }) => query("delete from notes"));
    expect(await ours!.look()).toBe(false);
    await change();
    expect(await ours!.look()).toBe(true);
    expect(await ours!.look()).toBe(false);
    expect(await count()).toBe(1);

    await change();
    await thrownBy(() => ours!.read((query) => query("select * from nowhere")));
    expect(await ours!.look()).toBe(true);
    expect(await ours!.look()).toBe(false);
    await Promise.all([ours!.close(), theirs!.close()]);
  });

  it("answers a call after it was closed", async () => {
    const store = await unlocked(await sqliteBackdoor().open());
    await store.close();
    await store.close();
    expect(await thrownBy(() => store.active("acme", "data"))).toBeKmsError("STORE_UNAVAILABLE", "ended");
  });

  it("counts the calls that wait for its thread, those of long reads too", async () => {
    const store = await unlocked(await sqliteBackdoor().open());
    expect(store.load?.()).toEqual({ waiting: 0 });
    const calls = Array.from({ length: 5 }, () => store.active("acme", "data"));
    expect(store.load?.()).toEqual({ waiting: 4 }); // the thread works on one
    const reads = Array.from({ length: 3 }, () => store.counts());
    expect(store.load?.()).toEqual({ waiting: 4 + 2 });
    await Promise.all([...calls, ...reads]);
    expect(store.load?.()).toEqual({ waiting: 0 });
    await store.close();
    expect(store.load?.()).toEqual({ waiting: 0 });
  });

  it("stores many changes at once, and one that is refused takes no other with it", async () => {
    const store = await unlocked(await sqliteBackdoor().open());
    const first = await addKey(store);
    const others = Array.from({ length: 100 }, (_, index) => addKey(store, { tenantId: `t${index}` }));
    const refused = thrownBy(() => store.insertPending(first));
    expect(new Set((await Promise.all(others)).map(({ state }) => state))).toEqual(new Set(["ACTIVE"]));
    expect(await refused).toBeKmsError("CONFLICT");
    expect((await store.counts()).byPurpose.data).toEqual({ ACTIVE: 101 });
    expect((await store.verifyAudit(undefined, 1_000)).problems).toEqual([]);
    await store.close();
  });
});
