/** Real files of which a change is told, in time that the test moves. Linux tells of a change at once. */
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { stampsOf, watchFiles } from "../../src/runtime/watch-files.ts";
import { virtualTime } from "../support/virtual-time.ts";

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-watch-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function watching(...paths: string[]) {
  let stamps = stampsOf(paths);
  const changed = vi.fn(() => {
    stamps = stampsOf(paths);
  });
  const time = virtualTime();
  const watched = watchFiles({ stamps: () => stamps, changed, time });
  onTestFinished(watched.close);
  return { changed, time, watched, paths };
}

/** A folder with a file as Kubernetes mounts it: `a` leads over `..data`, which `swap` has lead to another folder. */
function mountedFolder() {
  const folder = newFolder();
  const fill = (version: string) => {
    mkdirSync(join(folder, version));
    writeFileSync(join(folder, version, "a"), version);
  };
  fill("..1");
  symlinkSync("..1", join(folder, "..data"));
  symlinkSync(join("..data", "a"), join(folder, "a"));
  const swap = (version: string) => {
    fill(version);
    symlinkSync(version, join(folder, "..data_tmp"));
    renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
  };
  return { folder, swap };
}

describe.runIf(process.platform === "linux")("a change of a file that is watched", () => {
  it("is told a second after the last of what it consists of, once", async () => {
    const folder = newFolder();
    const file = join(folder, "a");
    writeFileSync(file, "1");
    const { changed, time } = watching(file);
    writeFileSync(file, "12");
    await time.advance(900);
    writeFileSync(file, "123");
    await time.advance(999);
    expect(changed).not.toHaveBeenCalled();
    await time.advance(1);
    expect(changed).toHaveBeenCalledTimes(1);
    await time.advance(120_000);
    expect(changed).toHaveBeenCalledTimes(1);
  });

  it("is told two seconds after the first, however long it goes on", async () => {
    const file = join(newFolder(), "a");
    writeFileSync(file, "1");
    const { changed, time } = watching(file);
    for (let text = "12"; text.length < 7; text += "0") {
      writeFileSync(file, text);
      await time.advance(400);
      expect(changed).toHaveBeenCalledTimes(text.length < 6 ? 0 : 1);
    }
    writeFileSync(file, "2");
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(2);
  });

  it.each([
    ["in its folder", (folder: string) => join(folder, "a")],
    ["in the folder that a link leads to", () => join(mountedFolder().folder, "a")],
  ])("is not delayed by files %s", async (_, place) => {
    const file = place(newFolder());
    writeFileSync(file, "1");
    const { changed, time } = watching(file);
    const beside = ["log", "kms.db", "kms.db-wal", "A", "a~"].map((name) => join(dirname(realpathSync(file)), name));
    const writeBeside = async (ms: number) => {
      for (let passed = 0; passed < ms; passed += 100) {
        for (const path of beside) appendFileSync(path, "a line\n");
        await time.advance(100);
      }
    };
    await writeBeside(5_000);
    writeFileSync(file, "12");
    await writeBeside(900);
    expect(changed).not.toHaveBeenCalled();
    await writeBeside(100);
    expect(changed).toHaveBeenCalledTimes(1);
    await writeBeside(5_000);
    expect(changed).toHaveBeenCalledTimes(1);
  });

  it("is one of another file in its place", async () => {
    const folder = newFolder();
    writeFileSync(join(folder, "a"), "1");
    const { changed, time } = watching(join(folder, "a"));
    writeFileSync(join(folder, "new"), "3");
    renameSync(join(folder, "new"), join(folder, "a"));
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(1);
    writeFileSync(join(folder, "beside"), "4");
    await time.advance(60_000);
    expect(changed).toHaveBeenCalledTimes(1);
  });

  it("is one of a link on its way, each time", async () => {
    const { folder, swap } = mountedFolder();
    const { changed, time } = watching(join(folder, "a"));
    for (const version of ["..2", "..3", "..4"]) {
      swap(version);
      await time.advance(1_000);
    }
    expect(changed).toHaveBeenCalledTimes(3);
  });

  it("is one of a file that a link in another folder leads to, and of what this link leads to", async () => {
    const [links, first, second] = [newFolder(), newFolder(), newFolder()];
    for (const folder of [first, second]) writeFileSync(join(folder, "a"), "1");
    symlinkSync(first, join(links, "current"));
    const { changed, time } = watching(join(links, "current", "a"));
    writeFileSync(join(first, "a"), "12");
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(1);
    symlinkSync(second, join(links, "next"));
    renameSync(join(links, "next"), join(links, "current"));
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(2);
    writeFileSync(join(second, "a"), "123");
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(3);
  });

  it("is one of the folder that is put in its folder's place", async () => {
    const [folder, next] = [join(newFolder(), "current"), newFolder()];
    for (const each of [folder, next]) {
      mkdirSync(each, { recursive: true });
      writeFileSync(join(each, "a"), each);
    }
    const { changed, time } = watching(join(folder, "a"));
    renameSync(folder, `${folder}.old`);
    renameSync(next, folder);
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(1);
    writeFileSync(join(folder, "a"), "1");
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(2);
  });

  it("is not told where it is read for another reason, and after the end", async () => {
    const file = join(newFolder(), "a");
    const { changed, time, watched } = watching(file);
    writeFileSync(file, "1");
    await watched.read();
    expect(changed).toHaveBeenCalledTimes(1);
    await time.advance(60_000);
    writeFileSync(file, "12");
    await time.idle();
    watched.close();
    await time.advance(60_000);
    expect([changed.mock.calls.length, time.timers()]).toEqual([1, 0]);
  });

  it("is told of the files that are named since, at once", async () => {
    const [one, other] = [join(newFolder(), "a"), join(newFolder(), "a")];
    const { changed, time, paths } = watching(one);
    writeFileSync(other, "1");
    paths[0] = other;
    writeFileSync(one, "1");
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(1);
    writeFileSync(other, "12");
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(2);
    writeFileSync(one, "12");
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(2);
  });
});

