import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readHeads } from "../../../src/store/heads/generations.ts";
import { whileStored } from "../../../src/store/offline/stored.ts";
import { examineLog, holdReady } from "../../../src/store/sqlite/ready-log.ts";
import { commitsWithoutLog } from "../../../src/store/sqlite/stored-commits.ts";
import { logDigest } from "../../../src/store/sqlite/wal/log-digest.ts";
import { judgeWal } from "../../../src/store/sqlite/wal/verdict.ts";
import { crashedStore, type CrashedStore, damageEnd, damageLog, note } from "../../support/crashed-store.ts";
import { thrownBy } from "../../support/matchers.ts";
import { commitsIn, edit, framePart, framesOf, inFrame } from "../../support/wal-files.ts";
import { realTime } from "../../../src/runtime/time.ts";

let made: CrashedStore;
beforeAll(async () => {
  made = await crashedStore();
});
afterAll(() => made[Symbol.dispose]());

/** What holding the store says of its log. */
function seenIn(file: string) {
  const { log, release } = holdReady({ file }, realTime);
  release();
  return log;
}

function namesBeside(file: string): string[] {
  return readdirSync(dirname(file)).sort();
}

describe("a log that is whole", () => {
  it("is let be, whatever was noted", () => {
    const { file, bytes } = made.copy();
    note(file, 1);
    const before = bytes();
    expect(seenIn(file)).toMatchObject({ verdict: "whole", isWarning: false });
    expect(bytes()).toEqual(before);
  });

  it("is not read while it is in use", () => {
    const { file } = made.copy();
    const first = holdReady({ file }, realTime);
    damageLog(file);
    expect(seenIn(file)).toMatchObject({ verdict: "in use", isWarning: false });
    first.release();
    first.release(); // nothing
  });
});

describe("a log that a kill left while its pages were moved into the database", () => {
  it("is whole wherever that was, also where they are of a file that was written anew", async () => {
    const { file } = made.changed((db) => db.exec("pragma wal_checkpoint(truncate); vacuum"));
    const all = commitsIn(made.copy().file);
    const log = readFileSync(`${file}-wal`);
    const pages = new Map<number, Buffer>();
    for (let frame = 1; frame <= framesOf(file).count; frame += 1) {
      const page = log.subarray(inFrame(frame, framePart.page), inFrame(frame + 1, 0));
      pages.set(log.readUInt32BE(inFrame(frame, framePart.pageNumber)), page);
    }
    const alone: unknown[] = [];
    for (const [number, page] of [...pages].sort(([a], [b]) => a - b)) {
      edit(file, (bytes) => void page.copy(bytes, (number - 1) * page.length));
      alone.push(commitsWithoutLog(file));
      expect({ number, problem: examineLog({ file }).problem?.message }).toEqual({ number, problem: undefined });
    }
    expect(new Set(alone)).toEqual(new Set([undefined, all]));
  });
});

describe("a log that lost", () => {
  it("is refused with every byte as it was, and a digest of this damage alone", async () => {
    const one = made.copy();
    const other = made.copy();
    damageLog(one.file);
    damageLog(other.file);
    const before = one.bytes();
    const error = await thrownBy(async () => seenIn(one.file));
    expect(error).toBeKmsError("DATA_LOSS", "restore the store from a backup");
    const { digest } = (error as { metadata: Record<string, string> }).metadata;
    expect((error as Error).message).toContain(digest);
    expect(one.bytes()).toEqual(before);
    expect(digest).toBe(logDigest(other.file));
    edit(`${other.file}-wal`, (bytes) => bytes.writeUInt8(bytes.at(-1)! ^ 1, bytes.length - 1));
    expect(logDigest(other.file)).not.toBe(digest);
    edit(one.file, (bytes) => bytes.writeUInt8(bytes.at(27)! ^ 1, 27)); // the file change counter
    expect(logDigest(one.file)).not.toBe(digest);
  });
});

