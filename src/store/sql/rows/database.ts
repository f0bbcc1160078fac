/**
 * What the stores that speak SQL have in common: one text of every statement, in the SQL that SQLite and PostgreSQL share, with
 * parameters as ?1, ?2 …; and what a database must bring for it.
 */
import type { RowProblem } from "../../row-problem.ts";
import type { RowValue } from "./mac.ts";
import type { KeyChange } from "../../key-store.ts";

export type Row = Readonly<Record<string, RowValue>>;

/** Runs a statement and gives its rows. Whole numbers are numbers, bytes are `Uint8Array`s. */
export type Query = (text: string, ...values: RowValue[]) => Promise<Row[]>;

/** Tables whose rows are the newest of something that grows. */
export type HeadTable = "kms_logs" | "kms_audit_writers";

/** HMACs of a head's row. Without `before` the head is new. */
export interface HeadChange {
  table: HeadTable;
  before: Uint8Array | undefined;
  after: Uint8Array;
}

export interface Transaction {
  query: Query;
  /** How many large rows one statement writes best: a statement costs a round trip, or nothing. */
  readonly rowsAStatement: number;
  /** Waits until no other transaction, on any replica, holds `name`, and holds it until the end; a shared lock excludes only others. */
  lock(name: string, mode?: "shared"): Promise<void>;
  /** Tells the other replicas, if this is committed. */
  announce(change: Exclude<KeyChange, "any">): Promise<void>;
  /** A head becomes another, if this is committed. Absent where commits are not counted. */
  headChanged?(change: HeadChange): void;
  /** Runs `work` if this is committed, once it is. */
  afterCommit(work: () => void): void;
  /** If this is committed, bytes are to be erased that it deletes: by `scrub`, or after a crash before that by the next opening. */
  erases(): Promise<void>;
  /** The store's clock, in milliseconds since 1970: the same for all replicas. */
  now(): Promise<number>;
}

export interface Database {
  /** Runs reads that need not be of one moment. */
  read<T>(work: (query: Query) => Promise<T>): Promise<T>;
  /** Runs reads of one moment. */
  moment<T>(work: (query: Query) => Promise<T>): Promise<T>;
  /**
   * Runs `work` in a transaction, which is durable when this resolves and has left nothing when it rejects. An error that is not a
   * KmsError is translated: CONFLICT for a unique constraint, STORE_UNAVAILABLE for anything else.
   */
  write<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  /** Overwrites `erased`, which a transaction that `erases` deleted, wherever the database kept a copy, as far as it lets us. */
  scrub(erased: Uint8Array): Promise<void>;
  watch(listener: (change: KeyChange) => void): () => void;
  /** The clock of the database's server, in milliseconds since 1970. Absent where that is this process's own. */
  clock?(query: Query): Promise<number>;
  /** Time by that clock, or by this process's where there is none: milliseconds since 1970. */
  now(query: Query): Promise<number>;
  /** STORE_UNAVAILABLE from a server that follows another, and may lack what that one acknowledged. Absent where there is no other. */
  refuseStandby?(query: Query): Promise<void>;
  /** DATA_LOSS where the database finds its own file damaged. It reads all of it. Absent where that is the server's own business. */
  refuseDamaged?(query: Query): Promise<void>;
  /** Has `count` run in every transaction from now on, last, with all its changes. Absent if commits are not counted. */
  countCommits?(count: (query: Query, changes: readonly HeadChange[]) => Promise<void>): void;
  /** Absent if only the database itself can compare its indexes with its tables. */
  indexes?: DatabaseIndexes;
  close(): Promise<void>;
}

/** The indexes of a database, which are examined beside its rows. */
export interface DatabaseIndexes {
  /** About how many rows and entries there are to compare. */
  rows(query: Query): Promise<number>;
  /** Compares the next piece: from `at`, which was the `next` of the piece before, or from the beginning. `query` reads of one moment. */
  examine(query: Query, at: unknown): Promise<{ rows: number; problems: RowProblem[]; next: unknown }>;
}
