/**
 * The part of the store's contract by which replicas of two releases use one store, until the upgrade to the newer one is finished. See store.ts for
 * what holds for every part.
 */
import type { AuditEvent } from "./audit-store.ts";

export interface UpgradeStore {
  /**
   * Notes that this replica runs, unless the store is for newer releases alone: then nothing is written. Gives the lowest schema version that a
   * release must know to use the store.
   */
  noteReplica(replica: Replica): Promise<number>;

  /** Notes that it has ended, unless the store is for newer releases alone. */
  endReplica(replicaId: string): Promise<void>;

  /** Writes a page of rows of an old form anew: the one at `at`, or the first. */
  rewriteRows(at: RewritePlace | undefined): Promise<RewrittenPage>;

  /**
   * Makes the store one for releases from this one on, with its audit row. All rows must have been written anew from
   * `since` on, while no replica of an earlier release ran. Gives those of earlier releases that ran then or later: then
   * nothing is changed. A store that is finished already stays as it is. STORE_UNAVAILABLE for one that a newer release
   * has migrated.
   */
  finishUpgrade(event: AuditEvent, since: Date): Promise<FinishAnswer>;

  /** What the store is for, and the replicas that run. */
  upgradeState(): Promise<UpgradeState>;
}

export interface Replica {
  /** 128 random bits, lower-case hex. */
  replicaId: string;
  /** Version in package.json. */
  release: string;
  /** Version of the schema that the release knows. */
  version: number;
}

export interface ReplicaStatus extends Replica {
  /** The store's clock tells it. */
  seenAt: Date;
  /** Undefined while it runs, and where it ended without saying so. */
  endedAt: Date | undefined;
}

export interface RewritePlace {
  table: string;
  /** Undefined at its first page. */
  after: unknown;
}

export interface RewrittenPage {
  /** Rows that had an old form. */
  rewritten: number;
  /** Undefined behind the last page. */
  next: RewritePlace | undefined;
}

export interface UpgradeState {
  /** Version of the tables. */
  version: number;
  /** Lowest version that a release must know to use the store. */
  minReader: number;
  replicas: ReplicaStatus[];
  /** The store's clock. */
  now: Date;
}

export type FinishAnswer = { kind: "finished" | "already" } | { kind: "older"; replicas: ReplicaStatus[] };
