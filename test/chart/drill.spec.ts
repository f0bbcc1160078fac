/** The chart's drill with a real backup: what a job of it does in a pod, and what it must not let pass. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import { inStore, type Place, sqlitePlace } from "../support/cli-store-fixture.ts";

const root = join(import.meta.dirname, "..", "..");
const drill = join(root, "deploy", "helm", "fluo-kms", "files", "drill.mjs");
const older = "fluo-kms-ffffffff-20261101T020000Z.db";
const newer = "fluo-kms-00000000-20261102T020000Z.db";

interface Site {
  live: Place;
  /** A backup under a name of the folder of backups. */
  backUp(name: string): Promise<string>;
  run(): { code: number | null; out: string; err: string };
}

async function site(): Promise<Site> {
  const live = sqlitePlace();
  const [backups, work] = ["backups", "work"].map((name) => join(live.directory, name)) as [string, string];
  mkdirSync(backups);
  const config = (name: string, file: string) => {
    const path = join(live.directory, name);
    writeFileSync(path, `fluo.kms.local.master-key-file=${live.masterKeyFile}\nfluo.kms.sqlite.file=${file}\n`);
    return path;
  };
  const own = config("job.properties", join(live.directory, "kms.db"));
  const copy = config("drill.properties", join(work, "fluo-kms.db"));
  await addKey(live, "acme");
  return {
    live,
    async backUp(name) {
      const file = join(backups, name);
      expect(await live.run("backup", file)).toMatchObject({ code: 0 });
      return file;
    },
    run() {
      const args = [`--program=${join(root, "src", "main.js")}`, `--backups=${backups}`, `--work=${work}`];
      const all = [drill, ...args, `--drill-config=${copy}`, `--config=${own}`];
      const { status, stdout, stderr } = spawnSync(process.execPath, all, { cwd: live.directory, encoding: "utf8" });
      return { code: status, out: stdout, err: stderr };
    },
  };
}

async function addKey(place: Place, tenant: string): Promise<void> {
  await inStore(place, async ({ keyring }) => keyring.activeDataKey(tenant));
}

it("restores the newest backup, checks it, and notes that in the store", async () => {
  const { live, backUp, run } = await site();
  await backUp(older);
  await addKey(live, "globex");
  await backUp(newer);
  const { code, out, err } = run();
  expect(err).toBe("");
  expect(code).toBe(0);
  expect(out).toContain(`the newest backup is ${newer}`);
  expect(out).toContain('"opened": 2');
  expect(out).toMatch(/noted: the check of \d{4}-/);
  expect(out).toContain("the drill is noted in the store");
  // Again, over what the last one left.
  expect(run()).toMatchObject({ code: 0, err: "" });
});

it("can read a backup that lies in a folder where it may not write: it has no log beside it", async () => {
  const { backUp } = await site();
  const file = await backUp(newer);
  // Bytes 18 and 19 of a database say whether it has a write-ahead log: sqlite.org/fileformat.html
  expect([...readFileSync(file).subarray(18, 20)]).toEqual([1, 1]);
});

it("fails where there is no backup, and where others alone are", async () => {
  const { live, run } = await site();
  copyFileSync(join(live.directory, "kms.db"), join(live.directory, "backups", "kms.db"));
  const { code, err } = run();
  expect(err).toContain("there is no backup in");
  expect(code).toBe(1);
});

it("fails at a backup that was altered, and notes nothing", async () => {
  const { backUp, run } = await site();
  const file = await backUp(newer);
  const database = new DatabaseSync(file);
  database.exec("UPDATE kms_keys SET tenant_id = 'globex'");
  database.close();
  const { code, out, err } = run();
  expect(err).toContain("nothing was restored");
  expect(err).toContain("drill: fluo-kms restore failed");
  expect(code).toBe(1);
  expect(out).not.toContain("noted");
});
