/** The store's content, as of the last look at it: the same on every replica. */
import type { StartedHealth } from "../health/start.ts";
import type { Integrity } from "../integrity/start.ts";
import type { KeyState } from "../store/key-record.ts";
import { scopes } from "../telemetry/instruments.ts";
import { type Observer, type Sample, unixSeconds } from "./read-metrics.ts";
import type { Time } from "../runtime/time.ts";

export interface StoredParts {
  health: Pick<
    StartedHealth,
    "current" | "destructionRequests" | "destructionsWaiting" | "overdueKeys" | "backupAt" | "checkAt"
  >;
  integrity: Pick<Integrity, "status" | "passAgeMs" | "damaged">;
  /** How often a backup is expected, in milliseconds; 0 if none is. */
  backupIntervalMs: number;
  /** Backups that the service makes itself. */
  backups: { failures(): number };
  time: Time;
}

/** Names as keys, so that the compiler refuses a list that lacks one. */
const states: Readonly<Record<KeyState, true>> = {
  PENDING: true,
  ACTIVE: true,
  RETIRED: true,
  DISABLED: true,
  COMPROMISED: true,
  DESTROY_SCHEDULED: true,
  DESTROYED: true,
};
const keyStates = Object.keys(states) as readonly KeyState[];

export function observeStored(observer: Observer, parts: StoredParts): void {
  observeKeys(observer, parts);
  observeIntegrity(observer, parts);
  observeBackups(observer, parts);
}

function observeKeys({ gauge, seconds }: Observer, { health, time }: StoredParts): void {
  const counts = () => health.current().counts;
  gauge("kms_keys", "Keys by purpose and state", () =>
    Object.entries(counts().byPurpose).flatMap(([purpose, states]) =>
      keyStates.map((state) => [states[state] ?? 0, { purpose, state }] as const),
    ),
  );
  gauge("kms_destruction_requests", "Keys whose destruction waits for a second caller", health.destructionRequests);
  gauge("kms_destructions_waiting", "Keys that wait for their destruction", health.destructionsWaiting);
  seconds("kms_oldest_active_key_age_seconds", "Age of the oldest active key", () => {
    const { oldestActiveAt } = counts();
    return oldestActiveAt ? Math.max(0, (time.now().getTime() - oldestActiveAt.getTime()) / 1_000) : 0;
  });
  seconds("kms_last_rotation_timestamp_seconds", "When a key was last rotated; 0 for never", () =>
    unixSeconds(counts().lastRotationAt),
  );
  gauge("kms_rotation_overdue_keys", "Keys that should have been rotated a week ago, by whose provider key", () =>
    scopes.map((scope): Sample => [health.overdueKeys()[scope], { scope }]),
  );
}

function observeIntegrity({ gauge, seconds }: Observer, { integrity }: StoredParts): void {
  gauge(
    "kms_integrity_progress_ratio",
    "How much of the store the pass that runs has examined; 1 if none runs",
    () => integrity.status().percent / 100,
  );
  gauge("kms_integrity_findings", "What is known to be damaged in the store", () => integrity.damaged());
  seconds("kms_integrity_finished_timestamp_seconds", "When a pass over the store last ended; 0 for never", () =>
    unixSeconds(integrity.status().finishedAt),
  );
  seconds(
    "kms_integrity_pass_age_seconds",
    "Time since a pass over the store ended; before the first, since the start",
    () => integrity.passAgeMs() / 1_000,
  );
}

function observeBackups({ counter, seconds }: Observer, { health, backupIntervalMs, backups }: StoredParts): void {
  counter("kms_backup_failures_total", "Backups by the service itself that failed", () => backups.failures());
  seconds("kms_backup_last_success_timestamp_seconds", "When the last backup was made; 0 for never", () =>
    unixSeconds(health.backupAt()),
  );
  seconds(
    "kms_backup_interval_seconds",
    "Time between backups that are expected; 0 for none",
    () => backupIntervalMs / 1_000,
  );
  seconds("kms_check_last_success_timestamp_seconds", "When a check last found nothing; 0 for never", () =>
    unixSeconds(health.checkAt()),
  );
}
