import { spawnSync } from "node:child_process";
import { chownSync, cpSync, mkdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { KmsError } from "../../../src/errors.ts";
import { manualTime } from "../../../src/runtime/manual-time.ts";
import { acceptFinding } from "../../../src/store/heads/keeper.ts";
import { judgeHeads } from "../../../src/store/heads/judge.ts";
import type { LogHead } from "../../../src/store/log-store.ts";
import { acceptanceOf } from "../../../src/store/acceptance.ts";
import type { Store } from "../../../src/store/store.ts";
import { afterStep } from "../../support/after-step.ts";
import {
  type HeadsWorld,
  postgresWorld,
  type Run,
  newestOf,
  removeHeads,
  sqliteWorld,
  startTwoAtOnce,
  use,
} from "../../support/heads-fixture.ts";
import { digestIn } from "../../support/heads-process.ts";
import { grown, newLog } from "../../support/log-store-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { postgresAvailable } from "../../support/postgres-cluster.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";
import { addKey, keptRow } from "../../support/store-fixture.ts";
import { examined } from "../../support/examined.ts";
import { wallTime } from "../../support/wall-time.ts";
import { virtualTime } from "../../support/virtual-time.ts";

const server = postgresAvailable() ? await sharedPostgres() : undefined;
afterAll(() => server?.close());

const worlds: [string, () => HeadsWorld | Promise<HeadsWorld>][] = [
  ["SQLite", sqliteWorld],
  ...(server ? [["PostgreSQL", () => postgresWorld(server)] as [string, () => Promise<HeadsWorld>]] : []),
];

const allKnown = { noted: [], mayHaveMore: false };
const by = { actor: "ann", requestId: "" };

describe.each(worlds)("the heads file of %s", (name, make) => {
  const isSqlite = name === "SQLite";
  let world: HeadsWorld;
  beforeEach(async () => {
    world = await make();
  });

  /** A run of the service, from its start to its end in order. */
  async function during(work: (store: Store, run: Run) => Promise<unknown>): Promise<void> {
    const run = await world.start();
    await work(run.store, run);
    await run.end();
  }

  const refusal = async (changes?: Parameters<HeadsWorld["start"]>[0]) =>
    (await thrownBy(() => world.start(changes))) as KmsError;

  /** The store as a command has it open that accepts something. */
  async function accepting(work: (store: Store) => Promise<unknown>): Promise<void> {
    const store = await world.unlocked();
    await work(store);
    await store.close();
  }

  /** Notes in the trail that a finding of these files is accepted. */
  const accept = (digest: string, sha256: string) =>
    accepting((store) => {
      const detail = acceptanceOf({ digest }, [sha256]);
      return store.acceptRollback({ ...use(), tenantId: "", action: "accept_rollback", detail }, allKnown);
    });

  /** A store with a key and an entry in a log, of before and of after it was copied, and put back. */
  async function putBackOne(): Promise<void> {
    await during((store) => Promise.all([addKey(store), store.createLog(newLog())]));
    const copy = await world.copied();
    await during(async (store) => {
      await addKey(store, { tenantId: "globex", keyId: "0".repeat(32) });
      await store.appendLog(grown(newLog(), 3));
    });
    await copy.putBack();
  }

  it("is made by the first start, for its owner alone, and gone on with by the next", async () => {
    let since: Date | undefined;
    await during(async (store, { heads }) => {
      since = heads.status().since;
      expect(since).toBeInstanceOf(Date);
      await addKey(store);
    });
    expect(statSync(world.place.file).mode & 0o777).toBe(0o600);
    await during(async (_store, { heads }) => {
      expect(heads.status()).toMatchObject({ since, problem: "" });
      expect(heads.isBehind()).toBe(false);
      expect(heads.problems()).toEqual([]);
    });
  });

  it.runIf(process.getuid?.() === 0)("stays the service's where root writes it too", async () => {
    const { file, lock, database } = world.place;
    const files = [file, `${file}.1`, lock];
    await (await world.unlocked()).close();
    if (database !== undefined) chownSync(database, 1234, 5678);
    await during((store) => addKey(store));
    if (database === undefined) {
      for (const each of files) chownSync(each, 1234, 5678);
      rmSync(lock);
    }
    await during((store) => addKey(store, { tenantId: "globex" }));
    for (const each of files) expect(statSync(each)).toMatchObject({ uid: 1234, gid: 5678 });
  });

  it("finds a store that was put back, names what is gone, and leaves both as they are", async () => {
    await putBackOne();
    const before = [world.place.file, `${world.place.file}.1`].map((file) => readFileSync(file, "utf8"));
    const { code, message } = await refusal();
    expect(code).toBe("ROLLBACK_SUSPECTED");
    expect(message).toContain(`data key ${"0".repeat(32)} of tenant globex, version 1, was ACTIVE, and is gone`);
    expect(message).toContain("log 1 of tenant acme had 3 entries, and has 0");
    if (isSqlite) expect(message).toMatch(/it had \d+ commits, and has \d+/);
    expect([world.place.file, `${world.place.file}.1`].map((file) => readFileSync(file, "utf8"))).toEqual(before);
    expect(digestIn((await refusal()).message)).toBe(digestIn(message));
  });

  it("finds a store of which appends to a log alone are gone", async () => {
    await during((store) => store.createLog(newLog()));
    const early = await keptRow(world, "kms_logs");
    await during((store) => store.appendLog(grown(newLog(), 300)));
    await early.putBack();
    for (const table of ["entries", "hashes"]) await world.sql(`delete from kms_log_${table}`);
    const { code, message } = await refusal();
    expect(code).toBe("ROLLBACK_SUSPECTED");
    expect(message).toContain("log 1 of tenant acme had 300 entries, and has 0");
  });

  it("finds a store that went on from where it was put back, as far as it was or further", async () => {
    await during((store) => store.appendAudit([use()]));
    const copy = await world.copied();
    await during((store) => store.appendAudit([use()]));
    await copy.putBack();
    const other = await world.unlocked();
    for (let more = 0; more < 5; more += 1) {
      expect((await refusal()).code).toBe("ROLLBACK_SUSPECTED");
      await other.appendAudit([use()]);
    }
    await other.close();
  });

  it("is believed by one of its generations, and missed where both are damaged", async () => {
    await putBackOne();
    const { file } = world.place;
    const flip = (path: string) => {
      const bytes = readFileSync(path);
      bytes[bytes.length >> 1]! ^= 1;
      writeFileSync(path, bytes);
    };
    const generation = (path: string) => JSON.parse(readFileSync(path, "utf8")).generation as number;
    const [newest, older] = generation(file) > generation(`${file}.1`) ? [file, `${file}.1`] : [`${file}.1`, file];
    flip(older!);
    expect((await refusal()).code).toBe("ROLLBACK_SUSPECTED");
    flip(newest!);
    const { code, message } = await refusal();
    expect(code).toBe("HEADS_MISSING");
    expect(message).toContain(`${file} is damaged, or is another store's`);
  });

  it("is missed where another store's lies in its place", async () => {
    await during((store) => addKey(store));
    const other = await make();
    await (await other.start()).end();
    removeHeads(world.place);
    for (const end of ["", ".1"]) cpSync(other.place.file + end, world.place.file + end);
    expect(await refusal()).toMatchObject({
      code: "HEADS_MISSING",
      message: expect.stringMatching(/^the heads file \S+ is damaged, or is another store's: /),
    });
  });

  it("ends, once its loss is accepted, each log that may have lost entries, and no other", async () => {
    const logs = ["grown", "same", "lost", "unborn"].map((tenantId) => newLog({ tenantId }));
    const [grownLater, same, lost, unborn] = logs as [LogHead, LogHead, LogHead, LogHead];
    await during((store) => Promise.all([grownLater, same, lost].map((log) => store.createLog(log))));
    const copy = await world.copied();
    await during(async (store) => {
      await store.createLog(unborn);
      for (const log of [lost, unborn]) await store.appendLog(grown(log, 3));
    });
    await copy.putBack();
    await accepting((store) => store.appendLog(grown(grownLater, 2)));
    const found = await refusal();
    await accepting(async (store) => {
      const { key: storeKey, place } = world;
      const time = wallTime(() => new Date(2_000_000_000_500));
      const { finding } = await judgeHeads(store, storeKey, place);
      expect(digestIn(found.message)).toBe(finding!.digest);
      await acceptFinding({ store, storeKey, place, time }, finding!, by);
      const heads = async (tenantId: string) =>
        (await store.logHeads(tenantId)).map(({ number, size, state }) => [number, size, state]);
      expect(await heads("grown")).toEqual([[1, 2, "open"]]);
      expect(await heads("same")).toEqual([[1, 0, "open"]]);
      expect(await heads("lost")).toEqual([[1, 0, "restored"]]);
      expect(await thrownBy(() => store.appendLog(grown(lost, 1)))).toBeKmsError("CONFLICT");
      for (const tenantId of ["lost", "unborn"]) {
        expect(await store.nextLogNumber(tenantId)).toBe(2_000_000_000);
        expect(await thrownBy(() => store.createLog(newLog({ tenantId, number: 2 })))).toBeKmsError("CONFLICT");
        await store.createLog(newLog({ tenantId, number: 2_000_000_000 }));
      }
      expect((await examined(store)).problems).toEqual([]);
    });
    await during(async () => {});
  });

  it.each(["missing", "damaged"])(
    "ends every log once the use of a store is accepted of a heads file that is %s",
    async (what) => {
      await during((store) => store.createLog(newLog()));
      if (what === "missing") removeHeads(world.place);
      else for (const end of ["", ".1"]) writeFileSync(world.place.file + end, "{");
      await accepting(async (store) => {
        const place = { ...world.place, required: true };
        const { finding } = await judgeHeads(store, world.key, place);
        expect(finding?.code).toBe("HEADS_MISSING");
        await acceptFinding({ store, storeKey: world.key, place, time: virtualTime() }, finding!, by);
        expect(await store.logHeads("acme")).toMatchObject([{ number: 1, state: "restored" }]);
      });
      await during(async () => {});
    },
  );

  it("accepts what an authentic row of the trail names, and no finding after it", async () => {
    await putBackOne();
    const copy = await world.copied();
    const found = digestIn((await refusal()).message);
    const { sha256 } = newestOf(world.place.file);
    await accept(found, "0".repeat(64));
    expect((await refusal()).code).toBe("ROLLBACK_SUSPECTED");
    await accept(found, sha256);
    await world.sql("update kms_audit set actor = 'eve' where detail is not null");
    expect((await refusal()).code).toBe("ROLLBACK_SUSPECTED");
    await world.sql("update kms_audit set actor = 'ann' where detail is not null");
    await during((store) => addKey(store, { tenantId: "initech" }));
    await during(async () => {});
    await copy.putBack();
    const again = await refusal();
    expect(again.code).toBe("ROLLBACK_SUSPECTED");
    expect(digestIn(again.message)).not.toBe(found);
  });

  it("is begun anew without an audit row that is damaged, so that an accepted finding is no finding again", async () => {
    await during((store) => store.appendAudit([use()]));
    await world.sql("update kms_audit set mac = ?1", new Uint8Array(32));
    const { message } = await refusal();
    expect(message).toContain("had written row 1, and has another there");
    await accept(digestIn(message), newestOf(world.place.file).sha256);
    const time = virtualTime();
    const run = await world.start({ intervalMs: 1_000, time });
    await addKey(run.store);
    await time.advance(1_000);
    expect(newestOf(world.place.file).keys).toHaveLength(1);
    expect(run.heads.problems()).toEqual([]);
    await run.end();
    await during(async () => {});
  });

  it("cannot be written for a while: that is told, refuses nothing, and is made good", async () => {
    const time = virtualTime();
    const run = await world.start({ intervalMs: 1_000, time });
    await addKey(run.store);
    const { file } = world.place;
    rmSync(`${file}.new`, { force: true });
    mkdirSync(`${file}.new`);
    await addKey(run.store, { tenantId: "globex" });
    await time.advance(1_000);
    expect(run.heads.problems()).toMatchObject([{ status: "degraded" }]);
    expect(run.heads.isBehind()).toBe(false);
    expect(run.heads.status().problem).toContain("EISDIR");
    await addKey(run.store, { tenantId: "initech" });
    rmdirSync(`${file}.new`);
    await time.advance(1_000);
    expect(run.heads.problems()).toEqual([]);
    await run.end();
    expect(JSON.stringify(newestOf(file))).toContain("initech");
  });

  it("keeps nobody from ending whose disk hangs", async () => {
    const time = manualTime();
    const run = await world.start({ time });
    const pipe = `${world.place.file}.new`;
    expect(spawnSync("mkfifo", [pipe]).status).toBe(0); // it is opened for writing once somebody reads it
    await addKey(run.store);
    const closed = run.heads.close();
    await time.advance(2_000);
    await closed;
    await readFile(pipe);
    await run.store.close();
  });

  it("writes nothing while nothing changes", async () => {
    await during((store) => addKey(store));
    const run = await world.start();
    const before = newestOf(world.place.file);
    await run.heads.close();
    await run.heads.close();
    expect(newestOf(world.place.file).generation).toBe(before.generation);
    await run.end();
  });

  it("has what two processes with one store wrote, and is never lowered", async () => {
    const [first, second] = [await world.start({ intervalMs: 3 }), await world.start({ intervalMs: 3 })];
    for (let at = 0; at < 20; at += 1) {
      await Promise.all([first, second].map(({ store }, n) => addKey(store, { tenantId: `t${n}-${at}` })));
    }
    const heads = await Promise.all([first, second].map(({ store }) => store.auditHead()));
    await first.end();
    const before = newestOf(world.place.file);
    await second.end();
    const after = newestOf(world.place.file);
    for (const { writerId, sequence } of heads.map((head) => head!)) {
      expect(after.writers).toContainEqual(expect.objectContaining({ writer_id: writerId, sequence }));
    }
    expect(after.keys).toHaveLength(40);
    expect(after.commits ?? 0).toBeGreaterThanOrEqual(before.commits ?? 0);
    await during(async () => {});
  });

  it("is begun by one of two first starts at once, and missed by neither", () => startTwoAtOnce(make, 2));

  it.runIf(isSqlite)("is missed where it is gone, as the store knows that there was one", async () => {
    await during((store) => addKey(store));
    removeHeads(world.place);
    const { code, message } = await refusal();
    expect(code).toBe("HEADS_MISSING");
    expect(message).toContain("is gone, and the store has had one since");
  });

  it.skipIf(isSqlite)("is begun where it is gone, unless it is required", async () => {
    await during((store) => addKey(store));
    removeHeads(world.place);
    expect((await refusal({ required: true })).code).toBe("HEADS_MISSING");
    await during(async (store) => {
      const written = { writers: [{ sequence: 1 }] };
      await afterStep("heads.renamed", async () => expect(newestOf(world.place.file)).toMatchObject(written));
      await addKey(store);
    });
    await (await world.start({ required: true })).end();
  });

  it.skipIf(isSqlite)("of another replica is as good as its own", async () => {
    const other = { ...world.place, file: `${world.place.file}-2`, lock: `${world.place.file}-2.lock` };
    await during((store) => addKey(store));
    await (await world.start(other)).end();
    const copy = await world.copied();
    await during((store) => addKey(store, { tenantId: "globex" }));
    for (const end of ["", ".1"]) cpSync(world.place.file + end, other.file + end);
    await (await world.start(other)).end();
    await copy.putBack();
    expect((await refusal(other)).code).toBe("ROLLBACK_SUSPECTED");
  });

  it.skipIf(isSqlite)(
    "finds a store that is put back while the service runs, and goes on once that is accepted",
    async () => {
      const time = virtualTime();
      const run = await world.start({ intervalMs: 1_000, time });
      await addKey(run.store);
      const copy = await world.copied();
      await addKey(run.store, { tenantId: "globex" });
      await run.store.appendAudit([use()]);
      await time.advance(1_000);
      expect(newestOf(world.place.file).keys).toHaveLength(2);
      await copy.putBack();
      await time.advance(1_000);
      expect(run.heads.problems()).toMatchObject([{ status: "down" }]);
      expect(run.heads.isBehind()).toBe(true);
      expect(run.heads.status().problem).toContain("of tenant globex, version 1, was ACTIVE, and is gone");
      expect(await thrownBy(() => run.store.appendAudit([use()]))).toBeKmsError("DATA_LOSS");
      expect(await thrownBy(() => run.heads.accept("0".repeat(64), by))).toBeKmsError("INVALID_ARGUMENT", "digest");
      const digest = digestIn(run.heads.status().problem);
      await run.heads.accept(digest, by);
      expect(run.heads.problems()).toEqual([]);
      expect(run.heads.isBehind()).toBe(false);
      expect(await thrownBy(() => run.heads.accept(digest, by))).toBeKmsError("INVALID_ARGUMENT", "digest");
      await run.store.appendAudit([use()]);
      const accepted = (await run.store.auditEvents({ limit: 100 })).filter(
        ({ action }) => action === "accept_rollback",
      );
      expect(accepted).toMatchObject([{ actor: "ann", outcome: "OK", detail: expect.stringContaining(digest) }]);
      await run.end();
      await during(async () => {});
    },
  );
});
