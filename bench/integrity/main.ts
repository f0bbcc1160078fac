/**
 * What a pass over a large store takes, and what calls notice of it: pieces one after the other without rest, then calls of the store with and
 * without a pass at its own pace beside them.
 */
import { createSecretKey, randomBytes } from "node:crypto";
import { join } from "node:path";
import { runPass } from "../../src/integrity/pass.ts";
import type { KeyRecord } from "../../src/store/key-record.ts";
import type { AuditEvent } from "../../src/store/audit-store.ts";
import type { ExamineCursor } from "../../src/store/integrity-store.ts";
import { auditChain } from "../../src/store/sql/audit.ts";
import { rowMac } from "../../src/store/sql/rows/mac.ts";
import { insertRows, keyRow, storedValues, valuesOf } from "../../src/store/sql/rows/rows.ts";
import { embeddedDatabase } from "../../src/store/sqlite/embedded.ts";
import { openSqlite } from "../../src/store/sqlite/open.ts";
import type { Store } from "../../src/store/store.ts";
import { aligned } from "../figures.ts";
import { temporaryDirectory } from "../temporary.ts";
import { realTime } from "../../src/runtime/time.ts";

interface PartFigures {
  part: string;
  pieces: number;
  rows: number;
  /** CPU time of all threads. */
  cpuMs: number;
  /** Time of the piece that took longest. One that took long is read again, and its fastest reading counts: other processes may have had the processor. */
  longestMs: number;
  /** CPU time of the piece that took most. */
  longestCpuMs: number;
}

interface Latency {
  calls: number;
  p50Ms: number;
  p99Ms: number;
  cores: number;
}

export interface IntegrityResults {
  keys: number;
  auditRows: number;
  parts: PartFigures[];
  /** Bytes by which the memory of the process grew at most, from before the pass. */
  memoryBytes: number;
  alone: Latency;
  besidePass: Latency;
}

const tenants = Number(process.env.BENCH_INTEGRITY_KEYS ?? 100_000);
const auditRows = 10 * tenants;
const tenantsAtOnce = 1_000;
const besideMs = 20_000;
/** A pass rests 19 times as long as it works. */
const share = 20;
/** A piece that takes longer is read again, twice. */
const longMs = 50;

export async function integrity(): Promise<IntegrityResults> {
  const key = createSecretKey(randomBytes(32));
  const file = join(temporaryDirectory(), "kms.db");
  const locked = await openSqlite({ name: "sqlite", file }, realTime);
  const stored = { storeId: "00", provider: "local", providerKeyId: "local:00", wrapped: randomBytes(60) };
  await locked.insertStoreKey({ ...stored, createdAt: new Date() }, key);
  const store = await locked.unlock(key);
  await fill(file, rowMac(key));
  const { parts, memoryBytes } = await unpaced(store);
  const alone = await latency(store, async () => {});
  const besidePass = await latency(store, (signal) =>
    runPass({ time: realTime, store, found() {}, progress() {} }, signal),
  );
  await store.close();
  const results = { keys: tenants, auditRows, parts, memoryBytes, alone, besidePass };
  print(results);
  return results;
}

async function fill(file: string, mac: ReturnType<typeof rowMac>): Promise<void> {
  const db = embeddedDatabase({ time: realTime, file, soon: setImmediate });
  const chain = auditChain(mac, randomBytes(16).toString("hex"));
  for (let start = 0; start < tenants; start += tenantsAtOnce) {
    const records = Array.from({ length: tenantsAtOnce }, (_, at) => recordOf(`tenant-${start + at}`));
    await db.write(async (tx) => {
      const rows = records.map((record) => {
        const row = keyRow(record);
        return [...storedValues("kms_keys", row), mac.of("kms_keys", valuesOf("kms_keys", row))];
      });
      await insertRows(tx.query, "kms_keys", rows);
      const births = records.map((record) => eventOf(record, "create"));
      const uses = records.flatMap((record) => Array.from({ length: 9 }, () => eventOf(record, "encrypt_pii")));
      await chain.append(tx, [...births, ...uses]);
    });
  }
  await db.close();
}

function recordOf(tenantId: string): KeyRecord {
  const at = new Date();
  return {
    tenantId,
    purpose: "data",
    version: 1,
    keyId: randomBytes(16).toString("hex"),
    state: "ACTIVE",
    provider: "local",
    providerKeyId: "local:00",
    wrapped: randomBytes(60),
    publicKey: new Uint8Array(),
    createdAt: at,
    activatedAt: at,
    retiredAt: undefined,
    compromisedAt: undefined,
    destroyAt: undefined,
    previousState: undefined,
    destruction: undefined,
    destroyWait: undefined,
  };
}

