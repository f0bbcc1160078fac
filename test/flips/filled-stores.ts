/** A SQLite store that calls of a real service filled, as it is left in several ways. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { DatabaseSync } from "node:sqlite";
import { readNotedCommits } from "../../src/store/sqlite/wal/noted-commits.ts";
import { atExit } from "../support/cli-fixture.ts";
import { note } from "../support/crashed-store.ts";
import { hungMs } from "../support/hung.ts";
import { startProcess, type ServiceProcess } from "../support/service-process.ts";
import { commitsIn } from "../support/wal-files.ts";
import { type Known, makeKnown, makeKnownWithLog, noteKeys, useKeys } from "./known.ts";

export interface FilledStore {
  /** How it was left, in words. */
  left: string;
  /** The folder with `kms.db`, what is beside it, and `master.key`. */
  folder: string;
  database: Buffer;
  log: Buffer;
}

export interface FilledStores extends Disposable {
  stores: FilledStore[];
  known: Known[];
}

/** Some of it is in the database, and some in the log alone. */
export async function fillStores(): Promise<FilledStores> {
  const root = mkdtempSync(join(tmpdir(), "fluo-kms-flips-"));
  const origin = join(root, "origin");
  mkdirSync(origin);
  const known = await serve(origin, async (service) => {
    const made = [await makeKnownWithLog(service, "early-1")];
    for (const tenant of ["early-2", "early-3"]) made.push(await makeKnown(service.client, tenant));
    return made;
  });
  await serve(origin, (service) => fillMore(service, known), "SIGKILL");
  const crashed = leave(root, origin, "killed, with a log");

  const checkpointed = join(root, "checkpointed");
  cpSync(crashed.folder, checkpointed, { recursive: true });
  const stores = [crashed, leaveAs(root, checkpointed, "killed, with a log that is in the database")];
  await serve(origin, async () => {});
  stores.push(leave(root, origin, "stopped, without a log"));
  return { stores, known, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}

/** Works with a service on the store; the service is gone afterwards. `begin` starts another release than this one. */
export async function serve<T>(
  folder: string,
  work: (service: ServiceProcess) => Promise<T>,
  signal: NodeJS.Signals = "SIGTERM",
  begin: (env: Record<string, string>, cwd: string) => Promise<ServiceProcess> = beginThis,
): Promise<T> {
  const env = {
    FLUO_KMS_SQLITE_FILE: join(folder, "kms.db"),
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(folder, "master.key"),
    KMS_ROTATION_ENABLED: "false",
  };
  const service = await begin(env, folder);
  try {
    const result = await work(service);
    await allNoted(join(folder, "kms.db"));
    return result;
  } finally {
    await service.end(signal);
  }
}

function beginThis(env: Record<string, string>, cwd: string): Promise<ServiceProcess> {
  return startProcess(env, { cwd, finished: atExit });
}

async function fillMore(service: ServiceProcess, known: Known[]): Promise<void> {
  const { client } = service;
  const [first, second, third] = known as [Known, Known, Known];
  await client.rotate({ tenantId: first.tenantId, force: true });
  await useKeys(client, first);
  for (const [{ tenantId, keys }, change] of [
    [second, "disableKey"],
    [third, "markKeyCompromised"],
  ] as const) {
    for (const keyId of keys.keys()) await client.admin[change]({ tenantId, keyId });
  }
  known.push(await makeKnownWithLog(service, "late-1"));
  for (const tenant of ["late-2", "late-3"]) known.push(await makeKnown(client, tenant));
  for (const each of known) await noteKeys(client, each);
}

/** What was committed is noted within a second, where a service notes it. */
export async function allNoted(file: string): Promise<void> {
  const until = performance.now() + hungMs;
  while (existsSync(`${file}-heads`) && readNotedCommits(`${file}-heads`) !== commitsIn(file)) {
    if (performance.now() > until) throw new Error("the heads file does not become that of the store");
    await delay(100);
  }
}

function leave(root: string, origin: string, left: string): FilledStore {
  const folder = join(root, left.replaceAll(/[ ,]+/g, "-"));
  cpSync(origin, folder, { recursive: true });
  for (const end of [".lock", ".opening.lock", "-shm"]) rmSync(join(folder, `kms.db${end}`), { force: true });
  return filled(folder, left);
}

/** Moves all pages into the database, and leaves the log as it is. */
function leaveAs(root: string, from: string, left: string): FilledStore {
  const file = join(from, "kms.db");
  const db = new DatabaseSync(file);
  db.exec("pragma wal_checkpoint(passive)");
  const bytes = ["", "-wal"].map((end) => readFileSync(file + end));
  db.close();
  ["", "-wal"].forEach((end, index) => {
    writeFileSync(file + end, bytes[index]!);
  });
  return leave(root, from, left);
}

/** Notes the commits if no service has noted them yet: the last second before a crash is not in question. */
function filled(folder: string, left: string): FilledStore {
  const file = join(folder, "kms.db");
  const bytes = (end: string) => (existsSync(file + end) ? readFileSync(file + end) : Buffer.alloc(0));
  const store = { left, folder, database: bytes(""), log: bytes("-wal") };
  if (!existsSync(`${file}-heads`)) {
    const copy = join(folder, "copy.db");
    for (const [end, content] of [
      ["", store.database],
      ["-wal", store.log],
    ] as const)
      writeFileSync(copy + end, content);
    note(file, commitsIn(copy));
    for (const end of ["", "-wal", "-shm"]) rmSync(copy + end, { force: true });
  }
  return store;
}
