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

/** What runs in the thread, of a store in this one: all that promise something but what open.ts does itself. */
type Forwarded<T> = {
  [Name in Exclude<keyof T, "unlock" | "close">]: T[Name] extends (...args: never[]) => Promise<unknown> ? Name : never;
}[Exclude<keyof T, "unlock" | "close">];

/** Method names as keys, so that the compiler refuses a list that lacks one, as well as one that has too many. */
type MethodList<T> = Readonly<Record<Forwarded<T>, true>>;

const lockedMethods: MethodList<LockedStore> = { storeKey: true, insertStoreKey: true };

const storeMethods: MethodList<Store> = {
  storeKey: true,
  replaceStoreKey: true,
  active: true,
  get: true,
  list: true,
  lastVersion: true,
  listKeys: true,
  insertPending: true,
  activate: true,
  update: true,
  deletePending: true,
  deletePendingBefore: true,
  request: true,
  deleteRequestsBefore: true,
  due: true,
  destructionRequests: true,
  destroyable: true,
  wrappedByOthers: true,
  countWrappedByOthers: true,
  counts: true,
  lease: true,
  finishLease: true,
  appendAudit: true,
  auditEvents: true,
  recentTenants: true,
  verifyAudit: true,
  auditHead: true,
  logHead: true,
  logHeads: true,
  nextLogNumber: true,
  createLog: true,
  appendLog: true,
  logRequest: true,
  deleteLogRequestsBefore: true,
  logHashes: true,
  logEntries: true,
  logHandovers: true,
  logCompromises: true,
};

/** STORE_UNAVAILABLE where the file cannot be used, or has a newer schema. */
export async function openSqlite({ file }: SqliteSettings): Promise<LockedStore> {
  const thread = startThread(file);
  const close = () => thread.close();
  try {
    await thread.call("open", []);
  } catch (error) {
    await close();
    throw error;
  }
  const store: Store = { name: "sqlite", ...forwarded(storeMethods, thread.call), watch: thread.watch, close };
  return {
    name: "sqlite",
    ...forwarded(lockedMethods, thread.call),
    async unlock(key: KeyObject) {
      await thread.call("unlock", [key]);
      return store;
    },
    close,
  };
}

/** The methods of `list`, each a call to the thread. The thread runs the same method, so that its answer has the method's type. */
function forwarded<T>(list: MethodList<T>, call: Thread["call"]): Pick<T, Forwarded<T>> {
  const methods = Object.keys(list).map((method) => [method, (...args: unknown[]) => call(method, args)]);
  return Object.fromEntries(methods);
}

interface Thread {
  call(method: string, args: unknown[]): Promise<unknown>;
  watch: Store["watch"];
  close(): Promise<void>;
}

/** What passes through is garbage soon, and lies outside the heap: a small young generation gives it back sooner. */
const resourceLimits = { maxYoungGenerationSizeMb: 4 };

function startThread(file: string): Thread {
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
