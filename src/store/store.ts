/**
 * What a store must do: keep key records, an audit trail, leases, logs and witnessed time, each described in a file of its own. test/support/store-contract.ts
 * is these comments as code, and every store passes it.
 *
 * A store is opened locked. The store key, which the provider unwraps, unlocks it: from then on every row that is read is
 * authenticated. A method that cannot reach the store, or cannot make a change durable, throws STORE_UNAVAILABLE; a row that fails its
 * authentication, or is gone although the audit trail knows it, is DATA_LOSS. What a method wrote is durable when it resolves.
 * Records and bytes are copied in and out: what a caller does to its own copy changes nothing that is stored.
 */
import type { KeyObject } from "node:crypto";
import type { AuditStore } from "./audit-store.ts";
import type { HeadsStore } from "./heads-store.ts";
import type { IntegrityStore } from "./integrity-store.ts";
import type { KeyStore, StateChange, WrappedBy } from "./key-store.ts";
import type { LeaseStore } from "./lease-store.ts";
import type { LogStore } from "./log-store.ts";
import type { TimeStore } from "./time-store.ts";
import type { UpgradeStore } from "./upgrade-store.ts";
import type { Volume } from "./volume.ts";

/** A store whose rows cannot be believed yet. Its schema is up to date. */
export interface LockedStore {
  /** The name in `fluo.kms.store`. */
  readonly name: string;
  /** What an operator should hear of how it was opened, one sentence each. */
  readonly remarks: readonly string[];
  /** DATA_LOSS where there are records and no store key. */
  storeKey(): Promise<WrappedStoreKey | undefined>;
  /** Create-if-absent: no effect where there is one. DATA_LOSS where there are records and no store key. */
  insertStoreKey(wrapped: WrappedStoreKey, key: KeyObject): Promise<void>;
  /** See HeadsStore. */
  refuseDamaged(): Promise<void>;
  /** DATA_LOSS where the store key's row, or a record looked at for proof, was not made with `key`. */
  unlock(key: KeyObject): Promise<Store>;
  close(): Promise<void>;
}

/** The 32-byte key that authenticates all rows, wrapped under `{purpose: "store", store_id}`. */
export interface WrappedStoreKey extends WrappedBy {
  /** 128 random bits, lower-case hex. */
  storeId: string;
  wrapped: Uint8Array;
  createdAt: Date;
}

/** A store that was unlocked. */
export interface Store
  extends KeyStore,
    AuditStore,
    LeaseStore,
    LogStore,
    TimeStore,
    HeadsStore,
    IntegrityStore,
    UpgradeStore {
  readonly name: string;

  /** The store key as it is stored now. DATA_LOSS where its row is gone or is not as it was written. */
  storeKey(): Promise<WrappedStoreKey>;

  /**
   * Replaces the wrapped form of the store key, with its audit row, where it is still `present`. The key itself and the store's id stay.
   * `key` is what the new form opens to: DATA_LOSS unless it is the store's. CONFLICT where another was first.
   */
  replaceStoreKey(
    present: WrappedStoreKey,
    next: WrappedBy & { wrapped: Uint8Array },
    by: StoreKeyChange,
    key: KeyObject,
  ): Promise<void>;

  /** The log beside the store that grows while others read, if it has one. */
  readonly log?: StoreLog;

  /** Tells how busy the way to the store is, without asking it. Absent for a store in memory: nothing waits for it. */
  load?(): StoreLoad;

  /**
   * Tells how full the file system of the store's file is. Reads it behind the answer, every 15 s at most: an answer is
   * what the question before it found. Undefined at first, and if it cannot be read. Absent for a store that is no file.
   */
  volume?(): Volume | undefined;

  close(): Promise<void>;
}

/** Calls that wait, and the connections of a store that has several. */
export interface StoreLoad {
  /** Calls that wait for a connection, or for the thread of the store. */
  waiting: number;
  /** Connections for calls and for long reads, without the one that listens for changes. */
  connections?: StoreConnections;
}

export interface StoreConnections {
  /** Connections that work for a call, or are being made for one. */
  used: number;
  /** Open connections that nobody uses. */
  idle: number;
  /** How many there may be. */
  max: number;
}

/** The write-ahead log of a store in a file. */
export interface StoreLog {
  /** Its size now. */
  bytes(): number;
  /** What an operator should know of it, a sentence; undefined while it is no larger than `fluo.kms.sqlite.max-log`. */
  remark(): string | undefined;
}

/** Who re-wrapped the store key, and when. */
export type StoreKeyChange = Omit<StateChange, "action">;
