/** Store whose calls are timed: it tells of each call what it did, how it ended and how long that took. */
import type { Time } from "../runtime/time.ts";
import { KmsError, type KmsErrorCode } from "../errors.ts";
import { type LongRead, longReads } from "./long-reads.ts";
import type { Store } from "./store.ts";

/** Kinds of calls, as metrics name them. */
export const storeOperations = [
  "key_read",
  "key_write",
  "log_read",
  "log_append",
  "audit_write",
  "lease",
  /** How far the store went: of the trail, and of all that the heads file notes. */
  "heads",
  /** Witnessed time. */
  "time",
  /** Notes of the replicas that run, and rows that are written anew. */
  "upgrade",
  /** A read that may look at many rows: see long-reads.ts. */
  "long_read",
] as const;

export type StoreOperation = (typeof storeOperations)[number];

export const storeOutcomes = [
  "ok",
  /** The call does not fit what is stored, and changed nothing. */
  "conflict",
  "unavailable",
  "data_loss",
  "other",
] as const;

export type StoreOutcome = (typeof storeOutcomes)[number];

/** Methods of a store that ask it something, except `close`. */
export type Asked = Exclude<
  { [Name in keyof Store]: Store[Name] extends (...args: never[]) => Promise<unknown> ? Name : never }[keyof Store],
  "close" | undefined
>;

/** Operation of each method that is no long read. The compiler refuses a store with a method that has none. */
const operations: Readonly<Record<Exclude<Asked, LongRead>, StoreOperation>> = {
  storeKey: "key_read",
  replaceStoreKey: "key_write",
  active: "key_read",
  get: "key_read",
  lastVersion: "key_read",
  insertPending: "key_write",
  activate: "key_write",
  update: "key_write",
  deletePending: "key_write",
  deletePendingBefore: "key_write",
  request: "key_read",
  deleteRequestsBefore: "key_write",
  destroyable: "key_read",
  setDestroyWait: "key_write",
  lease: "lease",
  finishLease: "lease",
  leaseFinishedAt: "lease",
  noteReplica: "upgrade",
  endReplica: "upgrade",
  rewriteRows: "upgrade",
  finishUpgrade: "upgrade",
  upgradeState: "upgrade",
  witnessedTime: "time",
  noteWitnessedTime: "time",
  appendAudit: "audit_write",
  auditHead: "heads",
  logHead: "log_read",
  nextLogNumber: "log_read",
  createLog: "log_append",
  appendLog: "log_append",
  logRequest: "log_read",
  deleteLogRequestsBefore: "log_append",
  takeHeads: "heads",
  noteHeadsFile: "heads",
  acceptRollback: "audit_write",
};

const outcomes: Readonly<Partial<Record<KmsErrorCode, StoreOutcome>>> = {
  CONFLICT: "conflict",
  LEASE_LOST: "conflict",
  REQUEST_ID_REUSED: "conflict",
  NOT_FOUND: "conflict",
  STORE_UNAVAILABLE: "unavailable",
  DATA_LOSS: "data_loss",
};

/** Called when a call of the store has ended. It must not throw. */
export type StoreCallObserver = (operation: StoreOperation, outcome: StoreOutcome, seconds: number) => void;

type Method = (...args: unknown[]) => Promise<unknown>;

/** Wraps a store. Members that ask it nothing, such as `watch` and `log`, stay as they are. */
export function observedStore(store: Store, observe: StoreCallObserver, time: Time): Store {
  const timed = (name: Asked, operation: StoreOperation) => [
    name,
    observed(store[name] as Method, operation, observe, time),
  ];
  return {
    ...store,
    ...Object.fromEntries(Object.entries(operations).map(([name, operation]) => timed(name as Asked, operation))),
    ...Object.fromEntries(longReads.map((name) => timed(name, "long_read"))),
  };
}

function observed(method: Method, operation: StoreOperation, observe: StoreCallObserver, time: Time): Method {
  return async (...args) => {
    const beganAt = time.monotonicMs();
    let outcome: StoreOutcome = "other";
    try {
      const answer = await method(...args);
      outcome = "ok";
      return answer;
    } catch (error) {
      outcome = outcomeOf(error);
      throw error;
    } finally {
      observe(operation, outcome, (time.monotonicMs() - beganAt) / 1_000);
    }
  };
}

function outcomeOf(error: unknown): StoreOutcome {
  return (error instanceof KmsError ? outcomes[error.code] : undefined) ?? "other";
}
