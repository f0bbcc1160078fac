/** Backups that a service makes itself, and the end of its process, by a signal or a kill. What they are is in service-backups.test.ts. */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { inStore, type Place, sqlitePlace } from "../support/cli-store-fixture.ts";
import { eventually } from "../support/eventually.ts";
import { startService } from "../support/running-service.ts";
import { beginProcess, startProcess } from "../support/service-process.ts";
import { virtualTime } from "../support/virtual-time.ts";

const killAt = join(import.meta.dirname, "..", "crash", "kill-at.ts");

/** A place whose service makes a backup each second. */
function backedUp(keep = 2): Place & { to: string } {
  const where = sqlitePlace();
  const to = join(where.directory, "to");
  mkdirSync(to);
  const env = {
    ...where.env,
    FLUO_KMS_BACKUP_CRON: "* * * * * ?",
    FLUO_KMS_BACKUP_DIRECTORY: to,
    FLUO_KMS_BACKUP_KEEP: `${keep}`,
  };
  return { ...where, env, to };
}

const backupsIn = (to: string) =>
  readdirSync(to)
    .filter((name) => name.endsWith(".db"))
    .sort();
const draftsIn = (to: string) => readdirSync(to).filter((name) => name.endsWith(".new"));

it("end with a service that is killed, and leave no half file under a final name", async () => {
  const where = backedUp(1);
  const service = await startProcess(where.env);
  await service.client.generateDataKey({ tenantId: "acme" });
  await eventually(() => expect(draftsIn(where.to)).not.toEqual([]), { everyMs: 1 });
  await service.end("SIGKILL");
  // Only whoever holds the lock of the directory alone removes drafts: so the process of the killed service is gone.
  await eventually(async () => {
    expect((await where.run("backup", "--directory", "to", "--keep", "9")).code).toBe(0);
    expect(draftsIn(where.to)).toEqual([]);
  });
  for (const name of backupsIn(where.to)) {
    const into = where.with({ name: "sqlite", file: join(where.directory, `restored-${name}`) });
    expect(await into.run("restore", join(where.to, name))).toMatchObject({ code: 0 });
    expect((await into.json("check")).answer.ok).toBe(true);
  }
});

it("that a kill left without a note are made again once the lease has ended", async () => {
  const where = backedUp(9);
  const time = virtualTime({ start: new Date() }); // before the lease is taken, however slow the machine is
  const killed = beginProcess({ ...where.env, FLUO_CRASH_AT: "backup.made:1" }, { preload: [killAt] });
  killed.serving.catch(() => {});
  expect((await killed.ended).err).toContain("killed at backup.made");
  expect(backupsIn(where.to)).toHaveLength(1);
  expect(await inStore(where, ({ store }) => store.leaseFinishedAt("backup"))).toBeUndefined();

  const service = await startService({ ...where.env, FLUO_KMS_BACKUP_CRON: "0 0 0 1 1 ?" }, { time });
  onTestFinished(service.stop);
  await time.advance(1_000);
  expect(backupsIn(where.to)).toHaveLength(1); // the lease is the killed one's for a minute
  await time.skip(3_600_000);
  expect(backupsIn(where.to)).toHaveLength(2);
  await service.stop();
  expect(await inStore(where, ({ store }) => store.leaseFinishedAt("backup"))).toEqual(time.now());
});

it("do not keep the service from ending", async () => {
  const where = backedUp();
  const service = await startProcess(where.env);
  await eventually(() => expect(draftsIn(where.to)).not.toEqual([]), { everyMs: 1 });
  expect(await service.end()).toBe(0);
});