describe("the copy of a log that is refused", () => {
  it("is made once for each damage, whole, for its owner alone, and named", async () => {
    const { file } = made.copy();
    damageLog(file);
    const log = readFileSync(`${file}-wal`);
    const text = String(await thrownBy(async () => seenIn(file)));
    const kept = /the log is kept as (\S+);/.exec(text)![1]!;
    expect(readFileSync(kept)).toEqual(log);
    expect(statSync(kept).mode & 0o777).toBe(0o600);
    const before = statSync(kept).ino;
    await thrownBy(async () => seenIn(file));
    expect(namesBeside(file).filter((name) => name.includes(".kept-"))).toEqual([basename(kept)]);
    expect(statSync(kept).ino).toBe(before);
  });

  it("cannot be made where something else has its name, which the refusal says", async () => {
    const { file } = made.copy();
    damageLog(file);
    const kept = `${file}-wal.kept-${logDigest(file).slice(0, 16)}`;
    mkdirSync(`${kept}.new`);
    const error = await thrownBy(async () => seenIn(file));
    expect(error).toBeKmsError(
      "DATA_LOSS",
      "could not be copied aside (ERR_FS_EISDIR), so copy it before anything else",
    );
  });

  it("is made of a log whose header alone is damaged and holds one commit, which is opened", () => {
    const { file } = made.changed((db) => {
      db.exec("pragma wal_checkpoint(truncate); create table one (id integer)");
    });
    const log = readFileSync(`${file}-wal`).fill(0, 0, 32);
    writeFileSync(`${file}-wal`, log);
    const { verdict, isWarning, text } = seenIn(file);
    expect({ verdict, isWarning }).toEqual({ verdict: "undecided", isWarning: true });
    expect(readFileSync(/the log is kept as (\S+);/.exec(text)![1]!)).toEqual(log);
  });
});

describe("what is no file", () => {
  const zero = (path: string) => symlinkSync("/dev/zero", path);
  const pipe = (path: string) => expect(spawnSync("mkfifo", [path]).status).toBe(0);
  const kinds = { "a pipe": pipe, "a link to a device": zero, "a directory": (path: string) => mkdirSync(path) };
  const ends = ["", "-wal", "-shm", "-journal", ".lock", ".opening.lock", ".accepting"];

  it.each(Object.entries(kinds))("is refused by its name: %s", async (_, make) => {
    for (const end of ends) {
      const { file } = made.copy();
      rmSync(file + end, { force: true });
      make(file + end);
      for (const open of [async () => seenIn(file), () => whileStored({ file }, async () => {})]) {
        const error = await thrownBy(open);
        expect(error, end).toBeKmsError("STORE_UNAVAILABLE", `${file}${end} is a d`);
        expect(String(error)).toContain("not a file of the store: move it away");
      }
    }
  });

  it.each(Object.entries(kinds))("is no heads file, and notes nothing: %s", async (_, make) => {
    const { file } = made.copy();
    rmSync(`${file}-heads`, { force: true });
    make(`${file}-heads`);
    expect(seenIn(file).verdict).toBe("whole");
    expect(await thrownBy(() => readHeads(`${file}-heads`, undefined))).toBeKmsError(
      "STORE_UNAVAILABLE",
      `the heads file ${file}-heads cannot be read, as it is a directory, a device or a pipe`,
    );
  });
});

describe("a log that was cut short", () => {
  const half = (file: string) => {
    const { commits } = framesOf(file);
    truncateSync(`${file}-wal`, inFrame(commits[Math.floor(commits.length / 2)]! + 1, 0));
  };

  it("is refused where more of it is in the database, with every byte as it was", async () => {
    const { file, bytes } = made.changed((db) => db.exec("pragma wal_checkpoint(passive)"));
    half(file);
    expect(judgeWal(file).kind).toBe("whole");
    const before = bytes();
    const error = await thrownBy(async () => seenIn(file));
    expect(error).toBeKmsError("DATA_LOSS", "ends before what the database has of it");
    expect(bytes()).toEqual(before);
  });

  it("is found by what was noted alone where none of it is there", () => {
    const { file } = made.copy();
    half(file);
    expect(seenIn(file).verdict).toBe("whole");
  });
});

