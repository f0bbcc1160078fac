import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { judgeWal } from "../../../../src/store/sqlite/wal/verdict.ts";
import {
  edit,
  flip,
  frameBytes,
  framePart,
  framesOf,
  inFrame,
  newWalFolder,
  type WalFolder,
  walHeaderBytes,
} from "../../../support/wal-files.ts";

let folder: WalFolder;
beforeEach(() => {
  folder = newWalFolder();
});
afterEach(() => folder[Symbol.dispose]());

const page = Buffer.alloc(3_000, "n");
function insert(count = 1): void {
  folder.db.exec("begin");
  for (let index = 0; index < count; index += 1) folder.db.prepare("insert into notes (text) values (?)").run(page);
  folder.db.exec("commit");
}
function insertOneByOne(count: number): void {
  for (let index = 0; index < count; index += 1) insert();
}
function rowsOf(file: string): number {
  const db = new DatabaseSync(file);
  try {
    expect(db.prepare("pragma integrity_check").get()).toEqual({ integrity_check: "ok" });
    return Number(db.prepare("select count(*) as count from notes").get()!.count);
  } finally {
    db.close();
  }
}

/** A copy of database and log as they are now, and the log's verdict once it is damaged. */
function judged(damage: (log: Buffer) => void = () => {}) {
  const file = folder.copy();
  edit(`${file}-wal`, damage);
  return { file, verdict: judgeWal(file) };
}
const walNow = () => readFileSync(`${folder.copy()}-wal`);
const headerNow = () => walNow().subarray(0, walHeaderBytes);
/** The frames that are in the log now. */
const framesNow = () => framesOf(folder.copy());
function flipAt(byte: number, bit = 0) {
  return (log: Buffer) => {
    log[byte]! ^= 1 << bit;
  };
}
const checkpoint = () => folder.db.exec("pragma wal_checkpoint(passive)");

describe("a log without damage", () => {
  it("is whole where there is none, where it is empty and where all is in it", () => {
    const none = folder.copy();
    truncateSync(`${none}-wal`);
    expect(judgeWal(none)).toEqual({ kind: "whole" });
    insertOneByOne(10);
    expect(judged().verdict).toEqual({ kind: "whole" });
  });

  it("is whole when it was checkpointed, and begun again over its old frames or truncated", () => {
    insertOneByOne(20);
    checkpoint();
    expect(judged().verdict).toEqual({ kind: "whole" });
    insertOneByOne(3);
    expect(framesNow().count).toBeGreaterThan(20);
    expect(judged().verdict).toEqual({ kind: "whole" });
    folder.db.exec("pragma wal_checkpoint(truncate)");
    insert();
    expect(judged().verdict).toEqual({ kind: "whole" });
  });

  it("is not lost with a spill that was rolled back, before a short commit", () => {
    insertOneByOne(3);
    folder.db.exec("pragma cache_size = 1; begin");
    for (let index = 0; index < 100; index += 1) folder.db.prepare("insert into notes (text) values (?)").run(page);
    folder.db.exec("rollback");
    const spilled = framesNow();
    insert();
    const { count, commits } = framesNow();
    expect(count).toBe(spilled.count);
    expect(count).toBeGreaterThan(commits.at(-1)! + 10);
    const { file, verdict } = judged();
    expect(verdict.kind).toBe("undecided");
    expect(rowsOf(file)).toBe(4);
  });

  it("is not lost with a savepoint that was undone after it spilled", () => {
    folder.db.exec("pragma cache_size = 1; begin; savepoint one");
    for (let index = 0; index < 100; index += 1) folder.db.prepare("insert into notes (text) values (?)").run(page);
    folder.db.exec("rollback to one; release one");
    folder.db.prepare("insert into notes (text) values (?)").run(page);
    folder.db.exec("commit");
    insertOneByOne(2);
    const { file, verdict } = judged();
    expect(["whole", "undecided"]).toContain(verdict.kind);
    expect(rowsOf(file)).toBe(3);
  });
});

