/** A store that hangs while a backup is made: the end of the service does not wait for its lease. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { createAlarm } from "../../src/alarm.ts";
import { startBackups } from "../../src/backup/start.ts";
import { liveIn, sqlitePlace } from "../support/cli-store-fixture.ts";
import { virtualTime } from "../support/virtual-time.ts";

const hanging = "the process of a backup, or its lease, hangs";

it("is ended in time though a renewal of its lease hangs", async () => {
  const where = sqlitePlace();
  await liveIn(where);
  const directory = join(where.directory, "to");
  mkdirSync(directory);
  const hangs = vi.fn(() => new Promise<never>(() => {}));
  const lease = vi.fn().mockResolvedValueOnce({ generation: 1, finishedAt: undefined }).mockImplementation(hangs);
  const warn = vi.fn();
  const time = virtualTime();
  const backups = startBackups({
    time,
    plannedBackups: { cron: "0 0 0 1 1 ?", directory, keep: 1 },
    settings: where.settings,
    store: { lease, finishLease: hangs },
    alarm: createAlarm(),
    log: { info() {}, warn, error() {} },
    times: { firstLookMs: 0, leaseTtlMs: 3, closeMs: 100 },
  });
  await time.advance(1);
  expect(hangs).toHaveBeenCalled();
  const closed = backups.close();
  await time.advance(99);
  expect(warn).not.toHaveBeenCalledWith(expect.anything(), hanging);
  await time.advance(1);
  await closed;
  expect(warn).toHaveBeenCalledWith(expect.anything(), hanging);
});
