import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type FailingCalls, failingCalls } from "./failing-calls.ts";
import { whyNotPreloaded } from "../support/preloaded-library.ts";
import { startWriter, type Writer } from "./writer.ts";

// SQLite's result codes; the extended ones have the primary one in their low byte.
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_IOERR_WRITE = 778;
const SQLITE_IOERR_FSYNC = 1034;

const why = whyNotPreloaded();
if (why !== undefined) console.warn(`SKIPPED unless CI is set: ${why}`);

it.skipIf(why !== undefined && !process.env.CI)("calls can be made to fail here", () => {
  expect(why).toBeUndefined();
});

describe.skipIf(why !== undefined)("calls that fail", () => {
  let dir: string;
  let calls: FailingCalls;
  let writer: Writer;
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), "fluo-kms-failing-"));
    calls = failingCalls(dir);
    writer = await startWriter(join(dir, "db"), { env: calls.env });
    expect(writer.opened).toBe("open");
  });
  afterEach(async () => {
    await writer.end();
    calls.close();
    rmSync(dir, { recursive: true });
  });

  it("leave SQLite alone until they are told to fail", async () => {
    expect(await writer.insert(1000)).toEqual({ rows: 1 });
  });

  it("make a commit fail that cannot be synced", async () => {
    calls.fail("sync", "EIO");
    expect(await writer.insert(1000)).toEqual({ errcode: SQLITE_IOERR_FSYNC });
    calls.heal();
    expect(await writer.insert(1000)).toEqual({ rows: 1 });
  });

  it("leave in the file what could not be synced, so that it may be there after a crash", async () => {
    expect(await writer.insert(1000)).toEqual({ rows: 1 });
    calls.fail("sync", "EIO");
    expect(await writer.insert(1000)).toEqual({ errcode: SQLITE_IOERR_FSYNC });
    writer.kill();
    await writer.end();
    const other = await startWriter(join(dir, "db"));
    expect(await other.insert(1000)).toEqual({ rows: 3 });
    await other.end();
  });

  it("make writes fail as on a full disk", async () => {
    calls.fail("write", "ENOSPC");
    expect(await writer.insert(1000)).toEqual({ errcode: SQLITE_FULL });
    calls.heal();
    expect(await writer.insert(1000)).toEqual({ rows: 1 });
  });

  it("make writes fail as on a file system that has become read-only", async () => {
    calls.fail("write", "EROFS");
    expect(await writer.insert(1000)).toEqual({ errcode: SQLITE_IOERR_WRITE });
    const other = await startWriter(join(dir, "other"), { env: calls.env });
    expect(other.opened).toEqual({ errcode: SQLITE_CANTOPEN });
    await other.end();
  });

  it("do not fail in another directory", async () => {
    calls.fail("write", "ENOSPC");
    const elsewhere = mkdtempSync(join(tmpdir(), "fluo-kms-working-"));
    const other = await startWriter(join(elsewhere, "db"), { env: calls.env });
    expect(await other.insert(1000)).toEqual({ rows: 1 });
    await other.end();
    rmSync(elsewhere, { recursive: true });
  });
});
