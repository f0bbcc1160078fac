/** The thread that reads a SQLite file beside the one that writes it: neither is in the other's way, whatever becomes of the file. */
import { createSecretKey, randomBytes } from "node:crypto";
import { copyFileSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, it, onTestFinished, vi } from "vitest";
import { embeddedDatabase } from "../../../src/store/sqlite/embedded.ts";
import { readingOf, reopensFirst } from "../../../src/store/sqlite/reading.ts";
import type { Store } from "../../../src/store/store.ts";
import { directory } from "../../support/config-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { addKey, sqliteBackdoor, unlocked } from "../../support/store-fixture.ts";
import { realTime } from "../../../src/runtime/time.ts";

const key = createSecretKey(randomBytes(32));
const rows = 2_000;

async function filled() {
  const door = sqliteBackdoor();
  const store = await unlocked(await door.open(), key);
  onTestFinished(() => store.close());
  await append(store, rows);
  return { ...door, store };
}

function append(store: Store, count: number): Promise<void> {
  const event = { actor: "ann", action: "sign_span", tenantId: "acme", purpose: "signing", keyId: "" } as const;
  const more = { at: new Date(), outcome: "OK", requestId: "", count: 1 };
  return store.appendAudit(Array.from({ length: count }, () => ({ ...event, ...more })));
}

/**
 * Reads one page after the other without a pause, until it is told to stop: then gives what it met. A read that meets one opening of the file
 * after the other is told to try again.
 */
function pagingWithoutPause(store: Store, readers = 4) {
  let isOver = false;
  const problems: unknown[] = [];
  let pages = 0;
  async function read(): Promise<void> {
    while (!isOver) {
      const page = await store.verifyAudit(undefined, 1_000).catch((error) => ({ problems: [error] }));
      problems.push(...page.problems.filter((problem) => !/opened anew: try again/.test(problem.message)));
      pages += 1;
    }
  }
  const reading = Promise.all(Array.from({ length: readers }, read));
  onTestFinished(() => {
    isOver = true; // of a test that failed, too: reads that are refused at once would leave nothing else a turn
  });
  return {
    pages: () => pages,
    async stop() {
      isOver = true;
      await reading;
      return problems;
    },
  };
}

it("sees every write that was answered, its own process's and another's", async () => {
  const { open, store } = await filled();
  expect(await store.auditEvents({ limit: 9_999 })).toHaveLength(rows);
  const other = await (await open()).unlock(key);
  for (let n = 1; n <= 20; n += 1) {
    await append(n % 2 === 0 ? other : store, 1);
    expect(await store.auditEvents({ limit: 9_999 })).toHaveLength(rows + n);
  }
  const record = await addKey(store);
  expect(await store.list("acme", "data")).toEqual([record]);
  expect(await store.listKeys({ limit: 9 })).toEqual([record]);
  await other.close();
});

it("is answered while the thread that writes waits for another process", async () => {
  const { file, store } = await filled();
  await store.counts();
  const other = new DatabaseSync(file);
  other.exec("begin immediate");
  let isWritten = false;
  const written = () => {
    isWritten = true;
  };
  const writing = append(store, 1).then(written, () => {}); // on a slow machine it waits no longer
  for (let n = 0; n < 10; n += 1) expect((await store.verifyAudit(undefined, 500)).problems).toEqual([]);
  expect(isWritten).toBe(false);
  other.exec("rollback");
  other.close();
  await writing;
});

it("lets writes go on after an error for which the file is opened anew, and goes on itself", async () => {
  const { sql, store } = await filled();
  const paging = pagingWithoutPause(store);
  await expect.poll(paging.pages).toBeGreaterThan(2);
  await sql("alter table kms_requests rename to kms_elsewhere");
  for (let n = 0; n < 10; n += 1) {
    expect(await thrownBy(() => store.request("acme", "1"))).toBeKmsError("DATA_LOSS");
    await append(store, 10); // the connection that failed was given up, and is made anew for this
  }
  const pages = paging.pages();
  await expect.poll(paging.pages).toBeGreaterThan(pages + 2);
  expect(await paging.stop()).toEqual([]);
  await sql("alter table kms_elsewhere rename to kms_requests");
  expect(await store.auditEvents({ limit: 9_999 })).toHaveLength(rows + 100);
});

it("keeps no destroyed key from being erased, though it reads without a pause", async () => {
  const { file, store } = await filled();
  const wrapped = randomBytes(500);
  const record = await addKey(store, { wrapped });
  const paging = pagingWithoutPause(store);
  await expect.poll(paging.pages).toBeGreaterThan(2);
  const by = { action: "destroy", actor: "ann", requestId: "", at: new Date() } as const;
  const destroyWait = { sinceMs: 0, waitMs: 0 };
  await store.update(record, { ...record, state: "DESTROYED", wrapped: new Uint8Array(), destroyWait }, by);
  const inFiles = () => [file, `${file}-wal`].some((name) => readFileSync(name).includes(wrapped.subarray(0, 32)));
  await expect.poll(inFiles).toBe(false);
  expect(await paging.stop()).toEqual([]);
});