it("a change after the files were read, and before they are watched, is told", async () => {
  const file = join(newFolder(), "a");
  let stamps = stampsOf([file]);
  writeFileSync(file, "1");
  const changed = vi.fn(() => {
    stamps = stampsOf([file]);
  });
  const time = virtualTime();
  onTestFinished(watchFiles({ stamps: () => stamps, changed, time }).close);
  await time.advance(2_000);
  expect(changed).toHaveBeenCalledTimes(1);
});

describe.runIf(process.platform === "linux")("a file that is not there yet", () => {
  it.each<[string, (top: string) => string, (top: string) => void]>([
    [
      "in a folder that is made later",
      (top) => join(top, "x", "y", "a"),
      (top) => mkdirSync(join(top, "x", "y"), { recursive: true }),
    ],
    [
      "behind a link that leads nowhere yet",
      (top) => {
        symlinkSync(join(top, "x", "y"), join(top, "link"));
        return join(top, "link", "a");
      },
      (top) => mkdirSync(join(top, "x", "y"), { recursive: true }),
    ],
  ])("is told %s", async (_, place, make) => {
    const top = newFolder();
    const file = place(top);
    const { changed, time } = watching(file);
    make(top);
    await time.advance(5_000);
    expect(changed).not.toHaveBeenCalled();
    writeFileSync(file, "1");
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(1);
  });

  it("is told when a folder far above is put in another's place, and when it comes back", async () => {
    const top = newFolder();
    mkdirSync(join(top, "x", "y"), { recursive: true });
    writeFileSync(join(top, "x", "y", "a"), "1");
    const { changed, time } = watching(join(top, "x", "y", "a"));
    renameSync(join(top, "x"), join(top, "away"));
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(1);
    renameSync(join(top, "away"), join(top, "x"));
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(2);
  });

  it("is told behind a link and two dots, as the system reads them", async () => {
    const [top, other] = [newFolder(), newFolder()];
    mkdirSync(join(other, "x"));
    symlinkSync(join(other, "x"), join(top, "link"));
    const { changed, time } = watching(`${top}/link/../a`);
    writeFileSync(join(other, "a"), "1");
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(1);
  });
});

it("a change of rights is a change", async () => {
  const file = join(newFolder(), "a");
  writeFileSync(file, "1", { mode: 0o666 });
  const { changed, time } = watching(file);
  chmodSync(file, 0o600);
  await time.advance(60_000);
  expect(changed).toHaveBeenCalledTimes(1);
});

it("files are looked at once a minute, and what was refused is tried again then", async () => {
  const file = join(newFolder(), "a");
  writeFileSync(file, "1");
  let stamps = stampsOf([file]);
  const changed = vi.fn(() => {
    stamps = stampsOf([file]);
  });
  const [retry, time] = [vi.fn(), virtualTime()];
  onTestFinished(watchFiles({ stamps: () => stamps, changed, retry, time }).close);
  stamps = new Map([[file, "as if an event had been lost"]]);
  await time.advance(59_999);
  expect([changed, retry].map(({ mock }) => mock.calls.length)).toEqual([0, 0]);
  await time.advance(1);
  expect([changed, retry].map(({ mock }) => mock.calls.length)).toEqual([1, 0]);
  await time.advance(60_000);
  expect([changed, retry].map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
});

it("paths of any length and depth do no harm", async () => {
  const [deep, long, round] = ["/a".repeat(100_000), `/${"b".repeat(100_000)}`, join(newFolder(), "round")];
  symlinkSync(round, round);
  const { changed, time } = watching(deep, long, join(round, "a"), "", relative(process.cwd(), newFolder()));
  await time.advance(120_000);
  expect(changed).not.toHaveBeenCalled();
});
