/**
 * The thread that owns the SQLite file: a commit waits for the disk, and would hold up every call on the main thread. It runs the calls
 * that open.ts sends, and answers each when it is durable.
 */
import { timeOfThread } from "../../runtime/manual-time.ts";
import { parentPort, workerData } from "node:worker_threads";
import type { ThreadTime } from "../../runtime/time.ts";
import { hasCode, KmsError } from "../../errors.ts";
import { embeddedDatabase, sqliteDialect } from "./embedded.ts";
import { type MigrateMode, prepareSchema } from "../sql/upgrade/migration.ts";
import { lockedSqlStore } from "../sql/store.ts";
import { prepareFile, realPath, refuseMissing } from "./file.ts";
import { type GateParts, writerGate } from "./reader-gate.ts";
import { holdReady, type ReadyHold } from "./ready-log.ts";
import { judgeWal } from "./wal/verdict.ts";
import { type Answer, answerCalls, type Call } from "./store-thread.ts";
import type { LockedStore, Store } from "../store.ts";

const lookMs = 500;

export interface WriterData extends GateParts {
  file: string;
  /** See SqliteSettings. */
  headsFile?: string | undefined;
  migrate?: MigrateMode | undefined;
  groupReadable?: boolean | undefined;
  time: ThreadTime | undefined;
}

const port = parentPort!;
const data = workerData as WriterData;
const file = realPath(data.file);
const time = timeOfThread(data.time);
const ready = { file, headsFile: data.headsFile };
const db = embeddedDatabase({ file, soon: setImmediate, time, gate: writerGate(data), reopens });
const locked = lockedSqlStore("sqlite", db);
let hold: ReadyHold | undefined;
let unlocked: Store | undefined;

/**
 * Looks at the log again. Where it is not whole, what is done about it is what a start would do, which takes that no other process has the
 * database open. What a start would refuse is no loss of the record that is asked for: it is the next start that says more.
 */
function reopens(): void {
  if (hold !== undefined && judgeWal(file).kind === "whole") return;
  hold?.release();
  hold = undefined; // until the log is in order
  try {
    hold = holdReady(ready, time);
  } catch (cause) {
    if (!hasCode(cause, "DATA_LOSS", "ROLLBACK_SUSPECTED")) throw cause;
    const message =
      "the SQLite file is not opened again after an error, as its write-ahead log is damaged: restart the service, which says what to do";
    throw new KmsError("STORE_UNAVAILABLE", message, { cause });
  }
}

/** What may be called, by name. */
async function run({ method, args }: Pick<Call, "method" | "args">): Promise<unknown> {
  if (method === "open") {
    if (data.migrate === "never") refuseMissing(file);
    prepareFile(file, data.groupReadable);
    hold = holdReady(ready, time);
    await prepareSchema(db, sqliteDialect, data.migrate);
    return hold.log;
  }
  if (method === "unlock") {
    unlocked = await locked.unlock(args[0] as Parameters<LockedStore["unlock"]>[0]);
    return undefined;
  }
  if (method === "look") return look();
  const target = unlocked !== undefined && method in unlocked ? unlocked : locked;
  return (target as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[method]!(...args);
}

answerCalls(port, run, {
  closed() {
    hold?.release();
    time.clear(looking);
    data.port.close();
    data.time?.port.close();
  },
});

/** Opens the file if need be, and tells if another process changed it. */
async function look(): Promise<void> {
  if (await db.look()) port.postMessage({ change: "any" } satisfies Answer);
}

/** Another process may use the same file: a command of ours, or a second service. */
const looking = time.every(lookMs, () => void look().catch(() => {})).ref();