describe("a log that is damaged at its end", () => {
  it("is opened where nothing was noted, or something that is no number of commits", () => {
    for (const noted of [undefined, "7", -1, 1.5, null, {}]) {
      const { file, bytes } = made.copy();
      damageEnd(file);
      if (noted !== undefined) note(file, noted);
      const before = bytes();
      const log = seenIn(file);
      expect(log).toMatchObject({ verdict: "undecided", isWarning: false, lastCommit: expect.any(Number) });
      expect(log.commits).toBeUndefined();
      expect(bytes()).toEqual(before);
    }
  });

  it("is opened where the store has as many commits as were noted", () => {
    const { file, bytes } = made.copy();
    const all = commitsIn(made.copy().file);
    damageEnd(file);
    note(file, all - 1);
    const before = bytes();
    const names = namesBeside(file);
    expect(seenIn(file)).toMatchObject({ verdict: "undecided", commits: { stored: all - 1, noted: all - 1 } });
    expect(bytes()).toEqual(before);
    expect(namesBeside(file)).toEqual([...names, "kms.db.lock", "kms.db.opening.lock"].sort());
    expect(commitsIn(file)).toBe(all - 1);
  });

  it("is refused where it has fewer, with every byte as it was", async () => {
    const { file, bytes } = made.copy();
    const all = commitsIn(made.copy().file);
    damageEnd(file);
    note(file, all);
    const before = bytes();
    const error = await thrownBy(async () => seenIn(file));
    expect(error).toBeKmsError("ROLLBACK_SUSPECTED", `${all - 1} commits can be read, and ${all} were durable`);
    expect(bytes()).toEqual(before);
    expect(existsSync(`${file}-shm`)).toBe(false);
  });

  it("is compared with the newer of two generations, beside the store or elsewhere", async () => {
    const { file } = made.copy();
    const all = commitsIn(made.copy().file);
    damageEnd(file);
    note(file, all, { generation: 2 });
    note(file, all - 1, { end: "-heads.1", generation: 3 });
    expect(seenIn(file).commits).toEqual({ stored: all - 1, noted: all - 1 });
    note(file, all, { end: "-elsewhere" });
    const error = await thrownBy(async () => holdReady({ file, headsFile: `${file}-elsewhere` }, realTime));
    expect(error).toBeKmsError("ROLLBACK_SUSPECTED", `and ${all} were durable`);
  });

  it("is compared with no count in a store of an older schema", () => {
    const { file } = made.changed((db) => {
      db.exec("drop table kms_commits; pragma wal_checkpoint(truncate)");
      db.exec("create table one (id integer) strict; insert into one values (1)");
    });
    damageEnd(file);
    note(file, 1_000);
    expect(seenIn(file).commits).toBeUndefined();
  });

  it("is compared with no count in a store that nothing was committed to, as a restore that was killed leaves it", () => {
    const unended = "begin; create table one (text blob) strict; insert into one values (zeroblob(100000))";
    const left = (before: string, log: string) =>
      made.changed((db) => db.exec(`${before}; pragma wal_checkpoint(truncate); pragma cache_size = 1; ${log}`)).file;
    const unused = "delete from kms_store; delete from kms_commits";
    const killed = left(unused, unended);
    note(killed, 1_000);
    expect(seenIn(killed)).toMatchObject({ verdict: "undecided" });

    const used = left("delete from kms_commits", unended);
    const damaged = left(unused, `${unended}; commit`);
    damageEnd(damaged);
    for (const file of [used, damaged]) {
      note(file, 1_000);
      expect(() => seenIn(file)).toThrow("0 commits can be read, and 1000 were durable");
    }
  });
});

describe("a log that is damaged and holds nothing that the database does not", () => {
  it("is not set aside where the database has fewer commits than were noted", async () => {
    const { file, bytes } = made.changed((db) => db.exec("pragma wal_checkpoint(passive)"));
    const all = commitsIn(made.copy().file);
    damageLog(file);
    const before = bytes();
    note(file, all + 1);
    expect(await thrownBy(async () => seenIn(file))).toBeKmsError("ROLLBACK_SUSPECTED", `${all} commits can be read`);
    expect(bytes()).toEqual(before);
    note(file, all);
    expect(seenIn(file).verdict).toBe("settled");
  });

  it("is set aside and named", () => {
    const { file } = made.changed((db) => db.exec("pragma wal_checkpoint(passive)"));
    damageLog(file);
    const log = readFileSync(`${file}-wal`);
    const { verdict, isWarning, setAside, text } = seenIn(file);
    expect({ verdict, isWarning }).toEqual({ verdict: "settled", isWarning: true });
    expect(setAside).toMatch(/kms\.db-wal\.\d{8}T\d{9}Z$/);
    expect(text).toContain(setAside);
    expect(existsSync(`${file}-wal`)).toBe(false);
    expect(readFileSync(setAside!)).toEqual(log);
    expect(commitsIn(file)).toBeGreaterThan(0);
  });
});
