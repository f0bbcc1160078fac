/**
 * The thread that owns the SQLite file: a commit waits for the disk, and would hold up every call on the main thread. It runs the calls
 * that open.ts sends, and answers each when it is durable.
 */
import { parentPort, workerData } from "node:worker_threads";
import { KmsError } from "../../errors.ts";
import { embeddedDatabase, sqliteDialect } from "./embedded.ts";
import { migrate } from "../sql/schema.ts";
import { lockedSqlStore } from "../sql/store.ts";
import type { Answer, Call } from "./open.ts";
import { prepareFile, realPath } from "./file.ts";
import type { Hold } from "./hold.ts";
import { holdReady } from "./ready-log.ts";
import type { LockedStore, Store } from "../store.ts";

const lookMs = 500;

const port = parentPort!;
const file = realPath((workerData as { file: string }).file);
const db = embeddedDatabase({ file, soon: setImmediate });
const locked = lockedSqlStore("sqlite", db);
let hold: Hold | undefined;
let unlocked: Store | undefined;

/** What may be called, by name. */
async function run({ method, args }: Pick<Call, "method" | "args">): Promise<unknown> {
  if (method === "open") {
    prepareFile(file);
    hold = holdReady(file);
    await db.write((tx) => migrate(tx, sqliteDialect));
    return undefined;
  }
  if (method === "unlock") {
    unlocked = await locked.unlock(args[0] as Parameters<LockedStore["unlock"]>[0]);
    return undefined;
  }
  const target = unlocked !== undefined && method in unlocked ? unlocked : locked;
  return (target as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[method]!(...args);
}

port.on("message", async ({ id, method, args }: Call) => {
  const answer: Answer = await run({ method, args }).then(
    (value) => ({ id, value }),
    (error) => ({ id, error: toPlain(error) }),
  );
  port.postMessage(answer);
  if (method === "close") {
    hold?.release();
    clearInterval(looking);
    port.close();
  }
});

/** Of a class, only what structured cloning leaves. */
function toPlain(error: unknown): NonNullable<Answer["error"]> {
  if (!(error instanceof KmsError)) return { message: String((error as Error)?.stack ?? error) };
  const { code, message, cause } = error;
  return { code, message, cause: cause instanceof Error ? `${cause.name}: ${cause.message}` : undefined };
}

/** Another process may use the same file: a command of ours, or a second service. */
const looking = setInterval(async () => {
  const changed = await db.look().catch(() => false);
  if (changed) port.postMessage({ change: "any" } satisfies Answer);
}, lookMs);
