import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openBackup, openTables } from "../../../src/store/registry.ts";
import { openSqlite } from "../../../src/store/sqlite/open.ts";
import { directory } from "../../support/config-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { addKey, sqliteBackdoor, unlocked } from "../../support/store-fixture.ts";
import { realTime } from "../../../src/runtime/time.ts";

const nobody = 65_534;
const registry = new URL("../../../src/store/registry.ts", import.meta.url).href;

/** What a user who may read everything and write nothing finds in the store, or the error. */
function foundByReader(file: string, open: "openTables" | "openBackup"): string {
  const script = `
    const { openTables, openBackup } = await import(${JSON.stringify(registry)});
    const opening = ${open}(${open === "openTables" ? JSON.stringify({ name: "sqlite", file }) : JSON.stringify(file)});
    const found = async (tables) => (await tables.content()) + ": " + (tables.log.isWarning ? tables.log.text : "");
    console.log(await opening.then(found, (error) => error.code + " " + error.message));`;
  const asReader = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    ...asReader,
    encoding: "utf8",
  });
  return stdout + stderr;
}

/** A store's directory, and a link to its file from another. */
function linked() {
  const { file, open } = sqliteBackdoor();
  const elsewhere = directory();
  const link = join(elsewhere, "link.db");
  symlinkSync(file, link);
  return { file, link, elsewhere, open };
}

describe("a SQLite store behind a symbolic link", () => {
  it("is read with its log, where the directory of the link cannot be written to", async () => {
    const { file, link, elsewhere, open } = linked();
    const store = await unlocked(await open());
    await addKey(store);
    expect(statSync(`${file}-wal`).size).toBeGreaterThan(0);
    for (const name of [file, `${file}-wal`, `${file}-shm`]) chmodSync(name, 0o644);
    chmodSync(join(file, ".."), 0o755);
    chmodSync(elsewhere, 0o555);
    for (const open of ["openTables", "openBackup"] as const) {
      expect(foundByReader(link, open)).toMatch(/1 keys of 1 tenants.*not examined for damage.*service's user/);
    }
    await store.close();
  });

  it("is used by its real name, so that the files beside it are watched", async () => {
    const { file, link, open } = linked();
    await (await open()).close();
    const store = await unlocked(await openSqlite({ name: "sqlite", file: link }, realTime));
    await addKey(store);
    const tables = await openTables({ name: "sqlite", file: link });
    expect(await tables.content()).toContain("1 keys of 1 tenants");
    await tables.close();
    await store.close();
    chmodSync(file, 0o640);
    expect(await thrownBy(() => openSqlite({ name: "sqlite", file: link }, realTime))).toBeKmsError(
      "STORE_UNAVAILABLE",
      `chmod 600 ${file}`,
    );
  });
});

describe("a reader who can write nothing", () => {
  it("is refused a store that a service may write, and reads a backup", async () => {
    const { file, open } = sqliteBackdoor();
    const store = await unlocked(await open());
    await addKey(store);
    await store.close();
    chmodSync(file, 0o444);
    chmodSync(join(file, ".."), 0o555);
    expect(foundByReader(file, "openTables")).toMatch(/^STORE_UNAVAILABLE .* run this as the service's user/);
    expect(foundByReader(file, "openBackup")).toContain("1 keys of 1 tenants");
    chmodSync(join(file, ".."), 0o755);
  });

  const inNamespace = (...command: string[]) =>
    spawnSync("unshare", ["-m", "sh", "-ec", ...command], { encoding: "utf8" });
  it.skipIf(inNamespace("true").status !== 0)("reads the store on a file system that is read-only", async () => {
    const { file, open } = sqliteBackdoor();
    const store = await unlocked(await open());
    await addKey(store);
    await store.close();
    const script = `
      const { openTables } = await import(${JSON.stringify(registry)});
      const tables = await openTables({ name: "sqlite", file: ${JSON.stringify(file)} });
      console.log(await tables.content());`;
    const mount = 'mount --bind "$0" "$0"; mount -o remount,ro,bind "$0"; exec "$1" --input-type=module -e "$2"';
    const { stdout, stderr } = inNamespace(mount, join(file, ".."), process.execPath, script);
    expect(stdout + stderr).toContain("1 keys of 1 tenants");
  });
});

describe("a directory", () => {
  it("is not taken for a SQLite file", async () => {
    const file = join(directory(), "kms.db");
    mkdirSync(file, { mode: 0o755 });
    for (const open of [
      () => openSqlite({ name: "sqlite", file }, realTime),
      () => openTables({ name: "sqlite", file }),
    ]) {
      expect(await thrownBy(open)).toBeKmsError("STORE_UNAVAILABLE", "file");
    }
    expect(await thrownBy(() => openBackup(file))).toBeKmsError("STORE_UNAVAILABLE", "is a directory, not a file");
    expect(String(await thrownBy(() => openSqlite({ name: "sqlite", file }, realTime)))).toContain(
      "is a directory, not a file",
    );
  });
});
