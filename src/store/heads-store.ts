/**
 * The part of the store's contract that finds a store that was put back. It tells what has become durable, to be noted elsewhere, and how the
 * store stands to what was noted. See store.ts for what holds for every part.
 */
import type { AuditEvent, AuditHead } from "./audit-store.ts";
import type { KeyRecord, KeyState } from "./key-record.ts";
import type { LogHead } from "./log-store.ts";

/** The reads that judge a store by what was noted of it. */
export type HeadsReader = Pick<HeadsStore, "standing" | "acceptsHeads" | "refuseDamaged">;

export interface HeadsStore {
  /**
   * Gives what has become durable through this object since the last call, and how the store stands to `noted`. One call gives both, so that
   * neither is of a later moment than the other. If commits are not counted, `news` also has the audit rows of all other processes, read in
   * one statement: the newest 1,000 at most. Only one part of a process may call it.
   */
  takeHeads(noted: NotedHeads): Promise<{ news: NotedHeads; standing: Standing }>;

  /**
   * How the store stands to `noted`. It reads a row or a few for each member, so `noted` has at most 1,000 of each kind. STORE_UNAVAILABLE
   * where only a standby answers, as in `takeHeads`.
   */
  standing(noted: NotedHeads): Promise<Standing>;

  /** DATA_LOSS where the store finds its own file damaged, which may hide rows. It reads all of it. */
  refuseDamaged(): Promise<void>;

  /** The store's newest heads, as far as 1,000 of each kind go: what a first heads file notes. */
  newestHeads(): Promise<NotedHeads>;

  /** Has the store say in `standing` since when there is a heads file. No effect if commits are not counted, or if it does so already. */
  noteHeadsFile(since: Date): Promise<void>;

  /** Whether an authentic audit row `restore` or `accept_rollback` accepts the heads file with this SHA-256. It reads all rows of no tenant. */
  acceptsHeads(sha256: string): Promise<boolean>;

  /**
   * Writes the audit row by which what a heads file noted, and is gone, is accepted. This process becomes another audit writer with it: the
   * rows of the one that it was may be among what is gone. Logs of which entries may be gone end in the same transaction, as `restored`, and
   * no log that begins later gets the name of one that is gone.
   */
  acceptRollback(event: AuditEvent, known: KnownLogs): Promise<void>;
}

/** The logs that are known to have been durable when a loss is accepted. */
export interface KnownLogs {
  /** A log that does not reach its noted head ends. */
  noted: readonly NotedLog[];
  /** True if logs that are not among `noted` may have lost entries too, so that all of them end. */
  mayHaveMore: boolean;
}

/** How far a store once was, oldest first; a member that is noted anew is the newest. */
export interface NotedHeads {
  /** Undefined if commits are not counted. */
  counted: CountedCommits | undefined;
  /** Audit writers that there ever were, as the store's own row counts them; 0 if nothing is known of it. */
  writersCounted: number;
  writers: AuditHead[];
  logs: NotedLog[];
  /** States of keys: they name what is lost in a finding, and prove none. */
  keys: NotedKey[];
}

export interface CountedCommits {
  commits: number;
  /** Sums over the heads of all logs, and of all audit writers, 32 bytes each: see store/sql/commits.ts. */
  logHeads: Uint8Array;
  auditHeads: Uint8Array;
}

export type NotedLog = Pick<LogHead, "tenantId" | "number" | "size" | "root">;

export type NotedKey = Pick<KeyRecord, "tenantId" | "purpose" | "keyId" | "version" | "state">;

/** How a store stands to what was noted. */
export interface Standing {
  storeId: string;
  /** Audit writers that the store's own row has counted. */
  writersCounted: number;
  counted: CountedCommits | undefined;
  /** Since when there is a heads file; undefined if none was noted. */
  headsSince: Date | undefined;
  /** Writers whose noted row is not there, with the number of their newest row that is; 0 for none. */
  writers: { noted: AuditHead; newest: number }[];
  /** Logs that have fewer entries than noted, or another root with as many. */
  logs: { noted: NotedLog; size: number | undefined }[];
  /** Keys that are not there, or in another state, as others may have changed them since. */
  keys: { noted: NotedKey; state: KeyState | undefined }[];
}
