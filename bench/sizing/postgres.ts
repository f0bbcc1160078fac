/** What a load costs PostgreSQL: CPU of all its processes, log, commits and syncs. */
import { readdirSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { cpuMicrosOf, parentOf } from "./proc.ts";

export interface PostgresUse {
  cpuMicros: number;
  walBytes: number;
  /** Transactions that wrote. */
  commits: number;
  /** Syncs of the write-ahead log: commits that come together share one. */
  walSyncs: number;
  /** Size of the database, tables and indexes. */
  storedBytes: number;
}

export interface PostgresMeter {
  /** What was used since the last question. It waits until the server's processes have reported. */
  sinceLast(): Promise<PostgresUse>;
  close(): Promise<void>;
}

/** A process that is idle reports what it did within 10 s. */
const reportsWithinMs = 11_000;

/** Of the server whose first process is `pid`, and one database of it. On Linux only. */
export async function meterOf(pid: number, url: string): Promise<PostgresMeter> {
  const client = new Client({ connectionString: url });
  await client.connect();
  let last = await totals();

  async function totals(): Promise<PostgresUse> {
    const cpuMicros = cpuOf(pid); // before what is asked here costs any
    await delay(reportsWithinMs);
    const { rows } = await client.query(`select pg_current_wal_lsn() - '0/0' as wal,
      pg_snapshot_xmax(pg_current_snapshot())::text as commits,
      (select sum(fsyncs) from pg_stat_io where object = 'wal') as syncs,
      pg_database_size(current_database()) as stored`);
    const { wal, commits, syncs, stored } = rows[0];
    return {
      cpuMicros,
      walBytes: Number(wal),
      commits: Number(commits),
      walSyncs: Number(syncs),
      storedBytes: Number(stored),
    };
  }

  return {
    async sinceLast() {
      const [before, now] = [last, await totals()];
      last = { ...now, cpuMicros: cpuOf(pid) };
      const names = Object.keys(now) as (keyof PostgresUse)[];
      return Object.fromEntries(names.map((name) => [name, now[name] - before[name]])) as unknown as PostgresUse;
    },
    close: () => client.end(),
  };
}

/** Of the server's first process, its children, and those of them that have ended. */
function cpuOf(pid: number): number {
  const children = readdirSync("/proc").filter((name) => parentOf(name) === pid);
  const micros = children.map((child) => cpuMicrosOf(child));
  return micros.reduce((sum, each) => sum + each, cpuMicrosOf(String(pid), true));
}