function eventOf({ tenantId, keyId }: KeyRecord, action: "create" | "encrypt_pii"): AuditEvent {
  return {
    at: new Date(),
    actor: "bench",
    action,
    tenantId,
    purpose: "data",
    keyId,
    outcome: "OK",
    requestId: "",
    count: 1,
  };
}

async function unpaced(store: Store): Promise<Pick<IntegrityResults, "parts" | "memoryBytes">> {
  const parts: PartFigures[] = [];
  const before = process.memoryUsage.rss();
  let memoryBytes = 0;
  let from: ExamineCursor | undefined;
  do {
    const began = performance.now();
    const used = process.cpuUsage();
    const { rows, problems, next } = await store.examine(from);
    if (problems.length > 0) throw new Error(problems[0]!.what);
    const ms = performance.now() - began;
    const { user, system } = process.cpuUsage(used);
    const part = from?.part ?? "heads";
    if (parts.at(-1)?.part !== part) parts.push({ part, pieces: 0, rows: 0, cpuMs: 0, longestMs: 0, longestCpuMs: 0 });
    const figures = parts.at(-1)!;
    figures.pieces += 1;
    figures.rows += rows;
    const cpuMs = (user + system) / 1_000;
    figures.cpuMs += cpuMs;
    figures.longestCpuMs = Math.max(figures.longestCpuMs, cpuMs);
    figures.longestMs = Math.max(figures.longestMs, ms < longMs ? ms : await fastest(store, from, ms));
    memoryBytes = Math.max(memoryBytes, process.memoryUsage.rss() - before);
    from = next;
  } while (from !== undefined);
  return { parts, memoryBytes };
}

async function fastest(store: Store, from: ExamineCursor | undefined, first: number): Promise<number> {
  let best = first;
  for (let look = 0; look < 2; look += 1) {
    const began = performance.now();
    await store.examine(from);
    best = Math.min(best, performance.now() - began);
  }
  return best;
}

/** Times look-ups, one after the other, while `beside` runs. */
async function latency(store: Store, beside: (signal: AbortSignal) => Promise<void>): Promise<Latency> {
  const stop = new AbortController();
  const running = beside(stop.signal).catch(() => {});
  const began = performance.now();
  const cpu = process.cpuUsage();
  const times: number[] = [];
  for (let turn = 0; performance.now() - began < besideMs; turn += 1) {
    const at = performance.now();
    await store.active(`tenant-${(turn * 7919) % tenants}`, "data");
    times.push(performance.now() - at);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const { user, system } = process.cpuUsage(cpu);
  const cores = (user + system) / 1_000 / (performance.now() - began);
  stop.abort();
  await running;
  times.sort((a, b) => a - b);
  const rank = (share: number) => times[Math.floor(times.length * share)]!;
  return { calls: times.length, p50Ms: rank(0.5), p99Ms: rank(0.99), cores };
}

function print({ keys, parts, memoryBytes, alone, besidePass }: IntegrityResults): void {
  const total = parts.reduce((sum, { cpuMs }) => sum + cpuMs, 0);
  const rows = parts.map(({ part, pieces, rows: looked, cpuMs, longestMs, longestCpuMs }) => [
    ...[part, `${pieces}`, `${looked}`, `${(cpuMs / 1_000).toFixed(1)} s`],
    ...[`${longestCpuMs.toFixed(0)} ms`, `${longestMs.toFixed(0)} ms`],
  ]);
  console.log(`\na pass over ${keys} keys and ${auditRows} audit rows in SQLite\n`);
  console.log(aligned([["part", "pieces", "rows", "CPU", "most CPU", "longest piece"], ...rows]));
  const minutes = ((total * share) / 60_000).toFixed(0);
  const memory = `${(memoryBytes / 2 ** 20).toFixed(0)} MiB more memory`;
  console.log(`\n${(total / 1_000).toFixed(1)} s of CPU, ${minutes} min at its pace, at most ${memory}\n`);
  const figures = ({ calls, p50Ms, p99Ms, cores }: Latency) => [
    ...[`${calls}`, `${p50Ms.toFixed(2)} ms`, `${p99Ms.toFixed(2)} ms`, cores.toFixed(3)],
  ];
  console.log(
    aligned([
      ["look-ups", "calls", "p50", "p99", "cores"],
      ["without a pass", ...figures(alone)],
      ["beside a pass", ...figures(besidePass)],
    ]),
  );
}
