/** Finishes the upgrade of a store to this release: no release before may use it from then on, and no row has a form of one. */
import type { AuditEvent } from "../store/audit-store.ts";
import { newestSchema } from "../store/sql/rows/schema.ts";
import type { FinishAnswer, RewritePlace, UpgradeStore } from "../store/upgrade-store.ts";

export type Finished = FinishAnswer & {
  /** Rows that were written anew. */
  rewritten: number;
};

/** Changes nothing but rows' forms where a replica of an earlier release runs, or did meanwhile: it might have written rows of its own form. */
export async function finishUpgrade(
  store: UpgradeStore,
  event: AuditEvent,
  progress: (rewritten: number) => void = () => {},
): Promise<Finished> {
  const { now, replicas, minReader } = await store.upgradeState();
  const older = replicas.filter(({ version }) => version < newestSchema);
  if (minReader < newestSchema && older.length > 0) return { kind: "older", replicas: older, rewritten: 0 };
  let rewritten = 0;
  for (let at: RewritePlace | "first" | undefined = "first"; at !== undefined; ) {
    const page = await store.rewriteRows(at === "first" ? undefined : at);
    rewritten += page.rewritten;
    progress(rewritten);
    at = page.next;
  }
  return { ...(await store.finishUpgrade(event, now)), rewritten };
}
