/**
 * Batches of spans from bytes to bytes, in a pool of threads: the main thread moves bytes. See worker.ts for what a thread does.
 */
import { Worker } from "node:worker_threads";
import { KmsError } from "../../errors.ts";
import type { LogBatch } from "../enter.ts";
import type { Growth } from "../../tlog/merkle.ts";
import type { LogPosition, ProvenBatch } from "../prove.ts";
import type { BatchSigner, SignedBatch } from "../sign-individually.ts";
import type { KeyMemory, PoolKey } from "./jobs.ts";
import { ownMemory } from "../../runtime/detach.ts";
import { moduleBeside } from "../../runtime/module-beside.ts";
import { type Thread, threadOf } from "./thread.ts";
import { standardThreads } from "./threads.ts";

/** The whole message of a SignSpansRequest, of which the ResourceSpans are read. Given away: its memory moves to a thread. */
export type BatchBytes = Uint8Array;

export interface BatchPool {
  /**
   * INDIVIDUAL: a signature for each span. INVALID_ARGUMENT for a batch that cannot be read or has more than 10,000 spans. The key is
   * used as it is now; it may be destroyed meanwhile.
   */
  sign(batch: BatchBytes, by: Omit<BatchSigner, "keyId" | "key"> & { key: PoolKey }): Promise<SignedBatch>;

  /** LOG, first half: the entries of a batch. INVALID_ARGUMENT likewise. */
  enter(batch: BatchBytes, about: { tenant: string; requestId: string; signedAtMs: number }): Promise<LogBatch>;

  /** A tree with the leaves of these batches, as `growTree` makes it. */
  grow(before: Growth["before"], leaves: readonly Uint8Array[]): Promise<Growth>;

  /**
   * LOG, second half: one SignSpansResponse under 1 MiB with the results of the spans from `fromSpan` on, and the span at which the next
   * one begins; undefined after the last one, which has batch_done and the checkpoint.
   */
  prove(
    batch: ProvenBatch,
    place: LogPosition,
    fromSpan: number,
  ): Promise<{ message: Uint8Array; next: number | undefined }>;

  /** Number of jobs that threads were given and have not answered: batches, or halves of them, and what keys need. */
  queued(): number;

  /** Resolves when every thread has overwritten its copies of the keys that were destroyed so far. */
  forgotten(): Promise<void>;

  /** How each thread that runs holds its keys. */
  keyMemory(): Promise<KeyMemory[]>;

  /** Ends the threads, after what they are at. Their secrets are overwritten. DRAINING from now on. */
  close(): Promise<void>;
}

export interface BatchPoolOptions {
  /** See threads.ts unless it is given. */
  threads?: number | undefined;
  startWorker?: () => Worker;
}

/** Next to nothing outlives the batch that it was made for: with more room there is only more garbage, in every thread. */
const resourceLimits = { maxYoungGenerationSizeMb: 4 };

/** Its threads start when they are needed first, and again when they died. */
export function createBatchPool({
  threads: size = standardThreads(),
  startWorker = () => new Worker(moduleBeside("worker", import.meta.url), { resourceLimits }),
}: BatchPoolOptions = {}): BatchPool {
  const threads = new Set<Thread>();
  const watched = new WeakSet<PoolKey>();
  const forgetting = new Set<Promise<unknown>>();
  let closed = false;

  function startThread(): Thread {
    const thread = threadOf(startWorker(), () => threads.delete(thread));
    threads.add(thread);
    return thread;
  }

  /** An idle thread, or a new one while there may be more, or the one with the least to do. */
  function leastBusy(): Thread {
    if (closed) throw new KmsError("DRAINING", "the service is shutting down");
    let least: Thread | undefined;
    for (const thread of threads) if (least === undefined || thread.waiting < least.waiting) least = thread;
    if (least === undefined || (least.waiting > 0 && threads.size < size)) return startThread();
    return least;
  }

  function forgetOnDestroy(key: PoolKey): void {
    if (watched.has(key)) return;
    watched.add(key);
    key.onDestroy(() => {
      const all = Promise.all(Array.from(threads, (thread) => thread.forget(key)));
      forgetting.add(all);
      all.finally(() => forgetting.delete(all));
    });
  }

  return {
    async sign(batch, { key, ...by }) {
      const thread = leastBusy();
      const handle = thread.hold(key);
      forgetOnDestroy(key);
      const given = ownMemory(batch);
      return thread.run("sign", [given, { ...by, keyId: key.keyId, key: handle }], [given.buffer]);
    },

    async enter(batch, about) {
      const given = ownMemory(batch);
      return leastBusy().run("enter", [given, about], [given.buffer]);
    },

    async grow({ size, frontier }, leaves) {
      return leastBusy().run("grow", [{ size, frontier: ownMemory(frontier) }, leaves]);
    },

    async prove({ spans, refused, signedAtMs, requestId, attributesFor }, place, fromSpan) {
      return leastBusy().run("prove", [{ spans, refused, signedAtMs, requestId, attributesFor }, place, fromSpan]);
    },

    queued: () => threads.values().reduce((sum, { waiting }) => sum + waiting, 0),

    async forgotten() {
      await Promise.all(forgetting);
    },

    keyMemory: () => Promise.all(Array.from(threads, (thread) => thread.run("keyMemory", []))),

    async close() {
      closed = true;
      await Promise.all(Array.from(threads, (thread) => thread.end()));
    },
  };
}
