/**
 * Backups that the service makes itself, of a SQLite store: at the times of a Quartz expression, UTC. It also looks soon after its start, and
 * every 5 minutes, whether one was missed or failed, and then makes it. One process at a time works, under the lease `backup`, which notes
 * when the last one was begun, whoever made it.
 */
import { type Notice, notice, type Problem } from "../notices.ts";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { planRuns } from "../runtime/planned-runs.ts";
import type { Logger } from "pino";
import type { Alarm } from "../alarm.ts";
import { step } from "../failpoints.ts";
import { withDeadline } from "../runtime/deadline.ts";
import { keepRenewing, newHolder, replicaClockSkewMs } from "../store/lease-renewal.ts";
import { type Fence, type Leases, orAltered } from "../store/lease-store.ts";
import type { SqliteSettings, StoreSettings } from "../store/registry.ts";
import { backUpInProcess } from "./process.ts";
import type { Time, Timer } from "../runtime/time.ts";

export interface BackupPlan {
  /** Weekdays are Quartz's: 1 is Sunday. Undefined for no backups. */
  readonly cron: string | undefined;
  /** Must be there. */
  readonly directory: string | undefined;
  /** Number of backups that stay. */
  readonly keep: number;
}

export interface BackupParts {
  plannedBackups: BackupPlan;
  settings: StoreSettings;
  store: Leases;
  time: Time;
  log: Pick<Logger, "info" | "warn" | "error">;
  alarm: Pick<Alarm, "changed">;
  times?: Partial<typeof standardTimes>;
}

export interface Backups {
  problems(): Problem[];
  remarks(): Notice[];
  /** Number of backups that failed, since the start. */
  failures(): number;
  /** Begins nothing more, and ends the one that is being made. It waits 2 s at most: a disk may hang. */
  close(): Promise<void>;
}

const standardTimes = {
  /** Pause between the start and the first look: calls come first. */
  firstLookMs: 1_000,
  lookEveryMs: 5 * 60_000,
  /** Pause while another process makes one. */
  lookAgainMs: 20_000,
  leaseTtlMs: 60_000,
  /** Wait of a close: the store is to be closed in order too. */
  closeMs: 2_000,
  /** One that takes longer is told of. */
  longMs: 60 * 60_000,
};

const leaseName = "backup";
const none: Backups = { problems: () => [], remarks: () => [], failures: () => 0, close: async () => {} };

export function startBackups(parts: BackupParts): Backups {
  const { settings, plannedBackups } = parts;
  const { cron, directory, keep } = plannedBackups;
  if (settings.name !== "sqlite" || cron === undefined || directory === undefined) return none;
  return scheduleBackups(parts, { settings, cron, directory, keep });
}

interface Planned {
  settings: SqliteSettings;
  cron: string;
  directory: string;
  keep: number;
}

function scheduleBackups(parts: BackupParts, planned: Planned): Backups {
  const { log, alarm, time } = parts;
  const times = { ...standardTimes, ...parts.times };
  const stopped = new AbortController();
  const seen = { failures: 0, failed: "", unremoved: "", shared: false, since: undefined as number | undefined };
  let running: Promise<void> | undefined;
  let timer: Timer | undefined;

  const plan = planRuns(planned.cron, time, look);
  const runs = backupRuns(parts, planned, plan.next, times.leaseTtlMs);

  /** A run that is under way does what one more would do. */
  function look(): void {
    if (stopped.signal.aborted) return;
    running ??= run().finally(() => {
      running = undefined;
    });
  }

  async function run(): Promise<void> {
    let again = times.lookEveryMs;
    seen.since = time.monotonicMs();
    try {
      const done = await runs.runIfMissed(stopped.signal);
      if (done === "held") again = times.lookAgainMs;
      else seen.failed = "";
      if (typeof done === "object") {
        seen.unremoved = done.problem ?? "";
        log.info({ file: done.file, removed: done.removed }, "a backup was made");
        if (done.problem !== undefined) log.warn({ reason: done.problem }, "not all could go that should");
      }
    } catch (error) {
      if (stopped.signal.aborted) return;
      seen.failures += 1;
      seen.failed = (error as Error).message;
      log.error({ err: error }, "a backup failed, and is tried again");
    } finally {
      seen.since = undefined;
    }
    seen.shared = await isOnStoresDisk(planned);
    alarm.changed();
    lookIn(again);
  }

  function lookIn(ms: number): void {
    time.clear(timer);
    if (!stopped.signal.aborted) timer = time.after(ms, look);
  }

  void isOnStoresDisk(planned).then((shared) => {
    seen.shared = shared;
    if (shared) log.warn(sharing);
  });
  lookIn(times.firstLookMs);

  return {
    problems: () => noticesOf(seen, times, time.monotonicMs()).map((each) => ({ status: "degraded", notice: each })),
    remarks: () => (seen.shared ? [notice("BACKUP_SHARED", sharing, planned.directory)] : []),
    failures: () => seen.failures,
    async close() {
      stopped.abort();
      plan.stop();
      time.clear(timer);
      const late = () => new Error("the process of a backup, or its lease, hangs");
      await withDeadline(time, times.closeMs, late, () => running).catch((err) => log.warn({ err }, err.message));
    },
  };
}

