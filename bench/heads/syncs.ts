/** How often a service on SQLite has its disk written, while callers use it: by a library that records what it syncs. */
import { mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as passed } from "node:timers/promises";
import { readRecords, type WriteRecord } from "../../test/support/power-cut/records.ts";
import { compiledLibrary } from "../../test/support/preloaded-library.ts";
import { type ServiceProcess, startProcess } from "../../test/support/service-process.ts";
import { temporaryDirectory } from "../temporary.ts";

/** A second each. */
export interface SyncFigures {
  calls: number;
  /** Syncs of the database and its log. */
  store: number;
  heads: number;
  directory: number;
}

const callers = 8;
const loadMs = 10_000;

export async function syncsOf(load: "uses" | "new keys"): Promise<SyncFigures> {
  const dir = temporaryDirectory();
  const library = compiledLibrary(join(import.meta.dirname, "../../test/support/power-cut/record-writes.c"), dir);
  const [disk, records] = [join(dir, "disk"), join(dir, "records")];
  mkdirSync(disk);
  const service = await startProcess(
    {
      FLUO_KMS_STORE: "sqlite",
      FLUO_KMS_SQLITE_FILE: join(disk, "kms.db"),
      FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(disk, "master-key"),
      LD_PRELOAD: library,
      WRITES_OF: disk,
      WRITES_TO: records,
    },
    { cwd: dir, finished() {} },
  );
  const before = syncsIn(readRecords(records));
  const began = performance.now();
  const calls = await called(service, load, began + loadMs);
  const seconds = (performance.now() - began) / 1_000;
  const after = syncsIn(readRecords(records));
  await service.end();
  const rate = (name: keyof typeof after) => (after[name] - before[name]) / seconds;
  return { calls: calls / seconds, store: rate("store"), heads: rate("heads"), directory: rate("directory") };
}

async function called({ client }: ServiceProcess, load: "uses" | "new keys", until: number): Promise<number> {
  let calls = 0;
  const caller = async (number: number) => {
    for (let turn = 0; performance.now() < until; turn += 1) {
      const tenantId = load === "uses" ? `tenant-${number}` : `tenant-${number}-${turn}`;
      await client.generateDataKey({ tenantId });
      calls += 1;
      await passed(1);
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, number) => caller(number)));
  return calls;
}

function syncsIn(records: readonly WriteRecord[]): Record<"store" | "heads" | "directory", number> {
  const found = { store: 0, heads: 0, directory: 0 };
  const names = new Map<bigint, keyof typeof found>();
  for (const record of records) {
    if (record.kind === "folder") names.set(record.inode, "directory");
    if (record.kind === "named")
      names.set(record.inode, /-heads(\.|$)/.test(basename(record.path)) ? "heads" : "store");
    if (record.kind === "synced") found[names.get(record.inode) ?? "store"] += 1;
  }
  return found;
}
