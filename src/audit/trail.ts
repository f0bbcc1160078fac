/**
 * The audit trail of uses and refusals. They are counted (counters.ts) and written in batches, so that a use is durable within
 * one second of its answer: half a second to gather, half a second to write. So are refusals, except the numbers of those that are
 * counted without their names, which wait for the end of a minute (refusals.ts). What changes a key is not written here, but by the store, in the
 * transaction that changes it.
 *
 * While rows cannot be written no key is used. That begins when a write fails. If the store neither writes nor fails, it begins
 * `stopsWithinMs` after the first use that is not durable yet; only time in which this process was scheduled counts. What was counted
 * before is kept and tried again, with a new time, every interval, so that nothing is lost unless the process is. A batch whose
 * commit got no answer may be stored already and is written again: counted twice is better than lost.
 */
import { KmsError } from "../errors.ts";
import type { AuditEvent, AuditHead } from "../store/audit-store.ts";
import type { Store } from "../store/store.ts";
import { type AuditCounters, auditCounters } from "./counters.ts";
import { inTime, withDeadline } from "../runtime/deadline.ts";
import { afterScheduled } from "../runtime/scheduled-time.ts";
import type { Time, Timer } from "../runtime/time.ts";

export interface AuditTrail {
  /** AUDIT_UNAVAILABLE while rows cannot be written. For whoever is about to use a key. */
  check(): void;
  used: AuditCounters["used"];
  /** `tenantId` is empty where the request named none that is well-formed. */
  refused(...refusal: [...Parameters<AuditCounters["refused"]>]): void;
  /** Why rows cannot be written; undefined while they can. */
  problem(): string | undefined;
  /**
   * Age of the oldest use or refusal that has no durable row yet, in monotonic milliseconds; 0 without any. Refusals
   * that wait for the end of a minute count from then on.
   */
  unwrittenMs(): number;
  /** This process's chain, for Status: asked of the store, or as last seen where it does not answer. */
  status(): Promise<AuditState>;
  /** Writes what is left, within two seconds. AUDIT_UNAVAILABLE where that failed; what is left is lost then. */
  close(): Promise<void>;
}

export interface AuditState {
  /** Undefined before the first row. */
  head: (AuditHead & { durableAt: Date }) | undefined;
  problem: string | undefined;
}

export interface AuditTrailOptions {
  store: Pick<Store, "appendAudit" | "auditHead">;
  time: Time;
  /** How long uses are gathered. */
  intervalMs?: number;
  /** Told when rows cannot be written, with the cause, and, with undefined, when they can again. */
  onProblem?: (problem: string | undefined, cause?: unknown) => void;
  /** Between named steps a crash must lose nothing that was durable. */
  step?: (name: "audit.flushing" | "audit.flushed") => void;
  rowsWritten?: { add(rows: number): void };
}

/** Time from a use to its durable row, while the store is well. */
export const durableWithinMs = 1_000;
/** Time from the first use that is not durable until a store that neither writes nor fails counts as failed. */
export const stopsWithinMs = 2_500;
const closeWithinMs = 2_000;
/** In one transaction: a commit is waited for by the changes of keys behind it. */
const maxRows = 1_000;

/**
 * Creates the trail. It is one closure: gathering, writing and giving back move the same counters and the same problem, which `check`
 * answers from.
 */