const sharing =
  "Backups are on the file system of the store: a disk that is lost takes both. Set fluo.kms.backup.directory to another.";

interface BackupProgress {
  failed: string;
  unremoved: string;
  since: number | undefined;
}

function noticesOf(
  { failed, unremoved, since }: BackupProgress,
  { longMs }: typeof standardTimes,
  nowMs: number,
): Notice[] {
  const notices: Notice[] = [];
  if (failed !== "") {
    notices.push(notice("BACKUP_FAILED", `The last backup failed, and is tried again within 5 minutes: ${failed}.`));
  }
  if (unremoved !== "") {
    notices.push(notice("BACKUP_NOT_REMOVED", `Backups are made, and not all could go that should: ${unremoved}.`));
  }
  if (since !== undefined && nowMs - since > longMs) {
    const text = "A backup has been under way for more than an hour: the store or the directory of backups hangs.";
    notices.push(notice("BACKUP_HANGS", text));
  }
  return notices;
}

/** Whether both are lost with one disk, as far as that can be seen. */
async function isOnStoresDisk({ directory, settings }: Planned): Promise<boolean> {
  const [own, stores] = await Promise.all(
    [directory, dirname(settings.file)].map((path) => stat(path).catch(() => undefined)),
  );
  return own !== undefined && own.dev === stores?.dev;
}

type Made = Awaited<ReturnType<typeof backUpInProcess>>;

function backupRuns(
  { store, time }: BackupParts,
  { settings, directory, keep }: Planned,
  plannedAfter: (date: Date) => Date | undefined,
  ttlMs: number,
) {
  const holder = newHolder();
  /** Undefined before the store was asked, too. */
  let finishedAt: Date | undefined;

  function isMissed(): boolean {
    const now = time.now();
    // One that is yet to come was noted by a clock that was wrong.
    if (finishedAt === undefined || finishedAt.getTime() > now.getTime() + replicaClockSkewMs) return true;
    const planned = plannedAfter(finishedAt);
    return planned !== undefined && planned <= now;
  }

  /** Without a fence, nothing is noted: somebody altered the lease's row. */
  async function run(fence: Fence | undefined, signal: AbortSignal): Promise<Made> {
    const at = time.now(); // what is made later is not in it
    const renewing = fence && keepRenewing(store, { ...fence, holder, ttlMs }, time);
    const ends = renewing === undefined ? signal : AbortSignal.any([signal, renewing.lost]);
    let made: Made;
    try {
      made = await backUpInProcess({ store: settings, directory, keep, at }, ends);
    } finally {
      await renewing?.stop();
    }
    step("backup.made");
    if (fence !== undefined) await store.finishLease(fence, at);
    finishedAt = at;
    return made;
  }

  return {
    /** Makes a backup that is due, unless another process has made it or makes it: `held` if one does. Throws why it failed. */
    async runIfMissed(signal: AbortSignal): Promise<Made | "held" | undefined> {
      if (!isMissed()) return undefined;
      const lease = await orAltered(store.lease(leaseName, holder, ttlMs));
      if (lease === "altered") return run(undefined, signal);
      finishedAt = lease.finishedAt;
      const { generation } = lease;
      if (generation === undefined) return "held";
      let made: Made | undefined;
      try {
        if (isMissed()) made = await run({ name: leaseName, generation }, signal);
      } finally {
        // Ends at once what nobody works under. Where that fails it ends by itself.
        if (made === undefined) await store.lease(leaseName, holder, 0).catch(() => {});
      }
      return made;
    },
  };
}
