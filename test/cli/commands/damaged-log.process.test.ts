/** Every command that opens a SQLite store itself, on one whose write-ahead log is damaged. The others ask a service. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrations } from "../../../src/store/sql/rows/schema.ts";
import { type CrashedStore, crashedStore, damageEnd, damageLog, note } from "../../support/crashed-store.ts";
import { run } from "../../support/cli-fixture.ts";
import { startProcess } from "../../support/service-process.ts";

let made: CrashedStore;
beforeAll(async () => {
  made = await crashedStore();
});
afterAll(() => made[Symbol.dispose]());

/** What each does with the store, or with its file as a backup. */
const commands: Record<string, (store: CrashedStore) => string[]> = {
  serve: () => [],
  check: () => ["check"],
  backup: () => ["backup", "new-backup.db"],
  "restore into it": ({ where }) => ["restore", join(where.directory, "whole.db")],
  "restore from it": ({ file }) => ["restore", file],
};

/** The command on the store; restoring from it goes into another one. */
async function runOn(name: string, store: CrashedStore) {
  if (name === "restore into it") writeFileSync(join(store.where.directory, "whole.db"), readFileSync(made.file));
  const target = { name: "sqlite", file: join(store.where.directory, "target.db") } as const;
  const where = name === "restore from it" ? store.where.with(target) : store.where;
  return where.run(...commands[name]!(store));
}

describe.each(Object.keys(commands))("%s", (name) => {
  it("refuses a log that lost, and changes no byte", async () => {
    const store = made.copy();
    damageLog(store.file);
    const before = store.bytes();
    const { code, err, out } = await runOn(name, store);
    expect({ code, lines: err.trim().split("\n").length }, out).toEqual({ code: 1, lines: 1 });
    expect(err).toMatch(
      /the write-ahead log \S+kms\.db-wal is damaged at frame \d+, before a commit at frame \d+ that was durable/,
    );
    expect(err).toMatch(
      /restore the store from a backup, or try to go on without the end of the log: fluo-kms accept-rollback [0-9a-f]{64}/,
    );
    expect(store.bytes()).toEqual(before);
    expect(existsSync(join(store.where.directory, "new-backup.db"))).toBe(false);
  });

  it("refuses one that lacks commits which were noted, and changes no byte", async () => {
    const store = made.copy();
    damageEnd(store.file);
    note(store.file, 1_000);
    const before = store.bytes();
    const { code, err } = await runOn(name, store);
    expect(code).toBe(1);
    expect(err).toMatch(/kms\.db-wal is damaged at its end: \d+ commits can be read, and 1000 were durable/);
    expect(store.bytes()).toEqual(before);
  });
});

describe.each(Object.keys(commands))("%s", (name) => {
  it("refuses a store whose loss somebody was accepting, and changes no byte", async () => {
    const store = made.copy();
    const digest = "5e".repeat(32);
    writeFileSync(`${store.file}.accepting`, JSON.stringify({ digest, kept: `${store.file}.lost-1` }));
    rmSync(`${store.file}-wal`); // as it is once its end was dropped
    const before = readFileSync(store.file);
    const { code, err } = await runOn(name, store);
    expect(code).toBe(1);
    expect(err).toContain(`has not ended: end it by fluo-kms accept-rollback ${digest}`);
    expect(readFileSync(store.file)).toEqual(before);
  });
});

it("restore refuses a log that lost of a backup with an older schema", async () => {
  const store = made.changed((db) => {
    db.prepare("update kms_schema set version = ?").run(migrations.length - 1);
  });
  damageLog(store.file);
  const before = store.bytes();
  const { code, err } = await runOn("restore from it", store);
  expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("is damaged at frame") });
  expect(store.bytes()).toEqual(before);
});

it("restore leaves nothing beside a backup", async () => {
  const store = made.copy();
  await store.where.run("backup", "whole.db");
  const target = store.where.with({ name: "sqlite", file: join(store.where.directory, "target.db") });
  expect(await target.run("restore", "whole.db")).toMatchObject({ code: 0 });
  const names = readdirSync(store.where.directory);
  expect(names.filter((name) => name.startsWith("whole"))).toEqual(["whole.db"]);
});

describe("a log that is damaged and holds nothing new", () => {
  const warn = 40;
  const setAside = /set aside as (\S+kms\.db-wal\.\d{8}T\d{9}Z)/;

  it("is set aside by the service, which says so", async () => {
    const { where, late } = damagedCheckpointed();
    const service = await startProcess(where.env, { cwd: where.directory });
    const line = await service.said(setAside);
    expect(JSON.parse(line).level).toBe(warn);
    expect(existsSync(setAside.exec(line)![1]!)).toBe(true);
    const { keyId } = await service.client.generateDataKey({ tenantId: "late-4" });
    expect(keyId).toBe(late["late-4"]);
    await service.end();
  });

  it.each(["check", "backup", "restore from it"])("is set aside by %s, which says so", async (name) => {
    const { code, err } = await runOn(name, damagedCheckpointed());
    expect({ code, err }).toEqual({ code: 0, err: expect.stringMatching(/^warning: the write-ahead log was /) });
    expect(existsSync(setAside.exec(err)![1]!)).toBe(true);
  });

  function damagedCheckpointed(): CrashedStore {
    const store = made.changed((db) => db.exec("pragma wal_checkpoint(passive)"));
    damageLog(store.file);
    return store;
  }
});

describe("check says of a log", () => {
  async function logIn(store: CrashedStore) {
    const { code, out } = await store.where.run("check", "--json");
    return { code, answer: JSON.parse(out) };
  }

  it("that it is whole", async () => {
    const { code, answer } = await logIn(made.copy());
    expect({ code, log: answer.write_ahead_log }).toEqual({
      code: 0,
      log: { verdict: "whole", text: "whole: all that was committed is read" },
    });
  });

  it("that it is in use", async () => {
    const store = made.copy();
    const service = await startProcess(store.where.env, { cwd: store.where.directory });
    const { code, answer } = await logIn(store);
    expect({ code, verdict: answer.write_ahead_log.verdict }).toEqual({ code: 0, verdict: "in_use" });
    await service.end();
  });

  it("where it ends, and why what follows is no loss", async () => {
    const store = made.copy();
    damageEnd(store.file);
    const alone = await logIn(store.copy());
    expect(alone.answer.write_ahead_log).toMatchObject({ verdict: "undecided", last_commit: expect.any(Number) });
    expect(alone.answer.write_ahead_log.text).toContain("no heads file says whether it was one");
    note(store.file, 3);
    const { answer } = await logIn(store);
    expect(answer.write_ahead_log).toMatchObject({
      commits: { stored: expect.any(Number), noted: 3 },
      text: expect.stringContaining("and 3 were noted as durable"),
    });
  });

  it("what it lost, with where and the digest", async () => {
    const store = made.copy();
    damageLog(store.file);
    const { code, answer } = await logIn(store);
    expect({ code, answer }).toMatchObject({
      code: 1,
      answer: {
        code: "DATA_LOSS",
        metadata: {
          log: "lost",
          first_damaged: expect.stringMatching(/^\d+$/),
          digest: expect.stringMatching(/^[0-9a-f]{64}$/),
        },
      },
    });
  });

  it("in words, to people", async () => {
    const { env, directory: cwd } = made.copy().where;
    const terminal = "--import=data:text/javascript,Object.assign(process.stdout,{isTTY:true,getColorDepth:()=>1})";
    const { out } = await run(["check"], { env: { ...env, NODE_OPTIONS: terminal }, cwd });
    expect(out).toMatch(/^write-ahead log +whole: all that was committed is read$/m);
  });
});
