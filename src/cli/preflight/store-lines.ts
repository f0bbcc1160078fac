/** Lines on the store: its kind, its backups and drills, and the releases that use it. */
import type { Config } from "../../config/config.ts";
import type { OperatorNotes } from "../../store/offline/operator-notes.ts";
import { isToCome } from "../note-done.ts";
import { agoText, lengthText } from "./age.ts";
import { type Evidence, foreign, otherStore } from "./evidence.ts";
import { fail, type Line, pass, skipped, warn } from "./line.ts";

export function storeLines(evidence: Evidence): Line[] {
  const { config, store, now } = evidence;
  const names = ["backup", "drill", "upgrade"];
  if (config.store.name === "memory" && evidence.status.store === "memory") {
    const found = "memory: keys are lost with the process, and what is encrypted under them";
    const line = fail("store", found, "set fluo.kms.store=sqlite for one instance, postgres for several");
    const others = names.map((name) => skipped(name, "the store is in memory"));
    return [skipped("store-identity", "the store is in memory"), line, ...others];
  }
  const identity = identityLine(evidence);
  if (store?.notes === undefined || foreign(evidence) !== undefined) {
    const others = ["store", ...names].map((name) => skipped(name, "not tried: these settings are not the service's"));
    return [identity, ...others];
  }
  if ("why" in store.notes) {
    const line = fail("store", store.notes.why, "run it as the service's user, with its settings and credentials");
    return [identity, line, ...names.map((name) => skipped(name, "not tried: the store could not be read"))];
  }
  const notes = store.notes.got;
  return [
    identity,
    storeLine(evidence, notes),
    backupLine(config, notes.backupAt, now),
    drillLine(notes.checkAt, now),
    upgradeLine(notes),
  ];
}

function identityLine({ status, store, place }: Evidence): Line {
  const id = "store-identity";
  if (store === undefined) return skipped(id, "not tried: these settings are not the service's");
  const { identity } = store;
  if ("why" in identity) return skipped(id, "not tried: the store could not be read");
  const why = otherStore({ status, identity });
  if (why !== undefined) return fail(id, why, "run it with the settings, and so the store, that the service has");
  const { id: storeId, isWrittenTo } = identity.got;
  if ("got" in isWrittenTo) return pass(id, `${storeId}, and the service writes to it`);
  const found = `${storeId}; whether it is a copy of the service's was not tried: ${isWrittenTo.why}`;
  const isLocal = place.socket !== undefined;
  return warn(id, found, isLocal ? "give --address https://…" : "let preflight's caller have the role audit");
}

/** Replicas that were told, or those that run, or the one that answers. */
export function replicasOf({ replicas, store }: Pick<Evidence, "replicas" | "store">): number {
  const running = store?.notes !== undefined && "got" in store.notes ? store.notes.got.replicas.length : 0;
  return replicas ?? Math.max(1, running);
}

function storeLine({ config, replicas, store }: Evidence, notes: OperatorNotes): Line {
  if (config.store.name === "postgres") {
    return pass("store", `postgres, for several instances: ${notes.replicas.length} run`);
  }
  if ((replicas ?? 1) > 1) {
    return fail("store", `sqlite, for one instance, and there are ${replicas}`, "set fluo.kms.store=postgres");
  }
  if (store?.network !== undefined) {
    return fail("store", `sqlite, on a network file system (${store.network})`, "put the file on a local disk");
  }
  return pass("store", "sqlite, for one instance");
}

/** A backup is noted once it has been made, and counts from when it was begun; the alert waits for 2.5 intervals. */
const graceIntervals = 1.5;

function backupLine({ backupIntervalMs, plannedBackups, store }: Config, at: Date | undefined, now: Date): Line {
  const make =
    store.name !== "sqlite"
      ? "run fluo-kms backup --directory DIR --keep N by a timer or a CronJob"
      : plannedBackups.cron === undefined
        ? "set fluo.kms.backup.cron and .directory, or run fluo-kms backup by a timer"
        : "see the service's log";
  if (backupIntervalMs === 0) {
    const found = "fluo.kms.backup.interval is not set, so nobody is told when backups are missing";
    return fail("backup", found, "set it to how often one is made");
  }
  const expected = `one is expected every ${lengthText(backupIntervalMs)}`;
  if (at === undefined) return fail("backup", `none was noted, and ${expected}`, make);
  if (isToCome(at))
    return fail("backup", `the last is of ${at.toISOString()}, which is still to come`, "set the clocks");
  const found = `the last is of ${agoText(now, at)}, and ${expected}`;
  return now.getTime() - at.getTime() <= graceIntervals * backupIntervalMs
    ? pass("backup", found)
    : fail("backup", found, make);
}

/** The limit of the alert KmsRestoreDrillTooOld. */
const drillDays = 40;
const dayMs = 86_400_000;

function drillLine(at: Date | undefined, now: Date): Line {
  const advice = "restore a backup elsewhere, run fluo-kms check there and note-check here: docs/BACKUP.md";
  if (at === undefined) return fail("drill", "none was noted", advice);
  if (isToCome(at))
    return fail("drill", `the last is of ${at.toISOString()}, which is still to come`, "set the clocks");
  const found = `a check found nothing ${agoText(now, at)}`;
  if (now.getTime() - at.getTime() <= drillDays * dayMs) return pass("drill", found);
  return fail("drill", `${found}, and ${drillDays} days are the most`, advice);
}

/** Two releases may run for as long as the way back is to stay open: that is for the operator to know. */
function upgradeLine({ replicas, isUpgraded }: OperatorNotes): Line {
  const releases = [...new Set(replicas.map(({ release }) => release))].sort();
  if (replicas.length === 0) return fail("upgrade", "no replica has noted that it runs", "see the service's log");
  const found = `${replicas.length} of release ${releases.join(" and ")}`;
  if (releases.length > 1)
    return warn("upgrade", `${found}: it is under way`, "replace the replicas of the earlier one");
  if (isUpgraded) return pass("upgrade", `${found}, finished`);
  return warn(
    "upgrade",
    `${found}, not finished`,
    "fluo-kms migrate --finish, once the release before is not to come back",
  );
}
