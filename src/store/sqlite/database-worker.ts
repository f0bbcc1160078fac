/**
 * The thread that owns the SQLite file: a commit waits for the disk, and would hold up every call on the main thread. It runs the calls
 * that open.ts sends, and answers each when it is durable.
 */
import { parentPort, workerData } from "node:worker_threads";
import { embeddedDatabase, sqliteDialect } from "./embedded.ts";
import { migrate } from "../sql/rows/schema.ts";
import { lockedSqlStore } from "../sql/store.ts";
import { prepareFile, realPath } from "./file.ts";
import { type GateParts, writerGate } from "./reader-gate.ts";
import { holdReady, type ReadyHold } from "./ready-log.ts";
import { type Answer, answerCalls, type Call } from "./store-thread.ts";
import type { LockedStore, Store } from "../store.ts";

const lookMs = 500;

export interface WriterData extends GateParts {
  file: string;
  /** See SqliteSettings. */
  headsFile?: string | undefined;
}

const port = parentPort!;
const data = workerData as WriterData;
const file = realPath(data.file);
const db = embeddedDatabase({ file, soon: setImmediate, gate: writerGate(data) });
const locked = lockedSqlStore("sqlite", db);
let hold: ReadyHold | undefined;
let unlocked: Store | undefined;

/** What may be called, by name. */
async function run({ method, args }: Pick<Call, "method" | "args">): Promise<unknown> {
  if (method === "open") {
    prepareFile(file);
    hold = holdReady({ file, headsFile: data.headsFile });
    await db.write((tx) => migrate(tx, sqliteDialect));
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
    clearInterval(looking);
    data.port.close();
  },
});

/** Opens the file if need be, and tells if another process changed it. */
async function look(): Promise<void> {
  if (await db.look()) port.postMessage({ change: "any" } satisfies Answer);
}

/** Another process may use the same file: a command of ours, or a second service. */
const looking = setInterval(() => void look().catch(() => {}), lookMs);