describe("a commit that no other followed", () => {
  it("is undecided with each of its pages lost in turn, or a part of it", () => {
    insertOneByOne(5);
    const before = framesNow().count;
    insert(20);
    const { count } = framesNow();
    expect(count - before).toBeGreaterThan(15);
    for (let frame = before + 1; frame <= count; frame += 1) {
      const { file, verdict } = judged((log) => log.fill(0, inFrame(frame, 0), inFrame(frame + 1, 0)));
      expect({ frame, kind: verdict.kind }).toEqual({ frame, kind: "undecided" });
      expect(rowsOf(file)).toBe(5);
    }
  });

  it("is undecided, and not set aside, with a page and the end of it lost behind what is in the database", () => {
    insertOneByOne(20);
    checkpoint();
    const old = walNow();
    insert(8);
    const end = framesNow().commits[0]!;
    const { file, verdict } = judged((log) => {
      for (const frame of [2, end]) old.copy(log, inFrame(frame, 0), inFrame(frame, 0), inFrame(frame + 1, 0));
    });
    expect(verdict).toEqual({ kind: "undecided", lastCommit: 0, holdsMark: false, isHeaderDamaged: false });
    expect(rowsOf(file)).toBe(20);
  });

  it("is never lost by sectors that are left out, whatever they held before", () => {
    // An earlier use of the log, so that a commit mark stands in each place where a frame comes.
    insert();
    for (let use = 0; use < 80; use += 1) folder.db.exec(`update notes set text = x'${use % 10}0'`);
    checkpoint();
    insertOneByOne(2);
    const old = walNow();
    expect(framesNow().commits.slice(-70)).toHaveLength(70);
    insert(70);
    const from = inFrame(5, 0);
    // Some lie between a frame's mark and its checksum.
    const torn = folder.copy();
    const bytes = readFileSync(`${torn}-wal`);
    const end = bytes.length;
    for (let sector = Math.ceil(from / 512); (sector + 1) * 512 <= end; sector += 1) {
      const one = Buffer.from(bytes);
      old.copy(one, sector * 512, sector * 512, (sector + 1) * 512);
      writeFileSync(`${torn}-wal`, one);
      expect(judgeWal(torn).kind).not.toBe("lost");
    }
  });
});

describe("a log whose header is none", () => {
  const zeroed = (bytes = walHeaderBytes) => judged((log) => log.fill(0, 0, bytes)).verdict;

  it("lost what its frames hold, where they follow from each other, though the first of them are gone too", () => {
    insertOneByOne(9);
    for (const bytes of [walHeaderBytes, 512, 4_096, inFrame(3, 0)]) {
      expect({ bytes, ...zeroed(bytes) }).toMatchObject({ bytes, kind: "lost", firstDamaged: 0 });
    }
    for (const other of ["SQLite format 3\0", "\x37\x7f\x06\x84"]) {
      const { verdict } = judged((log) => void log.write(other, 0, "latin1"));
      expect({ other, ...verdict }).toMatchObject({ other, kind: "lost", firstDamaged: 0 });
    }
  });

  it("lost what its frames hold under the header of another log, or of an earlier use, and not under that of the next", () => {
    insertOneByOne(9);
    using elsewhere = newWalFolder();
    elsewhere.db.exec("insert into notes (text) values (x'00')");
    const other = readFileSync(`${elsewhere.copy()}-wal`).subarray(0, walHeaderBytes);
    const own = headerNow();
    checkpoint();
    insertOneByOne(4);
    const next = headerNow();
    const under = (header: Buffer) => judged((log) => void header.copy(log)).verdict;
    for (const header of [other, own]) expect(under(header)).toMatchObject({ kind: "lost", firstDamaged: 0 });
    expect(under(next)).toEqual({ kind: "whole" });
  });

  it("lost nothing where the database has all that it holds", () => {
    insertOneByOne(9);
    checkpoint();
    expect(zeroed()).toEqual({ kind: "settled", firstDamaged: 0 });
  });

  it("is undecided with one commit, and not settled by the older frames behind that", () => {
    insertOneByOne(9);
    checkpoint();
    folder.db.exec("update notes set id = 1000 where id = 9"); // of one page
    expect(zeroed()).toEqual({ kind: "undecided", lastCommit: 0, holdsMark: true, isHeaderDamaged: true });
  });

  it("is undecided where all of it is zeros, as a crash leaves a file that grew", () => {
    insertOneByOne(3);
    const { verdict } = judged((log) => void log.fill(0));
    expect(verdict).toMatchObject({ kind: "undecided", holdsMark: false, isHeaderDamaged: true });
  });
});

