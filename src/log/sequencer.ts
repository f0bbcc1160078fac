/**
 * Gives the batches of a tenant their places in its log: those that wait are one group, which is stored whole before any of them is answered.
 */
import type { LogBatch, LogPlace } from "../bulk/pool.ts";
import type { KeyUser } from "../keys/cancel.ts";

export interface Sequencer {
  /**
   * Appends a batch to the tenant's log, which its first batch creates, and resolves once it is durable and its checkpoint is signed. Batches
   * of a tenant get their places in the order of these calls. One whose request id is remembered gets the places that it has, entered
   * `again` as it was signed first. REQUEST_ID_REUSED where that was another body, KEY_UNUSABLE where no signing key is ACTIVE, CONFLICT
   * where other replicas were always first.
   */
  append(
    tenantId: string,
    batch: LogBatch,
    again: (signedAtMs: number) => Promise<LogBatch>,
    by: KeyUser,
  ): Promise<Placed>;
}

export interface Placed {
  /** As it was given, or as it was entered again. */
  batch: LogBatch;
  place: LogPlace;
  /** The key that signed the checkpoint. */
  keyId: string;
}
