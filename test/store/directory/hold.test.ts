/** The directory in which a service without settings has its keys: what a start makes, finishes, refuses, and holds. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { filesIn, isDataDirectory } from "../../../src/store/directory/layout.ts";
import { holdDirectory } from "../../../src/store/directory/hold.ts";
import { directory } from "../../support/config-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";

const ofOwner = process.platform !== "win32";

function open(path: string) {
  const opened = holdDirectory(filesIn(path));
  onTestFinished(opened.close);
  return opened;
}

async function refusal(path: string): Promise<string> {
  const { code, message, advice } = (await thrownBy(() => holdDirectory(filesIn(path)))) as {
    code: string;
    message: string;
    advice: string;
  };
  expect(code).toBe("STORE_UNAVAILABLE");
  return `${message}: ${advice}`;
}

describe("a data directory", () => {
  it("is made with those above it, for its owner alone, kept out of Git, and marked", () => {
    const path = join(directory(), "above", "data");
    expect(open(path).isNew).toBe(true);
    expect(isDataDirectory(path)).toBe(true);
    expect(readFileSync(join(path, ".gitignore"), "utf8")).toBe("*\n");
    if (ofOwner) expect(statSync(path).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(path)) if (ofOwner) expect(statSync(join(path, name)).mode & 0o077).toBe(0);
  });

  it("may be there and empty, as a volume is that was just made", () => {
    const path = directory();
    mkdirSync(join(path, "lost+found"));
    expect(open(path).isNew).toBe(true);
    expect(isDataDirectory(path)).toBe(true);
  });

  it.each([
    ["before anything in it", []],
    ["after .gitignore", [".gitignore"]],
    ["after the mark", [".gitignore", ".fluo-kms-data"]],
  ])("is finished by the next start if one was killed %s", (_when, names) => {
    const path = directory(Object.fromEntries(names.map((name) => [name, ""])));
    expect(open(path).isNew).toBe(true);
    expect(isDataDirectory(path)).toBe(true);
  });

  it("is none if something else is in it, which stays as it is", async () => {
    const path = directory({ "letter.txt": "Dear Ann", ".gitignore": "letter.txt" });
    expect(await refusal(path)).toBe(
      `${path} is not a data directory of fluo-kms: it has no .fluo-kms-data: move it away, or set fluo.kms.data-directory to a directory for this service alone`,
    );
    expect(readdirSync(path).sort()).toEqual([".gitignore", "letter.txt"]);
    expect(readFileSync(join(path, ".gitignore"), "utf8")).toBe("letter.txt");
  });

  it("is none with a .gitignore of somebody else, which stays as it is", async () => {
    const path = directory({ ".gitignore": "*.log" });
    expect(await refusal(path)).toContain("is not a data directory of fluo-kms");
    expect(readFileSync(join(path, ".gitignore"), "utf8")).toBe("*.log");
  });

  it("is new until it has a master key, and has the database's name before", () => {
    const path = join(directory(), "data");
    const { database, masterKey } = filesIn(path);
    open(path).close();
    expect(statSync(database).size).toBe(0);
    const again = open(path);
    expect(again.isNew).toBe(true);
    again.close();
    writeFileSync(masterKey, "");
    expect(open(path).isNew).toBe(false);
  });

  it("is refused without the master key that opens its store, and no other is made", async () => {
    const path = join(directory(), "data");
    open(path).close();
    const { database, masterKey } = filesIn(path);
    writeFileSync(database, "keys");
    expect(await refusal(path)).toBe(
      `${masterKey} is missing, which opens the keys in ${database}: put it back; to begin anew, move ${path} away`,
    );
    expect(existsSync(masterKey)).toBe(false);
    writeFileSync(masterKey, "");
    expect(open(path).isNew).toBe(false);
  });

  it("is refused without the store whose keys its master key opens, and no other is made", async () => {
    const path = join(directory(), "data");
    open(path).close();
    const { database, masterKey } = filesIn(path);
    writeFileSync(masterKey, "");
    rmSync(database);
    expect(await refusal(path)).toBe(
      `${database} is missing, which has the keys of ${path}: put it back, or a backup by fluo-kms restore; to begin anew, move ${path} away`,
    );
    expect(existsSync(database)).toBe(false);
  });

  it("that was refused is held by nobody", async () => {
    const path = join(directory(), "data");
    open(path).close();
    const { database, masterKey } = filesIn(path);
    writeFileSync(database, "keys");
    await refusal(path);
    writeFileSync(masterKey, "");
    expect(open(path).isNew).toBe(false);
  });

  it("may be behind a link, unless that leads nowhere", async () => {
    const above = directory();
    const path = join(above, "link");
    symlinkSync(join(above, "data"), path);
    expect(await refusal(path)).toContain(`the data directory ${path} cannot be used (ENOENT): `);
    mkdirSync(join(above, "data"));
    expect(open(path).isNew).toBe(true);
    expect(isDataDirectory(join(above, "data"))).toBe(true);
  });

  it("that cannot be made names what can be set instead", async () => {
    const path = join(directory({ file: "" }), "file", "data");
    expect(await refusal(path)).toBe(
      `the data directory ${path} cannot be used (ENOTDIR): set fluo.kms.data-directory to a volume that the service may write to, or fluo.kms.store=memory for keys that end with the process`,
    );
  });

  it.runIf(ofOwner && process.getuid?.() !== 0)("that cannot be written does, too", async () => {
    const above = directory();
    chmodSync(above, 0o500);
    expect(await refusal(join(above, "data"))).toMatch(/ cannot be used \(EACCES\): .* or fluo\.kms\.store=memory /);
    const path = join(directory(), "data");
    open(path).close();
    rmSync(join(path, "serve.lock"));
    chmodSync(path, 0o500);
    expect(await refusal(path)).toMatch(/ cannot be /);
    chmodSync(path, 0o700);
  });
});

describe("a data directory that is held", () => {
  it("is of one process, which is named, and free again once that closes it", async () => {
    const path = join(directory(), "data");
    const held = open(path);
    expect(await refusal(path)).toBe(
      `process ${process.pid} serves from ${path}: stop it, or set fluo.kms.data-directory to another directory for this one`,
    );
    held.close();
    open(path);
  });

  it.each([
    [`4711 ${hostname()}\n`, "process 4711 "],
    ["17 another-host\n", "process 17 of another-host "],
    ["", "another process "],
    [undefined, "another process "],
  ])("by who wrote %j is said to be of that process", async (written, words) => {
    const path = join(directory(), "data");
    open(path);
    if (written === undefined) rmSync(join(path, "serve.pid"));
    else writeFileSync(join(path, "serve.pid"), written);
    expect(await refusal(path)).toContain(`${words}serves from`);
  });

  it("is not held by what a killed process left", async () => {
    const path = join(directory(), "data");
    open(path).close();
    writeFileSync(join(path, "serve.pid"), `4711 ${hostname()}\n`);
    open(path);
    expect(await refusal(path)).toContain(`process ${process.pid} serves`);
  });
});
