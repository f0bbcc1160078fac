/**
 * The part of the store's contract that keeps the logs of spans. test/support/log-store-contract.ts is this comment as code.
 *
 * A tenant has logs, of which the last is its log and the others are closed. A log has a head, which is authenticated like
 * every row, and entries and hashes, which are not: the head's root authenticates them, to whoever reads enough of them to compute it.
 * Entries and hashes are written once and never changed.
 */

/** How long the request id of a batch is remembered at least. */
export const logRequestRetentionMs = 24 * 60 * 60 * 1000;

export interface LogName {
  tenantId: string;
  /** 1 for a tenant's first log; then it grows, see `nextLogNumber`. */
  number: number;
}

/** What there is of a log. */
export interface LogHead extends LogName {
  /** The checkpoints' origin: it stays as the log was born with. */
  origin: string;
  size: number;
  /** Of the tree, 32 bytes. */
  root: Uint8Array;
  /** See tlog/merkle.ts. */
  frontier: Uint8Array;
  /** `restored`: what the tree had after the backup was made is not known here, so that nothing is appended to it, ever. */
  state: "open" | "restored";
  createdAt: Date;
  changedAt: Date;
}

/** What a group of batches adds to a log, in one transaction. */
export interface LogAppend {
  /** The head that the group was made for: CONFLICT unless it is still the stored one, by size and root, and open. */
  expect: LogHead;
  /** As it becomes. */
  next: Pick<LogHead, "size" | "root" | "frontier" | "changedAt">;
  /** The new entries, from index `expect.size` on: packed runs, see tlog/entry-run.ts. */
  entries: readonly Uint8Array[];
  /** The nodes that became complete at the levels 0, 8, 16 …, by ascending level, each level's hashes in one piece. */
  hashes: readonly LogHashes[];
  /** Of the batches in the group that have a request id. CONFLICT where one is remembered already, whatever its digest. */
  requests: readonly LogRequest[];
}

export interface LogHashes {
  /** Of tlog-tiles: 0 for leaves, 1 for nodes over 256 of them, and so on. */
  tileLevel: number;
  /** Index of the first one at its level. */
  start: number;
  /** 32 bytes each. */
  hashes: Uint8Array;
}

/** What is remembered of a batch. */
export interface LogRequest {
  requestId: string;
  /** Hex SHA-256 of the batch. */
  digest: string;
  firstIndex: number;
  /** Entries, without the spans that were refused. */
  count: number;
  /** What its statements say. */
  signedAt: Date;
}

/** That a signing key followed another in a log. Kept for ever. */
export interface LogHandover extends LogName {
  fromKeyId: string;
  toKeyId: string;
  /** Of the entry that names the new key. */
  index: number;
  /** That entry. */
  entry: Uint8Array;
  /**
   * C2SP tlog-proof text of the entry; its checkpoint is signed by both keys. Empty if the handover was not used: releases of
   * 0.1 appended its entry before the activation, which then failed.
   */
  proof: string;
}

/** A handover, and the group that appends its entry to the log. */
export interface HandoverAppend {
  append: LogAppend;
  handover: LogHandover;
}

/** How far a log went when one of its keys was marked as compromised. Kept for ever. */
export interface LogCompromise extends LogName, Pick<LogHead, "origin" | "size" | "root"> {
  keyId: string;
}

export interface LogStore {
  /** A log of a tenant, the last one unless `number` is given; undefined where there is none. */
  logHead(tenantId: string, number?: number): Promise<LogHead | undefined>;

  /** All logs of a tenant, oldest first. */
  logHeads(tenantId: string): Promise<LogHead[]>;

  /**
   * The number that the tenant's next log gets: the one after the last, or 1. A backup does not know what was made after it: in a store that
   * was restored it is the second of the last restore since 1970, if that is more, so that no log gets the name of one that is lost.
   */
  nextLogNumber(tenantId: string): Promise<number>;

  /**
   * Create-if-absent: the tenant's first log, or the one after `restored` logs. Empty and open. CONFLICT where `head.number` is not the
   * next one, or the last one is open.
   */
  createLog(head: LogHead): Promise<void>;

  /**
   * Appends a group, durably and whole; see LogAppend for its CONFLICTs. DATA_LOSS where something is in the place of its entries or
   * hashes already: the head was set back. INTERNAL where those are not what the log grows by.
   */
  appendLog(append: LogAppend): Promise<void>;

  /** What is remembered of a batch in a log, if anything. */
  logRequest(log: LogName, requestId: string): Promise<LogRequest | undefined>;

  /** Forgets batches signed before `before`. Returns how many. */
  deleteLogRequestsBefore(before: Date): Promise<number>;

  /** The hashes that a tile has so far, at most 256; empty where it has none. Not authenticated; DATA_LOSS where some are missing. */
  logHashes(log: LogName, tileLevel: number, tile: number): Promise<Uint8Array>;

  /** The entries that a bundle has so far, at most 256, as C2SP tlog-tiles has it; empty where it has none. Likewise. */
  logEntries(log: LogName, bundle: number): Promise<Uint8Array>;

  /** Handovers in all logs of a tenant, oldest first. See Activation.handover. */
  logHandovers(tenantId: string): Promise<LogHandover[]>;

  /**
   * Of all keys of a tenant. A key that is marked as compromised gets one in the same transaction, for the last log of its tenant as it is
   * then, if there is one.
   */
  logCompromises(tenantId: string): Promise<LogCompromise[]>;
}
