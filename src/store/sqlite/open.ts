/**
 * The embedded store: a SQLite file, in a thread of its own (database-worker.ts), and long reads of it in another (reading-worker.ts). Here each
 * call is a message and its answer.
 */
import type { KeyObject } from "node:crypto";
import { dirname } from "node:path";
import { MessageChannel } from "node:worker_threads";
import { moduleBeside } from "../../runtime/module-beside.ts";
import type { Time } from "../../runtime/time.ts";
import { longReads } from "../long-reads.ts";
import type { MigrateMode } from "../sql/upgrade/migration.ts";
import type { LogExamination } from "./ready-log.ts";
import type { LockedStore, Store } from "../store.ts";
import { volumeOf } from "../volume.ts";
import type { WriterData } from "./database-worker.ts";
import { realPath } from "./file.ts";
import { logOf } from "./log-size.ts";
import { clearGate, gateMemory } from "./reader-gate.ts";
import type { ReaderData } from "./reading-worker.ts";
import { startThread, type Thread } from "./store-thread.ts";

export interface SqliteSettings {
  name: "sqlite";
  /** Absolute. Made if it is missing. */
  file: string;
  /** Absolute. Where the commits of the store are noted, if not beside it. */
  headsFile?: string | undefined;
  /** Whether the group of the file, if it is one of the process's, may have rights to it. */
  groupReadable?: boolean;
  /** Size of its write-ahead log past which somebody is told. */
  maxLogBytes?: number;
  /** `auto` if it is not given. */
  migrate?: MigrateMode | undefined;
}

/** What runs in the thread, of a store in this one: all that promise something but what open.ts does itself. */
type Forwarded<T> = {
  [Name in Exclude<keyof T, "unlock" | "close">]: T[Name] extends (...args: never[]) => Promise<unknown> ? Name : never;
}[Exclude<keyof T, "unlock" | "close">];

/** Method names as keys, so that the compiler refuses a list that lacks one, as well as one that has too many. */
type MethodList<T> = Readonly<Record<Forwarded<T>, true>>;

const lockedMethods: MethodList<LockedStore> = { storeKey: true, insertStoreKey: true, refuseDamaged: true };

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
  destructionsWaiting: true,
  unwitnessedDestructions: true,
  setDestroyWait: true,
  wrappedByOthers: true,
  countWrappedByOthers: true,
  counts: true,
  lease: true,
  finishLease: true,
  leaseFinishedAt: true,
  noteReplica: true,
  endReplica: true,
  rewriteRows: true,
  finishUpgrade: true,
  upgradeState: true,
  witnessedTime: true,
  noteWitnessedTime: true,
  appendAudit: true,
  auditEvents: true,
  recentTenants: true,
  auditHeads: true,
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
  examine: true,
  examinedRows: true,
  takeHeads: true,
  standing: true,
  refuseDamaged: true,
  newestHeads: true,
  noteHeadsFile: true,
  acceptsHeads: true,
  acceptRollback: true,
};

/** STORE_UNAVAILABLE where the file cannot be used, or has a newer schema. */
export async function openSqlite(
  { file, headsFile, groupReadable, maxLogBytes = Number.POSITIVE_INFINITY, migrate }: SqliteSettings,
  time: Time,
): Promise<LockedStore> {
  const { writer, readBy, waiting, close } = threadsOf({
    file,
    headsFile,
    groupReadable,
    migrate,
    time: time.forThread(),
  });
  let log: LogExamination;
  try {
    log = (await writer.call("open", [])) as LogExamination;
  } catch (error) {
    await close();
    throw error;
  }
  return {
    name: "sqlite",
    remarks: log.isWarning ? [`the write-ahead log of ${file} was ${log.text}`] : [],
    ...forwarded(lockedMethods, writer.call),
    async unlock(key: KeyObject): Promise<Store> {
      await writer.call("unlock", [key]);
      const read = readBy(key);
      const reads = longReads.map((method) => [method, (...args: unknown[]) => read(method, args)]);
      return {
        name: "sqlite",
        ...forwarded(storeMethods, writer.call),
        ...Object.fromEntries(reads),
        watch: writer.watch,
        log: logOf(realPath(file), maxLogBytes),
        load: () => ({ waiting: waiting() }),
        volume: volumeOf(dirname(realPath(file)), time.monotonicMs),
        close,
      };
    },
    close,
  };
}

/** The methods of `list`, each a call to the thread. The thread runs the same method, so that its answer has the method's type. */
function forwarded<T>(list: MethodList<T>, call: Thread["call"]): Pick<T, Forwarded<T>> {
  const methods = Object.keys(list).map((method) => [method, (...args: unknown[]) => call(method, args)]);
  return Object.fromEntries(methods);
}

/** Tries of a read that meets one opening of the file after the other. */
const maxTries = 3;

/** The thread that writes; and the one that reads, which starts with the first long read. */
function threadsOf({ file, ...more }: Omit<WriterData, "memory" | "port">) {
  const memory = gateMemory();
  const { port1, port2 } = new MessageChannel();
  const writer = startThread(moduleBeside("database-worker", import.meta.url), {
    workerData: { file, ...more, memory, port: port1 } satisfies WriterData,
    transferList: [port1, ...(more.time ? [more.time.port] : [])],
  });
  let reader: Thread | undefined;
  let isClosed = false;

  function startReader(key: KeyObject): Thread {
    const options = {
      workerData: { file, memory, port: port2, key } satisfies ReaderData,
      transferList: [port2],
    };
    return startThread(moduleBeside("reading-worker", import.meta.url), options, () => clearGate(memory));
  }

  return {
    writer,
    /** Reads in the other thread, which authenticates rows by the store key. */
    readBy: (key: KeyObject): Thread["call"] =>
      async function read(method, args) {
        if (isClosed) return writer.call(method, args); // which says so
        reader ??= startReader(key);
        for (let tries = 1; ; tries += 1) {
          try {
            return await reader.call(method, args);
          } catch (error) {
            if (!reader.isReopening(error) || tries === maxTries) throw error;
          }
          await writer.call("look", []);
        }
      },
    waiting: () => writer.waiting() + (reader?.waiting() ?? 0),
    async close() {
      isClosed = true;
      await reader?.close();
      await writer.close();
      port2.close();
    },
  };
}
