/** The embedded store: a SQLite file, in a thread of its own (database-worker.ts). Here each call is a message and its answer. */
import type { KeyObject } from "node:crypto";
import { Worker } from "node:worker_threads";
import { KmsError, type KmsErrorCode } from "../../errors.ts";
import type { KeyChange } from "../key-store.ts";
import type { LockedStore, Store } from "../store.ts";

export interface SqliteSettings {
  name: "sqlite";
  /** Absolute. Made if it is missing. */
  file: string;
}

export interface Call {
  id: number;
  method: string;
  args: unknown[];
}

/** With `change`, nobody's answer but news. */
export interface Answer {
  id?: number;
  value?: unknown;
  error?: { code?: KmsErrorCode; message: string; cause?: string | undefined };
  change?: KeyChange;
}

type Methods<T> = { [Name in keyof T]: T[Name] extends (...args: never[]) => Promise<unknown> ? Name : never }[keyof T];

const lockedMethods = ["storeKey", "insertStoreKey"] as const satisfies Methods<LockedStore>[];

const storeMethods = [
  "storeKey",
  "replaceStoreKey",
  "active",
  "get",
  "list",
  "lastVersion",
  "listKeys",
  "insertPending",
  "activate",
  "update",
  "deletePending",
  "deletePendingBefore",
  "request",
  "deleteRequestsBefore",
  "due",
  "destroyable",
  "wrappedByOthers",
  "countWrappedByOthers",
  "counts",
  "lease",
  "finishLease",
  "appendAudit",
  "auditEvents",
  "recentTenants",
  "verifyAudit",
  "auditHead",
  "logHead",
  "logHeads",
  "nextLogNumber",
  "createLog",
  "appendLog",
  "logRequest",
  "deleteLogRequestsBefore",
  "logHashes",
  "logEntries",
  "logHandovers",
  "logCompromises",
] as const satisfies Methods<Store>[];

/** STORE_UNAVAILABLE where the file cannot be used, or has a newer schema. */
export async function openSqlite({ file }: SqliteSettings): Promise<LockedStore> {
  const thread = startThread(file);
  const close = () => thread.close();
  const forward = (method: string): [string, (...args: unknown[]) => Promise<unknown>] => [
    method,
    (...args) => thread.call(method, args),
  ];
  try {
    await thread.call("open", []);
  } catch (error) {
    await close();
    throw error;
  }
  const store = {
    name: "sqlite",
    ...Object.fromEntries(storeMethods.map(forward)),
    watch: thread.watch,
    close,
  } as unknown as Store;
  return {
    name: "sqlite",
    ...Object.fromEntries(lockedMethods.map(forward)),
    async unlock(key: KeyObject) {
      await thread.call("unlock", [key]);
      return store;
    },
    close,
  } as unknown as LockedStore;
}

/** What passes through is garbage soon, and lies outside the heap: a small young generation gives it back sooner. */
const resourceLimits = { maxYoungGenerationSizeMb: 4 };

function startThread(file: string) {
  const worker = new Worker(new URL("./database-worker.ts", import.meta.url), {
    workerData: { file },
    resourceLimits,
  });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>();
  const listeners = new Set<(change: KeyChange) => void>();
  let lastId = 0;
  let ended: KmsError | undefined;
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));

  worker.on("message", ({ id, value, error, change }: Answer) => {
    if (change !== undefined) for (const listener of listeners) listener(change);
    const call = waiting.get(id ?? 0);
    if (call === undefined) return;
    waiting.delete(id!);
    if (waiting.size === 0) worker.unref(); // an idle store keeps no process alive
    if (error === undefined) call.resolve(value);
    else call.reject(thrown(error));
  });
  const end = (cause?: unknown) => {
    ended ??= new KmsError("STORE_UNAVAILABLE", "the thread of the SQLite store has ended", { cause });
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };
  worker.on("error", end);
  worker.on("exit", () => end());

  function call(method: string, args: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (ended) return reject(ended);
      lastId += 1;
      waiting.set(lastId, { resolve, reject });
      worker.ref();
      worker.postMessage({ id: lastId, method, args } satisfies Call);
    });
  }

  return {
    call,
    watch(listener: (change: KeyChange) => void) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    async close() {
      if (ended) return;
      await call("close", []).catch(() => {});
      worker.ref(); // its end is waited for
      await exited;
    },
  };
}

function thrown({ code, message, cause }: NonNullable<Answer["error"]>): Error {
  if (code === undefined) return new Error(message);
  return new KmsError(code, message, cause === undefined ? {} : { cause: new Error(cause) });
}
