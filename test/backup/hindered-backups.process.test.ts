/**
 * Backups that meet others, and files that may not be removed: each is whole and stays, or fails with a reason. By real processes, which are
 * another user's where the test is root's, whom no right stops.
 */
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { run } from "../support/cli-fixture.ts";
import { inStore, type Place, sql, sqlitePlace } from "../support/cli-store-fixture.ts";
import { eventually } from "../support/eventually.ts";
import { type ServiceProcess, startProcess } from "../support/service-process.ts";

const nobody = 65_534;
const isRoot = process.getuid?.() === 0;
const enter = isRoot ? ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"] : [];

interface Hindered extends Place {
  to: string;
  backUp(keep?: number): Promise<{ code: number | null; out: string; err: string }>;
  serve(more?: Record<string, string>): Promise<ServiceProcess>;
}

/** A store with a key, of the user that its processes have, and a directory for its backups. */
async function hindered(): Promise<Hindered> {
  const where = sqlitePlace();
  const to = join(where.directory, "to");
  mkdirSync(to);
  await inStore(where, async ({ keyring }) => keyring.activeDataKey("acme"));
  const paths = [".", ...readdirSync(where.directory)].map((name) => join(where.directory, name));
  if (isRoot) for (const path of paths) chownSync(path, nobody, nobody);
  onTestFinished(() => chmodSync(to, 0o700));
  const here = { enter, cwd: where.directory };
  const serve = (more = {}) => startProcess({ ...where.env, ...more }, here);
  const backUp = (keep = 1) =>
    run(["backup", "--directory", "to", "--keep", `${keep}`], { env: { ...where.env, ...interval }, ...here });
  return { ...where, to, backUp, serve };
}

const interval = { FLUO_KMS_BACKUP_INTERVAL: "1h" };
const backupsIn = (to: string) =>
  readdirSync(to)
    .filter((name) => name.endsWith(".db"))
    .sort();
const draftsIn = (to: string) => readdirSync(to).filter((name) => name.endsWith(".new"));

/** Whether what is restored from it has no problem. */
async function isWhole(from: Place, name: string): Promise<boolean> {
  const into = from.with({ name: "sqlite", file: join(from.directory, `restored-${name}`) });
  expect(await into.run("restore", join(from.directory, "to", name))).toMatchObject({ code: 0 });
  return (await into.json("check")).answer.ok;
}

/** A service whose backup is stopped midway. One that was faster than its test is made again. */
async function stoppedMidway(where: Hindered, env: Record<string, string>) {
  for (;;) {
    const service = await where.serve(env);
    await eventually(() => expect([...draftsIn(where.to), ...backupsIn(where.to)]).not.toEqual([]), { everyMs: 1 });
    const making = backupProcessOf(service);
    if (making !== undefined) {
      process.kill(making, "SIGSTOP");
      onTestFinished(() => {
        if (existsSync(`/proc/${making}`)) process.kill(making, "SIGKILL");
      });
      if (backupsIn(where.to).length === 0) return { service, making };
      process.kill(making, "SIGCONT");
    }
    expect(await service.end()).toBe(0);
    for (const name of backupsIn(where.to)) rmSync(join(where.to, name));
    await sql(where, "delete from kms_leases where name = 'backup'");
  }
}

function backupProcessOf({ child }: ServiceProcess): number | undefined {
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ");
  const found = children.find(
    (pid) => pid !== "" && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("backup/entry"),
  );
  return found === undefined ? found : Number(found);
}

