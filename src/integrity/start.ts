/** The passes over the store in the background, from the start of the service to its end. */
import type { KmsError } from "../errors.ts";
import { type Notice, notice, type Problem } from "../notices.ts";
import type { RowProblem } from "../store/row-problem.ts";
import type { Store } from "../store/store.ts";
import { createDamage, type DamageParts } from "./damage.ts";
import type { Findings } from "./findings.ts";
import { runPass } from "./pass.ts";
import { ownTurns, sharedTurns, type Turns } from "./turns.ts";
import { withDeadline } from "../runtime/deadline.ts";

export interface IntegrityParts extends DamageParts {
  store: Store;
}

export interface IntegrityStatus {
  /** When the pass that runs, or the last one, began here; undefined before the first. */
  beganAt: Date | undefined;
  /** Time at which a pass last ended here; or, if later, at which one of another replica began that found nothing. */
  finishedAt: Date | undefined;
  /** Progress of the pass that runs: 0 to 99. 100 while none runs and one has ended. */
  percent: number;
  /** Findings of the last pass, and of the one that runs so far. */
  findings: readonly RowProblem[];
}

export interface Integrity {
  /** Begins the first pass. */
  start(): void;
  status(): IntegrityStatus;
  /** Number of things known to be damaged: the findings, and what uses and looks met beside them. */
  damaged(): number;
  /** Milliseconds since the status's `finishedAt`; before that is known, since this was created. */
  passAgeMs(): number;
  problems: Findings["problems"];
  /** Notices that an operator should know although nothing is wrong. */
  remarks(): Notice[];
  /** Begins nothing more, and resolves when the piece that is being read has been, or after 2 s. */
  close(): Promise<void>;
}

interface Running {
  percent: number;
  /** Since when, in ms, and why, no read has succeeded. */
  heldUp?: { since: number; why: string };
}

/** Time until the next try after a failure that is none of the store's. */
const retryMs = 60_000;
/** How long the end of the service waits for a piece. */
const closeMs = 2_000;
/** How long a read may fail before the service is degraded by it. */
const heldUpAfterMs = 60_000;
/** A first pass that takes longer is remarked on. */
const remarkedAfterMs = 60_000;

export function createIntegrity(parts: IntegrityParts): Integrity {
  const { store, log, time } = parts;
  const damage = createDamage(parts);
  const turns: Turns = store.name === "postgres" ? sharedTurns(store, time) : ownTurns(time);
  const startedAt = time.now();
  const stopped = new AbortController();
  let running: Running | undefined;
  let beganAt: Date | undefined;
  let endedAt: Date | undefined;
  let loop = Promise.resolve();
  const cleanSeen = latestSeen(turns.cleanAt);
  const finished = () => latest(endedAt, cleanSeen());

  async function pass(signal: AbortSignal): Promise<boolean> {
    const own: Running = { percent: 0 };
    running = own;
    beganAt = time.now();
    damage.begin();
    const progress = (rows: number, total: number) => goOn(own, rows / Math.max(total, 1));
    const failed = (err: KmsError) => {
      if (!own.heldUp) log.warn({ err }, "the examination of the store is held up: a read of it is tried every 10 s");
      own.heldUp = { since: own.heldUp?.since ?? time.now().getTime(), why: err.message };
    };
    try {
      await runPass({ store, time, found: damage.add, progress, failed }, signal);
    } catch (error) {
      running = undefined;
      damage.end("early");
      throw error;
    }
    running = undefined;
    endedAt = time.now();
    const found = damage.end("whole");
    log.info({ findings: found }, "the store was examined to its end");
    return found === 0;
  }

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      const waitMs = await turns.take(pass, stopped.signal).catch((err) => {
        if (!stopped.signal.aborted) log.warn({ err }, "the examination of the store is tried again in a minute");
        return retryMs;
      });
      await time.sleep(waitMs, { signal: stopped.signal, ref: false }).catch(() => {});
    }
  }

  return {
    start() {
      loop = run();
    },

    status() {
      const finishedAt = finished();
      const percent = running?.percent ?? (finishedAt === undefined ? 0 : 100);
      return { beganAt, finishedAt, percent, findings: damage.all() };
    },

    damaged: () => damage.count(turns.cleanAt()),

    passAgeMs: () => Math.max(0, time.now().getTime() - (finished() ?? startedAt).getTime()),

    problems: () => [...damage.problems(), ...heldUp(running, time.now().getTime())],

    remarks() {
      const isLong = beganAt !== undefined && time.now().getTime() - beganAt.getTime() >= remarkedAfterMs;
      return endedAt === undefined && running !== undefined && isLong ? [checking(running)] : [];
    },

    async close() {
      stopped.abort();
      damage.close();
      const late = () => new Error("the piece takes too long");
      await withDeadline(time, closeMs, late, () => loop).catch(() => {});
    },
  };
}

function goOn(running: Running, part: number): void {
  delete running.heldUp;
  running.percent = Math.max(running.percent, Math.min(99, Math.floor(100 * part)));
}

/** Remembers the latest: a clean pass of another replica has been, also once a later one found something. */
function latestSeen(read: () => Date | undefined): () => Date | undefined {
  let seen: Date | undefined;
  return () => {
    seen = latest(seen, read());
    return seen;
  };
}

function latest(one: Date | undefined, other: Date | undefined): Date | undefined {
  return one !== undefined && other !== undefined && other > one ? other : (one ?? other);
}

function checking({ percent }: Running): Notice {
  const text = `Integrity: checking ${percent} %. Damage that a start does not see is known when that has ended.`;
  return notice("EXAMINATION_RUNNING", text);
}

/** A store that is away is told elsewhere. One that is read but for a place may have lost what is there. */
function heldUp(running: Running | undefined, now: number): Problem[] {
  const { percent, heldUp } = running ?? {};
  if (heldUp === undefined || now - heldUp.since < heldUpAfterMs) return [];
  const text = `The examination of the store is held up at ${percent} %, and tried every 10 s: ${heldUp.why}.`;
  return [{ status: "degraded", notice: notice("EXAMINATION_HELD_UP", text) }];
}
