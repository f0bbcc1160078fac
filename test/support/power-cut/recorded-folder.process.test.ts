import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { whyNotPreloaded } from "../preloaded-library.ts";
import { type RecordedFolder, recordedFolder } from "./recorded-folder.ts";

const why = whyNotPreloaded();
it.skipIf(why !== undefined && !process.env.CI)("power cuts can be simulated here", () => expect(why).toBeUndefined());

describe.skipIf(why !== undefined)("a power cut", () => {
  let folder: RecordedFolder;
  beforeEach(() => {
    folder = recordedFolder();
  });
  afterEach(() => folder[Symbol.dispose]());

  /** A process that does this to the folder, and is gone. */
  function run(script: string): void {
    const prelude = `const fs = require("node:fs"); process.chdir(${JSON.stringify(folder.path)});
      const at = (name) => ${JSON.stringify(folder.path)} + "/" + name;
      const opened = (name, flags, work) => { const file = fs.openSync(at(name), flags); work(file); fs.closeSync(file); };
      const syncFolder = () => { const file = fs.openSync(${JSON.stringify(folder.path)}, "r"); fs.fsyncSync(file); fs.closeSync(file); };`;
    const { status, stderr } = spawnSync(process.execPath, ["-e", prelude + script], {
      env: folder.env(),
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  }

  const all = () => 0; // of what was not synced, each sector and no name
  const nothing = () => 1 - Number.EPSILON; // no sector, and all names

  function contents(): Record<string, string> {
    return Object.fromEntries(
      readdirSync(folder.path).map((name) => [name, readFileSync(join(folder.path, name), "utf8")]),
    );
  }

  it("leaves what was synced under names that were synced", () => {
    run(
      `opened("a", "w", (file) => { fs.writeSync(file, "kept"); fs.fsyncSync(file); fs.writeSync(file, "lost"); }); syncFolder();`,
    );
    expect(folder.cut(nothing)).toEqual({ unsynced: 1 });
    expect(contents()).toEqual({ a: "kept" });
  });

  it("may leave what was not synced, and may take the name", () => {
    run(`opened("a", "w", (file) => fs.writeSync(file, "all"));`);
    folder.cut(all);
    expect(contents()).toEqual({});
    run(`opened("a", "w", () => {}); syncFolder(); opened("a", "r+", (file) => fs.writeSync(file, "all"));`);
    folder.cut(all);
    expect(contents()).toEqual({ a: "all" });
  });

  it("takes any of the sectors of a write", () => {
    run(`opened("a", "w", (file) => fs.writeSync(file, "x".repeat(2048))); syncFolder();`);
    let turn = 0;
    folder.cut(() => [0, 0.9, 0, 0, 0.9][turn++]!); // the names, and then each sector
    expect(contents().a).toBe("\0".repeat(512) + "x".repeat(1024));
  });

  it("puts a file back that was emptied, renamed over or removed without a sync", () => {
    run(
      `for (const name of ["a", "b", "c"]) opened(name, "w", (file) => { fs.writeSync(file, name); fs.fsyncSync(file); }); syncFolder();`,
    );
    folder.cut(nothing);
    run(
      `opened("a", "w", () => {}); opened("b", "r", () => {}); fs.renameSync(at("b"), at("a")); fs.unlinkSync(at("c"));`,
    );
    folder.cut(() => 0.6); // not the new length, and of three changes of names the first two
    expect(contents()).toEqual({ a: "b", c: "c" });
  });

  it("keeps what another process wrote meanwhile", () => {
    run(`opened("a", "w", (file) => { fs.writeSync(file, "1"); fs.fsyncSync(file); }); syncFolder();`);
    folder.cut(nothing);
    writeFileSync(join(folder.path, "a"), "22");
    folder.keep();
    run(`opened("a", "r+", (file) => fs.writeSync(file, "3"));`);
    folder.cut(nothing);
    expect(contents()).toEqual({ a: "22" });
  });

  it("leaves links, and goes on from what it left", () => {
    run(
      `opened("new", "w", (file) => { fs.writeSync(file, "key"); fs.fsyncSync(file); }); fs.linkSync(at("new"), at("key")); fs.unlinkSync(at("new")); syncFolder();`,
    );
    folder.cut(nothing);
    expect(contents()).toEqual({ key: "key" });
    run("");
    folder.cut(nothing);
    expect(contents()).toEqual({ key: "key" });
  });
});