export function createAuditTrail(options: AuditTrailOptions): AuditTrail {
  const { store, time, intervalMs = 500, onProblem = () => {}, step = () => {} } = options;
  const counters = auditCounters(gather, time);
  let problem: string | undefined;
  let timer: Timer | undefined;
  /** How late the uses are that are counted and not taken yet. */
  let gathered: Patience | undefined;
  const ages = unwrittenAges(time);
  let flushing: Promise<void> | undefined;
  let head: AuditState["head"];

  function gather(): void {
    timer ??= time.after(intervalMs, flush);
    ages.gathered();
    gathered ??= patience(time, () => setProblem("the store takes too long to write audit rows"));
  }

  /** One at a time. Never rejects. */
  function flush(): Promise<void> {
    time.clear(timer);
    timer = undefined;
    const flushed = (flushing ?? Promise.resolve()).then(write).finally(() => {
      if (flushing === flushed) flushing = undefined;
    });
    flushing = flushed;
    return flushed;
  }

  async function write(): Promise<void> {
    let rows = counters.take(time.now());
    ages.taken();
    const waiting = gathered;
    gathered = undefined;
    if (rows.length === 0) {
      ages.written();
      return waiting?.end();
    }
    step("audit.flushing");
    try {
      while (rows.length > 0) {
        const batch = rows.slice(0, maxRows);
        await store.appendAudit(batch);
        rows = rows.slice(batch.length);
        options.rowsWritten?.add(batch.length);
      }
      ages.written();
      step("audit.flushed");
      if (!isGatheredLate()) setProblem(undefined);
      waiting?.end();
      await readHead();
    } catch (error) {
      giveBack(rows);
      ages.givenBack();
      const why = error instanceof KmsError ? error.message : "internal error, see the log";
      setProblem(`audit rows cannot be written: ${why}`, error);
    } finally {
      waiting?.end();
    }
  }

  /** Whether uses that came while others were written are too late themselves. */
  function isGatheredLate(): boolean {
    return gathered?.isOver() === true;
  }

  function giveBack(rows: readonly AuditEvent[]): void {
    for (const row of rows) {
      const { actor, action, tenantId, keyId, purpose, count, rule } = row;
      if (row.outcome === "OK") counters.used(actor, action, tenantId, keyId, purpose, count, rule);
      else counters.giveBack(row);
    }
  }

  function setProblem(next: string | undefined, cause?: unknown): void {
    if (next === problem) return;
    problem = next;
    onProblem(next, cause);
  }

  /** The store itself writes rows to the same chain: a head that is new to us is durable by now. */
  async function readHead(): Promise<void> {
    const newest = await inTime(time, store.auditHead()).catch(() => undefined);
    if (newest !== undefined && newest.sequence !== head?.sequence) head = { ...newest, durableAt: time.now() };
  }

  return {
    check() {
      if (problem !== undefined) throw unavailable();
    },
    used: counters.used,
    refused: counters.refused,
    problem: () => problem,
    unwrittenMs: ages.oldestMs,
    async status() {
      await readHead();
      return { head, problem };
    },
    async close() {
      counters.endMinute();
      await withDeadline(time, closeWithinMs, unavailable, flush);
      time.clear(timer);
      if (problem !== undefined) throw unavailable();
    },
  };
}

/** Notes since when the oldest use waits: among those that are gathered, and among those that are being written. */
function unwrittenAges(time: Time) {
  let gatheredAt: number | undefined;
  let takenAt: number | undefined;
  return {
    gathered(): void {
      gatheredAt ??= time.monotonicMs();
    },
    taken(): void {
      [takenAt, gatheredAt] = [gatheredAt, undefined];
    },
    written(): void {
      takenAt = undefined;
    },
    /** Has what was taken gathered again, as old as it was. */
    givenBack(): void {
      [gatheredAt, takenAt] = [takenAt ?? gatheredAt, undefined];
    },
    oldestMs(): number {
      const since = takenAt ?? gatheredAt;
      return since === undefined ? 0 : time.monotonicMs() - since;
    },
  };
}

interface Patience {
  isOver(): boolean;
  end(): void;
}

function patience(time: Time, over: () => void): Patience {
  let isOver = false;
  const end = afterScheduled(time, stopsWithinMs, () => {
    isOver = true;
    over();
  });
  return { isOver: () => isOver, end };
}

function unavailable(): KmsError {
  return new KmsError("AUDIT_UNAVAILABLE", "the use of keys cannot be audited now, so no key is used: try again later");
}
