/**
 * Keys and logs that the examination of the store found damaged although their own rows read well: one that was put back to an earlier form of its
 * own, for example. Each use is DATA_LOSS from then on, as if its row failed its authentication, and all others go on.
 */
import { KmsError } from "../errors.ts";
import type { RowProblem, RowProblemKind } from "../store/row-problem.ts";
import type { LogName } from "../store/log-store.ts";
import type { Store } from "../store/store.ts";

export interface Losses {
  /** Makes these the lost keys and logs, in place of the ones before. */
  replace(problems: readonly RowProblem[]): void;
  /** The store, in which every use of a lost key or log throws DATA_LOSS. */
  refusedIn(store: Store): Store;
}

const keyKinds: readonly RowProblemKind[] = [
  "record_altered",
  "record_missing",
  "record_unknown",
  "state",
  "several_active",
  "index",
];

/** Whether the problem is that of one key, or of one log, alone. */
export function isOfKey({ kind, keyId }: RowProblem): boolean {
  return keyId !== "" && keyKinds.includes(kind);
}

export function isOfLog({ log }: RowProblem): boolean {
  return log !== undefined;
}

export function createLosses(): Losses {
  let keys = new Map<string, string>();
  let logs = new Map<string, Map<number, string>>();

  function refuseKey(tenantId: string, keyId: string): void {
    const what = keys.get(`${tenantId}/${keyId}`);
    if (what !== undefined) throw new KmsError("DATA_LOSS", `key ${keyId}: ${what}`);
  }

  function refuseLog({ tenantId, number }: LogName): void {
    const what = logs.get(tenantId)?.get(number);
    if (what !== undefined) throw new KmsError("DATA_LOSS", `log ${number} of tenant ${tenantId}: ${what}`);
  }

  const lostOf = (tenantId: string): number[] => [...(logs.get(tenantId)?.keys() ?? [])];

  /** A log that lost its head is not the last one any more: no other may take its place. */
  function refuseLaterLog(tenantId: string, last: number): void {
    for (const number of lostOf(tenantId)) if (number >= last) refuseLog({ tenantId, number });
  }

  return {
    replace(problems) {
      const named = problems
        .filter(isOfKey)
        .map(({ tenantId, keyId, what }) => [`${tenantId}/${keyId}`, what] as const);
      keys = new Map(named);
      logs = new Map();
      for (const { tenantId, log, what } of problems.filter(isOfLog)) {
        logs.set(tenantId, (logs.get(tenantId) ?? new Map<number, string>()).set(log!, what));
      }
    },

    refusedIn: (store) => ({
      ...store,
      ...usesOfKeys(store, refuseKey),
      ...usesOfLogs(store, { lostOf, refuseLog, refuseLaterLog }),
    }),
  };
}

function usesOfKeys(
  store: Store,
  refuse: (tenantId: string, keyId: string) => void,
): Pick<Store, "active" | "get" | "list" | "update" | "activate"> {
  return {
    async active(tenantId, purpose) {
      const record = await store.active(tenantId, purpose);
      if (record !== undefined) refuse(tenantId, record.keyId);
      return record;
    },
    async get(tenantId, keyId) {
      refuse(tenantId, keyId);
      return store.get(tenantId, keyId);
    },
    async list(tenantId, purpose) {
      const records = await store.list(tenantId, purpose);
      for (const { keyId } of records) refuse(tenantId, keyId);
      return records;
    },
    async update(present, next, by) {
      refuse(present.tenantId, present.keyId);
      return store.update(present, next, by);
    },
    async activate(activation) {
      const { tenantId, expect } = activation;
      if (typeof expect === "object") refuse(tenantId, expect.active);
      return store.activate(activation);
    },
  };
}

interface RefuseLogs {
  /** Numbers of a tenant's lost logs. */
  lostOf(tenantId: string): number[];
  refuseLog(log: LogName): void;
  refuseLaterLog(tenantId: string, last: number): void;
}

function usesOfLogs(
  store: Store,
  { lostOf, refuseLog, refuseLaterLog }: RefuseLogs,
): Pick<Store, "logHead" | "logHeads" | "createLog" | "appendLog" | "logRequest" | "logHashes" | "logEntries"> {
  return {
    async logHead(tenantId, number) {
      const head = await store.logHead(tenantId, number);
      if (number === undefined) refuseLaterLog(tenantId, head?.number ?? 0);
      else refuseLog({ tenantId, number });
      return head;
    },
    /** A list of the logs that there are is true whatever became of their entries; one that lacks a log is not. */
    async logHeads(tenantId) {
      const heads = await store.logHeads(tenantId);
      for (const number of lostOf(tenantId)) {
        if (!heads.some((head) => head.number === number)) refuseLog({ tenantId, number });
      }
      return heads;
    },
    async createLog(head) {
      refuseLaterLog(head.tenantId, head.number - 1);
      return store.createLog(head);
    },
    async appendLog(append) {
      refuseLog(append.expect);
      return store.appendLog(append);
    },
    async logRequest(log, requestId) {
      refuseLog(log);
      return store.logRequest(log, requestId);
    },
    async logHashes(log, tileLevel, tile) {
      refuseLog(log);
      return store.logHashes(log, tileLevel, tile);
    },
    async logEntries(log, bundle) {
      refuseLog(log);
      return store.logEntries(log, bundle);
    },
  };
}
