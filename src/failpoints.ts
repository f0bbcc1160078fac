/**
 * Named steps between which a crash must lose nothing. A step costs nothing unless somebody listens; test/crash does, and kills the
 * process there.
 */
import { channel } from "node:diagnostics_channel";

export const stepNames = [
  "directory.made",
  "directory.ignored",
  "directory.marked",
  "directory.held",
  "directory.named",
  "store-key.wrapped",
  "store-key.stored",
  "store-key.proven",
  "store-key.replaced",
  "key.made",
  "key.inserted",
  "key.proven",
  "key.activated",
  "state.changed",
  "destruction.stored",
  "time.noted",
  "log.appended",
  "log.signed",
  "rewrap.proven",
  "rewrap.stored",
  "lease.taken",
  "rotation.batch",
  "audit.flushing",
  "audit.flushed",
  "sqlite.began",
  "sqlite.written",
  "sqlite.committed",
  "sqlite.scrubbed",
  "postgres.written",
  "postgres.committed",
  "heads.drafted",
  "heads.renamed",
  "heads.begun",
  "schema.migrated",
  "rows.rewritten",
  "upgrade.finished",
  "lost-log.kept",
  "lost-log.tried",
  "lost-log.begun",
  "lost-log.dropped",
  "lost-log.told",
  "backup.drafted",
  "backup.synced",
  "backup.named",
  "backup.settled",
  "backup.pruned",
  "backup.made",
] as const;

export type StepName = (typeof stepNames)[number];

export const steps = channel("fluo-kms.steps");

export function step(name: StepName): void {
  if (steps.hasSubscribers) steps.publish(name);
}