/** A writer, and a reader of the same process that holds a moment of the file until it is told to close it. */
async function besideReader() {
  const file = join(directory(), "kms.db");
  let reader: DatabaseSync | undefined;
  const shut = vi.fn(() => {
    reader?.close();
    reader = undefined;
  });
  const gate = { admit: vi.fn(), shut, isEmpty: () => reader === undefined };
  const db = embeddedDatabase({
    time: realTime,
    file,
    soon: setImmediate,
    schema: ["create table if not exists t (secret blob)"],
    gate,
  });
  onTestFinished(() => db.close());
  const secret = randomBytes(500);
  const inFiles = () => [file, `${file}-wal`].some((name) => readFileSync(name).includes(secret.subarray(0, 32)));
  await db.write(({ query }) => query("insert into t values (?1)", secret));
  reader = new DatabaseSync(file, { readOnly: true });
  reader.exec("begin");
  reader.prepare("select * from t").all();
  await db.write(async (tx) => {
    await tx.erases();
    await tx.query("delete from t");
  });
  return { file, db, gate, secret, inFiles };
}

it("is ended where it keeps a destroyed key from being erased, and admitted behind that", async () => {
  const { db, gate, secret, inFiles } = await besideReader();
  expect(inFiles()).toBe(true);
  gate.admit.mockClear();
  await db.scrub(secret);
  expect(inFiles()).toBe(false);
  expect(gate.shut).toHaveBeenCalledOnce();
  expect(gate.admit).toHaveBeenCalled();
});

it("is ended, and not taken for another process, where a log that lost its name is emptied", async () => {
  const { file, db, gate } = await besideReader();
  for (const end of ["-wal", "-shm"]) renameSync(file + end, `${file}.gone${end}`);
  await db.write(({ query }) => query("insert into t values (?1)", randomBytes(9)));
  expect(gate.shut).toHaveBeenCalled();
  expect(await db.read((query) => query("select count(*) as count from t"))).toEqual([{ count: 1 }]);
});

it("is left in peace for a while where it is another process that keeps a destroyed key from being erased", async () => {
  const { file, db, gate, secret, inFiles } = await besideReader();
  const backup = new DatabaseSync(file, { readOnly: true });
  backup.exec("begin");
  backup.prepare("select * from t").all();
  await db.scrub(secret);
  for (let n = 0; n < 2; n += 1) await db.look();
  expect(gate.shut).toHaveBeenCalledOnce();
  expect(inFiles()).toBe(true);
  backup.close();
  await db.look();
  expect(inFiles()).toBe(false);
  expect(gate.shut).toHaveBeenCalledOnce();
});

it("leaves a log that lost its name together with the thread that writes, and nothing is lost", async () => {
  const { file, open, store } = await filled();
  const paging = pagingWithoutPause(store);
  await expect.poll(paging.pages).toBeGreaterThan(2);
  await append(store, 10);
  for (const end of ["-wal", "-shm"]) renameSync(file + end, `${file}.gone${end}`);
  await append(store, 10);
  expect(await store.auditEvents({ limit: 9_999 })).toHaveLength(rows + 20);
  const pages = paging.pages();
  await expect.poll(paging.pages).toBeGreaterThan(pages + 2);
  expect(await paging.stop()).toEqual([]);
  expect(statSync(`${file}-wal`).isFile()).toBe(true);
  await append(store, 1);
  await store.close();
  const again = await (await open()).unlock(key);
  expect(await again.auditEvents({ limit: 9_999 })).toHaveLength(rows + 21);
  expect((await again.verifyAudit(undefined, 9_999)).problems).toEqual([]);
  await again.close();
});

it("reads no other file that is put in the place of the store", async () => {
  const { file, store } = await filled();
  await store.counts();
  copyFileSync(file, `${file}.other`);
  rmSync(file);
  renameSync(`${file}.other`, file);
  expect(await thrownBy(() => store.auditEvents({ limit: 9 }))).toBeKmsError(
    "STORE_UNAVAILABLE",
    "removed or replaced",
  );
  expect(await thrownBy(() => store.counts())).toBeKmsError("STORE_UNAVAILABLE", "removed or replaced");
});

it("is named, as another process that reads on, where the log cannot be emptied after an error, and writes go on when it has ended", async () => {
  const { file, sql, store } = await filled();
  const backup = new DatabaseSync(file, { readOnly: true });
  backup.exec("begin");
  backup.prepare("select count(*) from kms_audit").get();
  await append(store, 1); // goes on beside it
  await sql("alter table kms_requests rename to kms_elsewhere");
  expect(await thrownBy(() => store.request("acme", "1"))).toBeKmsError("DATA_LOSS");
  expect(await thrownBy(() => append(store, 1))).toBeKmsError("STORE_UNAVAILABLE", "wait for its backup");
  backup.exec("commit");
  await append(store, 1);
  backup.close();
  expect(await store.auditEvents({ limit: 9_999 })).toHaveLength(rows + 2);
});

it("asks whether it may open the file before the writer can find it at that", async () => {
  const gate = { isAdmitted: () => false, enter: vi.fn(), leave: vi.fn() };
  const { read } = readingOf(join(directory(), "kms.db"), gate);
  expect(await thrownBy(() => read((query) => query("select 1")))).toBe(reopensFirst);
  expect(gate.enter).not.toHaveBeenCalled();
});

it("starts no thread for a store that is closed", async () => {
  const { open } = sqliteBackdoor();
  const store = await unlocked(await open(), key);
  await store.close();
  expect(await thrownBy(() => store.counts())).toBeKmsError("STORE_UNAVAILABLE", "ended");
});