describe("a log whose database has no page", () => {
  it("is orphaned under the header of another log too", () => {
    insertOneByOne(3);
    const header = headerNow();
    checkpoint();
    insertOneByOne(9);
    const file = folder.copy();
    writeFileSync(file, "");
    edit(`${file}-wal`, (log) => void header.copy(log));
    expect(judgeWal(file)).toMatchObject({ kind: "orphaned" });
  });

  it("is orphaned with a commit, and whole without", () => {
    insertOneByOne(2);
    for (const left of ["empty", "gone", "other bytes"]) {
      const file = folder.copy();
      if (left === "gone") rmSync(file);
      else writeFileSync(file, left === "empty" ? "" : "not a database, but longer than its header is".repeat(9));
      expect({ left, ...judgeWal(file) }).toEqual({ left, kind: "orphaned", commits: framesOf(file).commits.length });
      truncateSync(`${file}-wal`, walHeaderBytes + 100);
      expect({ left, ...judgeWal(file) }).toEqual({ left, kind: "whole" });
    }
  });
});

describe("a commit that others followed", () => {
  const parts = { ...framePart, "the page's end": frameBytes - 1 };
  it.each(Object.entries(parts))("is lost by a flip in %s of its frame", (_, byte) => {
    insertOneByOne(12);
    const { commits } = framesNow();
    for (const bit of [0, 7]) {
      const { verdict } = judged(flipAt(inFrame(commits[5]!, byte), bit));
      expect(verdict).toMatchObject({ kind: "lost", firstDamaged: commits[5] });
    }
  });

  it("is lost by a flip in the log's header", () => {
    insertOneByOne(5);
    for (let bit = 0; bit < 8 * walHeaderBytes; bit += 1) {
      const { verdict } = judged(flipAt(bit >> 3, bit & 7));
      expect({ bit, ...verdict }).toMatchObject({ bit, kind: "lost", firstDamaged: 0 });
    }
  });

  it("has lost nothing where the database has all that the log has, wherever the flip", () => {
    insertOneByOne(40);
    checkpoint();
    const { count } = framesNow();
    for (let frame = 1; frame <= count; frame += 1) {
      const { verdict } = judged(flipAt(inFrame(frame, (frame * 131) % frameBytes), frame % 8));
      expect({ frame, ...verdict }).toEqual({ frame, kind: "settled", firstDamaged: frame });
    }
  });

  it("is lost in a log that was begun again over its old frames, and not by a flip in those", () => {
    insertOneByOne(20);
    checkpoint();
    insertOneByOne(4);
    const log = walNow();
    const salts = (at: number) => log.subarray(at, at + 8).toString("hex");
    const { count } = framesNow();
    const frames = Array.from({ length: count }, (_, index) => index + 1);
    const old = frames.find((frame) => salts(inFrame(frame, framePart.salt)) !== salts(16))!;
    expect(old).toBeGreaterThan(4);
    for (const frame of [1, 2, old, count - 1]) {
      const { kind } = judged(flipAt(inFrame(frame, 100))).verdict;
      expect({ frame, kind }).toEqual({ frame, kind: frame < old ? "lost" : "whole" });
    }
  });

  it("is lost in a log that was truncated and filled again", () => {
    insertOneByOne(20);
    folder.db.exec("pragma wal_checkpoint(truncate)");
    insertOneByOne(6);
    const { count, commits } = framesNow();
    expect(count).toBe(commits.at(-1));
    for (const commit of commits.slice(0, -1)) {
      const { verdict } = judged(flipAt(inFrame(commit, 100)));
      expect(verdict).toMatchObject({ kind: "lost", firstDamaged: commit, commit });
    }
  });

  it("is lost where only what is before it is in the database", () => {
    insertOneByOne(5);
    const reader = new DatabaseSync(folder.file);
    reader.exec("begin; select count(*) from notes");
    checkpoint();
    insertOneByOne(5);
    const { commits } = framesNow();
    for (const at of [1, 7]) {
      const { verdict } = judged(flipAt(inFrame(commits[at]!, 100)));
      expect(verdict).toMatchObject({ kind: "lost", firstDamaged: commits[at] });
    }
    reader.exec("commit");
    reader.close();
  });

  it("is judged without a change to any byte", () => {
    insertOneByOne(9);
    const file = folder.copy();
    flip(`${file}-wal`, inFrame(4, 100));
    const bytes = () => ["", "-wal"].map((end) => readFileSync(file + end));
    const before = bytes();
    expect(judgeWal(file).kind).toBe("lost");
    expect(bytes()).toEqual(before);
  });
});
