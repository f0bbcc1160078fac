/** The end of an upgrade: from then on no release before this one may use the store. */
import { KmsError } from "../../../errors.ts";
import { step } from "../../../failpoints.ts";
import type { AuditEvent } from "../../audit-store.ts";
import type { FinishAnswer, ReplicaStatus, UpgradeState } from "../../upgrade-store.ts";
import type { AuditChain } from "../audit.ts";
import type { Query, Transaction } from "../rows/database.ts";
import type { RowMac } from "../rows/mac.ts";
import { newestSchema } from "../rows/schema.ts";
import { stateIn, writeState } from "./migration.ts";
import { notedReplicas, runsAt } from "./replicas.ts";

/** See UpgradeStore.finishUpgrade. */
export async function finish(
  tx: Transaction,
  { mac, chain }: { mac: RowMac; chain: AuditChain },
  { event, since }: { event: AuditEvent; since: Date },
): Promise<FinishAnswer> {
  await tx.lock("schema"); // no replica notes that it runs meanwhile
  const state = (await stateIn(tx.query))!;
  if (state.version !== newestSchema) {
    throw new KmsError(
      "STORE_UNAVAILABLE",
      `the store has schema version ${state.version}, and this release knows ${newestSchema}`,
      { advice: "run the newer release's fluo-kms migrate --finish" },
    );
  }
  if (state.minReader >= newestSchema) return { kind: "already" };
  const now = await tx.now();
  const ranMeanwhile = (each: ReplicaStatus) =>
    each.seenAt >= since || runsAt(each, since.getTime()) || runsAt(each, now);
  const replicas = (await notedReplicas(tx.query, mac)).filter(
    (each) => each.version < newestSchema && ranMeanwhile(each),
  );
  if (replicas.length > 0) return { kind: "older", replicas };
  await chain.append(tx, [event]);
  await writeState(tx.query, { ...state, minReader: newestSchema });
  step("upgrade.finished");
  return { kind: "finished" };
}

export async function upgradeState(query: Query, mac: RowMac, now: number): Promise<UpgradeState> {
  const { version, minReader } = (await stateIn(query))!;
  const replicas = (await notedReplicas(query, mac)).filter((each) => runsAt(each, now));
  return { version, minReader, replicas, now: new Date(now) };
}
