/** What waits or is under way, and the room that it takes. */
import type { AuditTrail } from "../audit/trail.ts";
import type { BatchPool } from "../batch/pool/pool.ts";
import type { TimeWitness } from "../keys/destruction/time-witness.ts";
import type { Heads } from "../store/heads/keeper.ts";
import type { Store } from "../store/store.ts";
import type { Budget } from "../transport/budget.ts";
import { flag, type Observer } from "./read-metrics.ts";
import type { Time } from "../runtime/time.ts";

export interface QueueParts {
  store: Pick<Store, "load" | "volume" | "log">;
  heads: Pick<Heads, "status">;
  audit: Pick<AuditTrail, "problem" | "unwrittenMs">;
  witness: Pick<TimeWitness, "differenceMs">;
  pool: Pick<BatchPool, "queued">;
  budget: Pick<Budget, "heldBytes" | "limit">;
  time: Time;
}

export function observeQueues(observer: Observer, parts: QueueParts): void {
  const { gauge, seconds } = observer;
  const { audit, witness, pool, budget } = parts;
  observeStore(observer, parts.store);
  observeHeads(observer, parts.heads, parts.time);
  gauge("kms_pool_queue", "Batches in the threads of the pool, or before them", () => pool.queued());
  gauge("kms_requests_held_bytes", "Bytes of requests that are not answered", () => budget.heldBytes());
  gauge("kms_requests_held_max_bytes", "How many there may be", () => budget.limit);
  gauge("kms_audit_problem", "1 while uses of keys cannot be audited", () => flag(audit.problem() !== undefined));
  seconds(
    "kms_audit_unwritten_seconds",
    "Age of the oldest use whose audit row is not durable",
    () => audit.unwrittenMs() / 1_000,
  );
  seconds("kms_clock_difference_seconds", "Difference of the clock to a second one", () => {
    const differenceMs = witness.differenceMs();
    return differenceMs === undefined ? undefined : differenceMs / 1_000;
  });
}

function observeStore({ gauge }: Observer, { load, volume, log }: QueueParts["store"]): void {
  gauge("kms_store_queue", "Calls that wait for the store", () => load?.().waiting ?? 0);
  if (load?.().connections) {
    gauge("kms_postgres_connections", "Connections to PostgreSQL by state, and how many there may be", () =>
      Object.entries(load().connections!).map(([state, count]) => [count, { state }] as const),
    );
  }
  if (log) gauge("kms_sqlite_log_bytes", "Bytes of the write-ahead log of the SQLite store", () => log.bytes());
  if (volume) {
    gauge("kms_store_free_bytes", "Free bytes of the file system of the store", () => volume()?.freeBytes);
    gauge("kms_store_volume_bytes", "Size of the file system of the store", () => volume()?.volumeBytes);
  }
}

function observeHeads({ seconds, counter }: Observer, heads: QueueParts["heads"], time: Time): void {
  if (heads.status().file === "") return;
  seconds("kms_heads_age_seconds", "Time since the heads file was as the store is", () =>
    Math.max(0, (time.now().getTime() - heads.status().currentAtMs) / 1_000),
  );
  counter("kms_heads_file_failures_total", "Writes of the heads file that failed", () => heads.status().failures);
}
