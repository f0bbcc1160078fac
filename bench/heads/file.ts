/** What one heads file costs: filled with as much as it holds, of a store with many logs and many writers that ended. */
import { realTime } from "../../src/runtime/time.ts";
import { createSecretKey, randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import type { AuditEvent } from "../../src/store/audit-store.ts";
import { mostNoted } from "../../src/store/head-notes.ts";
import type { HeadsPlace } from "../../src/store/heads/place.ts";
import { keptHeads } from "../../src/store/heads/file.ts";
import { auditChain, newWriterId } from "../../src/store/sql/audit.ts";
import { headRow } from "../../src/store/sql/heads.ts";
import type { Database } from "../../src/store/sql/rows/database.ts";
import { rowMac } from "../../src/store/sql/rows/mac.ts";
import { insertRows, storedValues, valuesOf } from "../../src/store/sql/rows/rows.ts";
import type { LockedStore } from "../../src/store/store.ts";
import { newLog } from "../../test/support/log-store-fixture.ts";
import { addKey } from "../../test/support/store-fixture.ts";

export interface FileFigures {
  logs: number;
  writers: number;
  /** What a service does whose store has no heads file yet. */
  beginMs: number;
  /** What a start adds. */
  judgeMs: number;
  /** Medians of what the service does once in a second in which something changed. */
  lookMs: number;
  writeMs: number;
  /** Processor time of this thread, for both. */
  cpuMs: number;
  bytes: number;
}

interface Costed {
  locked: LockedStore;
  /** Another connection, which fills the store. */
  fillBy(): Database;
  place: HeadsPlace;
}

const logs = Number(process.env.BENCH_HEADS_LOGS ?? 100_000);
const writers = Number(process.env.BENCH_HEADS_WRITERS ?? 10_000);
const rowsAtOnce = 1_000;
const keysAtOnce = 20;
const turns = 50;

export async function fileCosts({ locked, fillBy, place }: Costed): Promise<FileFigures> {
  const storeKey = createSecretKey(randomBytes(32));
  const stored = { storeId: "00", provider: "local", providerKeyId: "local:00", wrapped: randomBytes(60) };
  await locked.insertStoreKey({ ...stored, createdAt: new Date() }, storeKey);
  const db = fillBy();
  await fill(db, rowMac(storeKey));
  await db.close();
  const store = await locked.unlock(storeKey);
  try {
    const parts = { store, storeKey, place, time: realTime };
    const first = keptHeads(parts);
    await first.judge();
    const beginMs = await timed(() => first.write());
    for (let start = 0; start < mostNoted; start += keysAtOnce) {
      await Promise.all(Array.from({ length: keysAtOnce }, (_, n) => addKey(store, { tenantId: `key-${start + n}` })));
    }
    await first.look();
    await first.write();
    const kept = keptHeads(parts);
    const judgeMs = await timed(() => kept.judge());
    const took: { lookMs: number; writeMs: number; cpuMs: number }[] = [];
    for (let turn = 0; turn < turns; turn += 1) {
      await store.appendAudit([event()]);
      const before = process.threadCpuUsage();
      const lookMs = await timed(() => kept.look());
      const writeMs = await timed(() => kept.write());
      const { user, system } = process.threadCpuUsage(before);
      took.push({ lookMs, writeMs, cpuMs: (user + system) / 1_000 });
    }
    const of = (name: keyof (typeof took)[number]) => median(took.map((each) => each[name]));
    const each = { lookMs: of("lookMs"), writeMs: of("writeMs"), cpuMs: of("cpuMs") };
    return { logs, writers, beginMs, judgeMs, ...each, bytes: statSync(place.file).size };
  } finally {
    await store.close();
  }
}

async function fill(db: Database, mac: ReturnType<typeof rowMac>): Promise<void> {
  for (let start = 0; start < logs; start += rowsAtOnce) {
    const rows = Array.from({ length: rowsAtOnce }, (_, n) => {
      const changedAt = new Date(1_700_000_000_000 + start + n);
      const row = headRow(newLog({ tenantId: `tenant-${start + n}`, size: 1_000, changedAt }));
      return [...storedValues("kms_logs", row), mac.of("kms_logs", valuesOf("kms_logs", row))];
    });
    await db.write((tx) => insertRows(tx.query, "kms_logs", rows));
  }
  for (let start = 0; start < writers; start += rowsAtOnce) {
    await db.write(async (tx) => {
      for (let n = 0; n < rowsAtOnce; n += 1) await auditChain(mac, newWriterId()).append(tx, [event()]);
    });
  }
}

function event(): AuditEvent {
  const of = { actor: "bench", action: "encrypt_pii", tenantId: "acme", purpose: "data", keyId: "" } as const;
  return { ...of, at: new Date(), outcome: "OK", requestId: "", count: 1 };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
