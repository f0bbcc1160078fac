/** Backups that a service makes itself, by services on SQLite files in this process: what is on disk, in the store, in health and in metrics. */
import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { createAlarm } from "../../src/alarm.ts";
import { startBackups } from "../../src/backup/start.ts";
import { openSqlite } from "../../src/store/sqlite/open.ts";
import { captureLog } from "../support/captured-log.ts";
import { inStore, type Place, sqlitePlace } from "../support/cli-store-fixture.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { addKey, sqliteBackdoor, unlocked } from "../support/store-fixture.ts";
import { virtualTime } from "../support/virtual-time.ts";

const hourMs = 3_600_000;

/** A place whose service makes a backup each full hour. */
function backedUp() {
  const where = sqlitePlace();
  const to = join(where.directory, "to");
  mkdirSync(to);
  const cron = {
    FLUO_KMS_BACKUP_CRON: "0 0 * * * ?",
    FLUO_KMS_BACKUP_DIRECTORY: to,
    FLUO_KMS_BACKUP_KEEP: "2",
    FLUO_KMS_LOG_LEVEL: "info",
  };
  const log = captureLog();
  onTestFinished(log.restore);
  const time = virtualTime();
  const started = async () => {
    const service = await startService({ ...where.env, ...cron }, { time });
    onTestFinished(service.stop);
    return service;
  };
  /** Goes on to the next full hour. */
  const nextHour = async () => {
    const leftMs = hourMs - (time.now().getTime() % hourMs);
    await time.skip(leftMs - 1_000);
    await time.advance(1_000);
  };
  return { where, to, time, log, started, nextHour };
}

const backupsIn = (to: string) =>
  readdirSync(to)
    .filter((name) => name.endsWith(".db"))
    .sort();
const namedAt = (time: string) => expect.stringMatching(new RegExp(`^fluo-kms-.*-20260101T${time}Z\\.db$`));

async function metric(service: RunningService, name: string): Promise<number> {
  const text = await (await fetch(`${service.url}/q/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}

async function restores(from: Place, file: string): Promise<unknown> {
  const into = from.with({ name: "sqlite", file: join(from.directory, "restored.db") });
  expect(await into.run("restore", file)).toMatchObject({ code: 0 });
  return (await into.json("check")).answer;
}

it("are made at their times, noted, and of what was stored; the oldest go; the disk of the store is warned of", async () => {
  const { where, to, time, log, started, nextHour } = backedUp();
  const service = await started();
  await service.grpc.generateDataKey({ tenantId: "acme" });
  await time.advance(999);
  expect(readdirSync(to)).toEqual([]);
  await time.advance(1);
  expect(backupsIn(to)).toEqual([namedAt("000001000")]);
  await nextHour();
  await nextHour();
  expect(backupsIn(to)).toEqual([namedAt("010000000"), namedAt("020000000")]);
  const { notices } = await service.grpc.status({});
  expect(notices.join("\n")).toContain("Backups are on the file system of the store");
  expect(notices.join("\n")).not.toContain("failed");
  expect(await metric(service, "kms_backup_failures_total")).toBe(0);
  expect(log.text().split("a backup was made")).toHaveLength(4);
  await service.stop();

  expect(backupsIn(to)).toHaveLength(2);
  const noted = await inStore(where, ({ store }) => store.leaseFinishedAt("backup"));
  expect(noted?.toISOString()).toBe("2026-01-01T02:00:00.000Z");
  expect(await restores(where, join(to, backupsIn(to).at(-1)!))).toMatchObject({
    ok: true,
    keys: { data: { ACTIVE: 1 } },
  });
});

it("that fail degrade the service, are counted, and are made again once they can be", async () => {
  const { where, to, time, started } = backedUp();
  const away = join(where.directory, "away");
  renameSync(to, away);
  const service = await started();
  const says = async () => (await service.grpc.status({})).notices.join("\n");
  await time.advance(1_000);
  expect(await says()).toContain("The last backup failed, and is tried again within 5 minutes: there is no directory");
  expect(await metric(service, "kms_backup_failures_total")).toBe(1);
  expect(await metric(service, 'kms_health{status="degraded"}')).toBe(1);
  await time.skip(5 * 60_000 - 1);
  expect(await metric(service, "kms_backup_failures_total")).toBe(1);
  await time.advance(1);
  expect(await metric(service, "kms_backup_failures_total")).toBe(2);

  renameSync(away, to);
  await time.skip(5 * 60_000);
  expect(backupsIn(to)).toEqual([namedAt("001001000")]);
  expect(await says()).not.toContain("failed");
  expect(await metric(service, 'kms_health{status="operational"}')).toBe(1);
});

it("wait for the lease of another process, which may have been killed, to end", async () => {
  const time = virtualTime();
  const { file } = sqliteBackdoor();
  const store = await unlocked(await openSqlite({ name: "sqlite", file }, time));
  const directory = join(file, "..", "to");
  mkdirSync(directory);
  await addKey(store);
  await store.lease("backup", "killed", 60_000);
  const backups = startBackups({
    time,
    store,
    settings: { name: "sqlite", file },
    plannedBackups: { cron: "* * * * * ?", directory, keep: 9 },
    alarm: createAlarm(),
    log: { info() {}, warn() {}, error: vi.fn() },
  });
  onTestFinished(async () => {
    await backups.close();
    await store.close();
  });
  await time.advance(59_000);
  expect(readdirSync(directory)).toEqual([]);
  expect(backups.problems()).toEqual([]);
  await time.advance(1_000);
  expect(backupsIn(directory)).toEqual([namedAt("000100000")]);
});
