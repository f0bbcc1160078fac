import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type SmallDisk, smallDisk, whyNoSmallDisk } from "./small-disk.ts";
import { startWriter, type Writer } from "./writer.ts";

const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;

const why = await whyNoSmallDisk();
if (why !== undefined) console.warn(`SKIPPED: ${why}`);

describe.skipIf(why !== undefined)("a small disk", () => {
  let disk: SmallDisk;
  let writer: Writer | undefined;
  beforeEach(async () => {
    disk = await smallDisk(1_048_576);
  });
  afterEach(async () => {
    await writer?.end();
    writer = undefined;
    await disk.unmount();
  });

  const start = async () => {
    writer = await startWriter(join(disk.dir, "db"), { enter: disk.enter });
    return writer;
  };

  it("has the size that was asked for", () => {
    const { bsize, blocks } = statfsSync(disk.outside);
    expect(bsize * blocks).toBe(1_048_576);
  });

  it("refuses what is larger", async () => {
    const writer = await start();
    expect(await writer.insert(2_000_000)).toEqual({ errcode: SQLITE_FULL });
    expect(await writer.insert(1000)).toEqual({ rows: 1 });
  });

  it("fills up, and has room again", async () => {
    const writer = await start();
    expect(await writer.insert(1000)).toEqual({ rows: 1 });
    disk.fill();
    expect(await writer.insert(10_000)).toEqual({ errcode: SQLITE_FULL });
    disk.free();
    expect(await writer.insert(10_000)).toEqual({ rows: 2 });
  });

  it("becomes read-only and writable again, but not under open files", async () => {
    const before = await start();
    expect(await before.insert(1000)).toEqual({ rows: 1 });
    await expect(disk.remountReadOnly()).rejects.toThrow("busy");
    await before.end();

    await disk.remountReadOnly();
    const meanwhile = await start();
    // A database in WAL mode cannot even be read without the files beside it.
    expect(meanwhile.opened).toEqual({ errcode: SQLITE_CANTOPEN });
    await meanwhile.end();

    await disk.remountReadWrite();
    const after = await start();
    expect(await after.insert(1000)).toEqual({ rows: 2 });
  });

  it("goes away from under open files", async () => {
    const another = await smallDisk(1_048_576);
    const writer = await startWriter(join(another.dir, "db"), { enter: another.enter });
    expect(existsSync(another.outside)).toBe(true);
    await another.unmount();
    expect(existsSync(another.dir)).toBe(false);
    await writer.end();
  });

  it("goes away with a test process that is killed", async () => {
    const script = `
      const { smallDisk } = await import(${JSON.stringify(join(import.meta.dirname, "small-disk.ts"))});
      console.log((await smallDisk(65_536)).dir);
      setInterval(() => {}, 1000);`;
    const test = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [dir] = await once(createInterface({ input: test.stdout }), "line");
    expect(existsSync(dir)).toBe(true);
    test.kill("SIGKILL");
    await expect.poll(() => existsSync(dir)).toBe(false);
  });
});