describe.skipIf(process.platform !== "linux")("a command beside the backup of a service", () => {
  it("makes its own, says that it is not noted, and both are whole", async () => {
    const where = await hindered();
    // Once: that of the year before was missed.
    const cron = {
      FLUO_KMS_BACKUP_CRON: "0 0 0 1 1 ?",
      FLUO_KMS_BACKUP_DIRECTORY: where.to,
      FLUO_KMS_BACKUP_KEEP: "1",
    };
    const { service, making } = await stoppedMidway(where, { ...cron, ...interval });
    const [draft] = draftsIn(where.to);
    expect(draft).toBeDefined();
    const { code, out, err } = await where.backUp();
    expect({ code, out }).toMatchObject({ code: 0, out: expect.not.stringContaining("noted in the store") });
    expect(err).toBe(
      "warning: the backup was made, and is not noted in the store: another process makes or notes a backup now: try again\n",
    );
    const [commands] = backupsIn(where.to);
    expect(backupsIn(where.to)).toHaveLength(1);
    expect(draftsIn(where.to)).toContain(draft);

    process.kill(making, "SIGCONT");
    await service.said(/a backup was made/);
    // The service's was begun before, so it is no newer one that the command's would have to go for.
    const both = backupsIn(where.to);
    expect(both).toHaveLength(2);
    expect(both[1]).toBe(commands);
    expect(draftsIn(where.to)).toEqual([]);
    expect(await service.end()).toBe(0);
    for (const name of both) expect(await isWhole(where, name)).toBe(true);
    const noted = await inStore(where, ({ store }) => store.leaseFinishedAt("backup"));
    expect(noted?.toISOString().replaceAll(/[-:.]/g, "")).toBe(/-(\w+)\.db$/.exec(both[0]!)![1]);
  });
});

describe.skipIf(!isRoot)("files of another user, in a directory where each removes their own alone", () => {
  it("stay, and all else goes that should: the new backup is whole, and the command fails", async () => {
    const where = await hindered();
    for (let n = 0; n < 3; n += 1) expect((await where.backUp(9)).code).toBe(0);
    const [first, second, third] = backupsIn(where.to) as [string, string, string];
    const draft = `.${first}.0123456789abcdef.new`;
    writeFileSync(join(where.to, draft), "");
    chownSync(join(where.to, third), 0, 0);
    chownSync(where.to, 0, 0);
    chmodSync(where.to, 0o1777);

    const { code, out, err } = await where.backUp(1);
    const left = backupsIn(where.to);
    expect(left).toHaveLength(2);
    expect(left).not.toContain(first);
    expect(left).not.toContain(second);
    expect({ code, out }).toMatchObject({ code: 1, out: expect.stringMatching(/removed 2 older backups\nnoted in/) });
    expect(err).toBe(
      `fluo-kms: the backup was made, and not all could go that should: ${join(where.to, draft)} cannot be removed (EPERM); ` +
        `${join(where.to, third)} cannot be removed (EPERM)\n`,
    );
    expect(await isWhole(where, left[1]!)).toBe(true);
  });

  it("degrade a service, which tells of them in Status", async () => {
    const where = await hindered();
    expect((await where.backUp()).code).toBe(0);
    const [older] = backupsIn(where.to) as [string];
    chownSync(join(where.to, older), 0, 0);
    chownSync(where.to, 0, 0);
    chmodSync(where.to, 0o1777);
    const cron = {
      FLUO_KMS_BACKUP_CRON: "* * * * * ?",
      FLUO_KMS_BACKUP_DIRECTORY: where.to,
      FLUO_KMS_BACKUP_KEEP: "1",
    };
    const service = await where.serve(cron);
    await service.said(/"level":40.*cannot be removed \(EPERM\).*not all could go that should/);
    await eventually(async () => {
      const { notices } = await service.client.status({});
      expect(notices.join("\n")).toContain(
        `Backups are made, and not all could go that should: ${join(where.to, older)} cannot be removed (EPERM).`,
      );
    });
    expect(await service.end()).toBe(0);
    expect(await isWhole(where, backupsIn(where.to).at(-1)!)).toBe(true);
  });
});

describe.skipIf(process.platform === "win32")("a directory that", () => {
  it.each([
    ["cannot be listed", 0o300],
    ["cannot be written", 0o500],
    ["cannot be entered", 0o600],
  ])("%s is refused before a backup is begun, and what is there stays", async (_what, mode) => {
    const where = await hindered();
    expect((await where.backUp()).code).toBe(0);
    const before = readdirSync(where.to);
    chmodSync(where.to, mode);
    const { code, out, err } = await where.backUp();
    chmodSync(where.to, 0o700);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toBe(
      `fluo-kms: the directory ${where.to} for backups cannot be used (EACCES): let this user read and write it\n`,
    );
    expect(readdirSync(where.to)).toEqual(before);
  });
});
