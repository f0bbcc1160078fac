/** SQLite stores that were put back or damaged: the service, and every command that writes, refuses them before it changes a byte. */
import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withAdvice } from "../../../src/cli/failures.ts";
import type { KmsError } from "../../../src/errors.ts";
import { type Place, place, sqlitePlace } from "../../support/cli-store-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { startService } from "../../support/running-service.ts";
import { virtualTime } from "../../support/virtual-time.ts";
import { edit } from "../../support/wal-files.ts";

const databaseName = "kms.db";
const ofStore = /^kms\.db(-wal|-heads|-heads\.1)?$/;

const fileOf = ({ directory }: Place) => join(directory, databaseName);

/** Lives of one service: each file is a copy of the place as a kill left it, with all its commits noted. */
let early: Place;
let late: Place;
/** The later one with all of its pages in the database, and no log. */
let settled: Place;
let elsewhere: Place;
/** A backup of the settled one. */
let backup: string;

const root = mkdtempSync(join(tmpdir(), "fluo-kms-refusals-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A place that stays until all tests have ended. */
function keptPlace(): Place {
  const path = mkdtempSync(join(root, "place-"));
  return place(path, { name: "sqlite", file: join(path, databaseName) });
}

beforeAll(async () => {
  const where = keptPlace();
  const time = virtualTime({ finished: afterAll });
  const service = await startService(where.env, { time });
  const make = async (tenantId: string) => {
    await service.grpc.generateDataKey({ tenantId });
    await time.advance(1_000);
    return copyOf(where, keptPlace());
  };
  early = await make("early");
  late = await make("late");
  await service.stop();
  settled = copyOf(where, keptPlace());
  backup = join(settled.directory, "backup.db");
  expect((await settled.run("backup", backup)).code).toBe(0);
  elsewhere = keptPlace();
  await (await startService(elsewhere.env, { time })).stop();
});

/** A place of its own with the files of the store and its master key. */
function copyOf(from: Place, to = sqlitePlace()): Place {
  for (const name of readdirSync(from.directory).filter((each) => ofStore.test(each) || each === "master.key")) {
    cpSync(join(from.directory, name), join(to.directory, name));
  }
  return to;
}

function take(from: Place, to: Place, ...ends: string[]): void {
  for (const end of ends) {
    rmSync(fileOf(to) + end, { force: true });
    if (existsSync(fileOf(from) + end)) cpSync(fileOf(from) + end, fileOf(to) + end);
  }
}

/** Hashes of the files of a place. Locks, the memory that readers share and an empty log hold nothing. */
function filesOf({ directory: path }: Place): Record<string, string> {
  const contents = readdirSync(path, { withFileTypes: true })
    .filter(({ name }) => !/\.lock$|-shm$/.test(name))
    .map((each) => [each.name, each.isFile() ? readFileSync(join(path, each.name)) : "no file"] as const)
    .filter(([name, content]) => !(name.endsWith("-wal") && content.length === 0));
  return Object.fromEntries(
    contents.map(([name, content]) => [name, createHash("sha256").update(content).digest("hex")]),
  );
}

const states: Record<string, { make(): Place; says: RegExp }> = {
  "put back, as it was when a service was killed": {
    make() {
      const where = copyOf(late);
      take(early, where, "", "-wal");
      return where;
    },
    says: /the store is behind what \S+ noted at .* it had \d+ commits, and has \d+/,
  },
  "put back, as a service that stopped left it": {
    make() {
      const where = copyOf(late);
      take(early, where, "", "-wal");
      const db = new DatabaseSync(fileOf(where));
      db.exec("pragma wal_checkpoint(truncate)");
      db.close();
      return where;
    },
    says: /the store is behind what/,
  },
  "without its log, and never checkpointed": {
    make() {
      const where = copyOf(late);
      rmSync(`${fileOf(where)}-wal`);
      return where;
    },
    says: /kms\.db has no store yet, and the heads file \S+ notes \d+ commits: is its volume mounted\?/,
  },
  gone: {
    make() {
      const where = copyOf(late);
      for (const end of ["", "-wal"]) rmSync(fileOf(where) + end);
      return where;
    },
    says: /kms\.db has no store yet, .*: is its volume mounted\?/,
  },
  "without its heads file": {
    make() {
      const where = copyOf(late);
      for (const end of ["-heads", "-heads.1"]) rmSync(fileOf(where) + end);
      return where;
    },
    says: /the heads file \S+ is gone, and the store has had one since/,
  },
  "with a heads file of which both generations are cut": {
    make() {
      const where = copyOf(late);
      for (const end of ["-heads", "-heads.1"]) edit(fileOf(where) + end, (bytes) => void bytes.fill(0, 100));
      return where;
    },
    says: /the heads file \S+ is damaged, or is another store's/,
  },
  "with another store's heads file": {
    make() {
      const where = copyOf(late);
      take(elsewhere, where, "-heads", "-heads.1");
      return where;
    },
    says: /the heads file \S+ is damaged, or is another store's/,
  },
  "with a pipe in the place of its heads file": {
    make() {
      const where = copyOf(late);
      rmSync(`${fileOf(where)}-heads`);
      expect(spawnSync("mkfifo", [`${fileOf(where)}-heads`]).status).toBe(0);
      return where;
    },
    says: /the heads file \S+ cannot be read, as it is a directory, a device or a pipe/,
  },
  "with a device in the place of its log": {
    make() {
      const where = copyOf(settled);
      rmSync(`${fileOf(where)}-wal`, { force: true });
      symlinkSync("/dev/zero", `${fileOf(where)}-wal`);
      return where;
    },
    says: /kms\.db-wal is a device or pipe, not a file of the store/,
  },
  "whose log's header is 32 zero bytes": {
    make() {
      const where = copyOf(late);
      edit(`${fileOf(where)}-wal`, (bytes) => void bytes.fill(0, 0, 32));
      return where;
    },
    says: /kms\.db-wal is damaged in its header, before a commit at frame \d+ that was durable: nothing was opened or changed, and the log is kept as/,
  },
  "that is a backup, without a heads file": {
    make() {
      const where = sqlitePlace();
      cpSync(join(settled.directory, "master.key"), where.masterKeyFile);
      cpSync(backup, fileOf(where));
      return where;
    },
    says: /this is a backup, and no store to go on with: its logs would fork: .* fluo-kms restore FILE/,
  },
  "that is a backup, by its table alone": {
    make() {
      const where = sqlitePlace();
      cpSync(join(settled.directory, "master.key"), where.masterKeyFile);
      cpSync(backup, fileOf(where));
      const db = new DatabaseSync(fileOf(where));
      db.exec("pragma application_id = 0");
      db.close();
      return where;
    },
    says: /this is a backup/,
  },
  "with a log that has no database": {
    make() {
      const where = copyOf(late);
      writeFileSync(fileOf(where), "");
      return where;
    },
    says: /kms\.db is empty or gone, .* and its write-ahead log holds \d+ commits/,
  },
};

describe.each(Object.entries(states))("a store %s", (_, { make, says }) => {
  it("is refused by every start and every command that writes, and none changes a byte", async () => {
    const where = make();
    const before = filesOf(where);
    const backups = directory({ kept: "" });
    const error = (await thrownBy(() => startService(where.env))) as KmsError;
    expect(withAdvice(error)).toMatch(says);
    for (const args of [
      ["backup", join(backups, "one.db")],
      ["backup", "--directory", backups, "--keep", "1"],
      ["migrate"],
      ["migrate", "--finish"],
      ["accept-rollback", "0".repeat(64)],
    ]) {
      const { code, err } = await where.run(...args);
      expect({ args, code, err }).toEqual({
        args,
        code: expect.toBeOneOf([1, 2]),
        err: expect.stringMatching(/^.+\n$/),
      });
    }
    expect(readdirSync(backups).filter((name) => !name.endsWith(".lock"))).toEqual(["kept"]);
    const after = filesOf(where);
    expect(Object.fromEntries(Object.entries(after).filter(([name]) => !name.includes(".kept-")))).toEqual(before);
  });
});

it("is no state of a backup that is restored, or checked", async () => {
  const where = sqlitePlace();
  cpSync(join(settled.directory, "master.key"), where.masterKeyFile);
  expect((await where.run("restore", backup)).code).toBe(0);
  await (await startService(where.env)).stop();
  const inPlace = sqlitePlace();
  cpSync(join(settled.directory, "master.key"), inPlace.masterKeyFile);
  cpSync(backup, fileOf(inPlace));
  expect((await inPlace.json("check")).answer).toMatchObject({ ok: true, problems: [] });
});
