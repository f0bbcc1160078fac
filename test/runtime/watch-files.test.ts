/** Real files of which a change is told, in time that the test moves. Linux tells of a change at once. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { watchFiles } from "../../src/runtime/watch-files.ts";
import { virtualTime } from "../support/virtual-time.ts";

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-watch-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function watching(...paths: string[]) {
  const changed = vi.fn();
  const time = virtualTime();
  const watched = watchFiles({ paths: () => paths, changed, time });
  onTestFinished(watched.close);
  return { changed, time, watched, paths };
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

  it("is one of another file in its place, and of the link on its way", async () => {
    const folder = newFolder();
    for (const at of ["1", "2"]) {
      mkdirSync(join(folder, at));
      writeFileSync(join(folder, at, "a"), at);
    }
    symlinkSync("1", join(folder, "..data"));
    symlinkSync("..data/a", join(folder, "a"));
    const { changed, time } = watching(join(folder, "a"));
    symlinkSync("2", join(folder, "..next"));
    renameSync(join(folder, "..next"), join(folder, "..data"));
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(1);
    writeFileSync(join(folder, "new"), "3");
    renameSync(join(folder, "new"), join(folder, "a"));
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(2);
    writeFileSync(join(folder, "beside"), "4");
    await time.advance(1_000);
    expect(changed).toHaveBeenCalledTimes(2);
  });

  it("is not told where it is known already, and after the end", async () => {
    const file = join(newFolder(), "a");
    const { changed, time, watched } = watching(file);
    writeFileSync(file, "1");
    watched.known();
    await time.advance(60_000);
    writeFileSync(file, "12");
    await time.idle();
    watched.close();
    await time.advance(60_000);
    expect([changed.mock.calls.length, time.timers()]).toEqual([0, 0]);
  });

  it("is told of the files that are asked for since", async () => {
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

it("a folder that cannot be watched is looked into once a minute", async () => {
  const folder = join(newFolder(), "later");
  const { changed, time } = watching(join(folder, "a"));
  mkdirSync(folder);
  writeFileSync(join(folder, "a"), "1");
  await time.advance(59_999);
  expect(changed).not.toHaveBeenCalled();
  await time.advance(1);
  expect(changed).toHaveBeenCalledTimes(1);
});
