/** Backups that a service makes itself, by real services on SQLite files: what is on disk, in the store, in health and in metrics. */
import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { inStore, type Place, sql, sqlitePlace } from "../support/cli-store-fixture.ts";
import { eventually } from "../support/eventually.ts";
import { beginProcess, type ServiceProcess, startProcess } from "../support/service-process.ts";

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

async function metric(service: ServiceProcess, name: string): Promise<number> {
  const text = await (await fetch(`${service.http}/q/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}

async function restores(from: Place, file: string): Promise<unknown> {
  const into = from.with({ name: "sqlite", file: join(from.directory, "restored.db") });
  expect(await into.run("restore", file)).toMatchObject({ code: 0 });
  return (await into.json("check")).answer;
}

it("are made at their times, noted, and of what was stored; the oldest go; the disk of the store is warned of", async () => {
  const where = backedUp();
  const service = await startProcess(where.env);
  await service.client.generateDataKey({ tenantId: "acme" });
  const seen = new Set<string>();
  await eventually(() => {
    for (const name of backupsIn(where.to)) seen.add(name);
    expect(seen.size).toBeGreaterThan(3);
  });
  const { notices, status } = (await service.client.status({})) as unknown as { notices: string[]; status: unknown };
  expect(notices.join("\n"), String(status)).toContain("Backups are on the file system of the store");
  expect(notices.join("\n")).not.toContain("failed");
  expect(await metric(service, "kms_backup_failures_total")).toBe(0);
  expect(service.log.join("\n")).toContain("a backup was made");
  expect(await service.end()).toBe(0);

  expect(backupsIn(where.to)).toHaveLength(2);
  const noted = await inStore(where, ({ store }) => store.leaseFinishedAt("backup"));
  expect(noted?.toISOString().replaceAll(/[-:.]/g, "")).toBe(/-(\w+)\.db$/.exec(backupsIn(where.to).at(-1)!)![1]);
  expect(await restores(where, join(where.to, backupsIn(where.to).at(-1)!))).toMatchObject({
    ok: true,
    keys: { data: { ACTIVE: 1 } },
  });
});

it("that fail degrade the service, are counted, and are made again once they can be", async () => {
  const where = backedUp();
  const away = join(where.directory, "away");
  renameSync(where.to, away);
  const service = await startProcess(where.env);
  const health = async () => (await service.client.status({})) as unknown as { notices: string[]; state?: unknown };
  const says = async () => (await health()).notices.join("\n");
  await eventually(async () => {
    expect(await says()).toContain(
      "The last backup failed, and is tried again within 5 minutes: there is no directory",
    );
    expect(await metric(service, "kms_backup_failures_total")).toBeGreaterThan(1);
    expect(await metric(service, 'kms_health{status="degraded"}')).toBe(1);
  });
  await service.client.generateDataKey({ tenantId: "acme" });
  renameSync(away, where.to);
  await eventually(async () => {
    expect(backupsIn(where.to).length).toBeGreaterThan(0);
    expect(await says()).not.toContain("failed");
    expect(await metric(service, 'kms_health{status="operational"}')).toBe(1);
  });
  expect(await service.end()).toBe(0);
});

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
  const killed = beginProcess({ ...where.env, FLUO_CRASH_AT: "backup.made:1" }, { preload: [killAt] });
  killed.serving.catch(() => {});
  expect((await killed.ended).err).toContain("killed at backup.made");
  expect(backupsIn(where.to)).toHaveLength(1);
  expect(await inStore(where, ({ store }) => store.leaseFinishedAt("backup"))).toBeUndefined();

  const service = await startProcess(where.env);
  expect(await service.client.status({})).toBeDefined();
  expect(backupsIn(where.to)).toHaveLength(1); // the lease is the killed one's for a minute
  await sql(where, "delete from kms_leases where name = 'backup'");
  await service.end();
  const next = await startProcess(where.env);
  await eventually(() => expect(backupsIn(where.to).length).toBeGreaterThan(2)); // so the second is noted
  await next.end();
  expect(await inStore(where, ({ store }) => store.leaseFinishedAt("backup"))).toBeDefined();
});

it("do not keep the service from ending", async () => {
  const where = backedUp();
  const service = await startProcess(where.env);
  await eventually(() => expect(draftsIn(where.to)).not.toEqual([]), { everyMs: 1 });
  expect(await service.end()).toBe(0);
});
