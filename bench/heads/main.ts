/** What the heads file costs: with many logs and ended writers in the store, at a start and at each write; and the syncs of a service a second. */
import { postgresAvailable } from "../../test/support/postgres-cluster.ts";
import { startPostgres } from "../../test/support/postgres-server.ts";
import { openPostgres, postgresDatabase } from "../../src/store/postgres/open.ts";
import { embeddedDatabase } from "../../src/store/sqlite/embedded.ts";
import { openSqlite } from "../../src/store/sqlite/open.ts";
import { aligned } from "../figures.ts";
import { temporaryDirectory } from "../temporary.ts";
import { join } from "node:path";
import { type FileFigures, fileCosts } from "./file.ts";
import { type SyncFigures, syncsOf } from "./syncs.ts";
import { realTime } from "../../src/runtime/time.ts";

export interface HeadsResults {
  files: (FileFigures & { store: string })[];
  syncs: (SyncFigures & { load: string })[];
}

export async function heads(): Promise<HeadsResults> {
  const dir = temporaryDirectory();
  const file = join(dir, "kms.db");
  const sqlite = await fileCosts({
    locked: await openSqlite({ name: "sqlite", file }, realTime),
    fillBy: () => embeddedDatabase({ time: realTime, file, soon: setImmediate }),
    place: { file: `${file}-heads`, required: false, lock: `${file}.heads.lock`, database: file },
  });
  const files = [{ store: "SQLite", ...sqlite }];
  if (postgresAvailable()) files.push({ store: "PostgreSQL", ...(await postgresCosts(dir)) });
  printFiles(files);
  const syncs = [
    { load: "keys in use", ...(await syncsOf("uses")) },
    { load: "new keys", ...(await syncsOf("new keys")) },
  ];
  printSyncs(syncs);
  return { files, syncs };
}

async function postgresCosts(dir: string): Promise<FileFigures> {
  const server = await startPostgres();
  try {
    const url = await server.createDatabase();
    const place = join(dir, "replica-heads");
    return await fileCosts({
      locked: await openPostgres({ name: "postgres", url, maxConnections: 4 }, realTime),
      fillBy: () => postgresDatabase({ url }, 2, realTime),
      place: { file: place, required: false, lock: `${place}.lock`, database: undefined },
    });
  } finally {
    await server.close();
  }
}

function printFiles(files: HeadsResults["files"]): void {
  const [first] = files;
  console.log(`\na heads file of a store with ${first!.logs} logs and ${first!.writers} audit writers that ended\n`);
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  console.log(
    aligned([
      ["store", "first file", "judged at a start", "a look", "a write", "CPU of both", "bytes"],
      ...files.map(({ store, beginMs, judgeMs, lookMs, writeMs, cpuMs, bytes }) => [
        ...[store, ms(beginMs), ms(judgeMs), ms(lookMs), ms(writeMs), ms(cpuMs), `${bytes}`],
      ]),
    ]),
  );
}

function printSyncs(syncs: HeadsResults["syncs"]): void {
  console.log("\nsyncs a second of a service on SQLite\n");
  console.log(
    aligned([
      ["load", "calls a second", "database and log", "heads file", "directory"],
      ...syncs.map(({ load, calls, store, heads, directory }) => [
        ...[load, calls.toFixed(0), store.toFixed(1), heads.toFixed(1), directory.toFixed(1)],
      ]),
    ]),
  );
}
