/**
 * Time that is moved by hand: for tests, and for threads of a process whose time a test moves. It stands still until it is moved, and then
 * runs the timers that fall due, in order, each at its own moment.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { SleepOptions, Time, Timer } from "./time.ts";

export interface ManualTime extends Time {
  /** Moves on by `ms`, with every timer that falls due, and with those that these set. After each moment `settled` is awaited. */
  advance(ms: number): Promise<void>;
  /** Moves the wall clock alone, as an operator or NTP does: forward, or back with a negative number. */
  setWallClock(byMs: number): void;
  /** Lets the machine sleep: the wall clock and the time since it started go on, the monotonic clock and timers do not. */
  suspend(ms: number): void;
  /** Milliseconds until the next timer is due; undefined without one. */
  nextDueMs(): number | undefined;
}

export interface ManualTimeOptions {
  /** The wall clock at the start. */
  start?: Date;
  /** Resolves when the work that a timer began waits for time again. By default a few turns of the event loop later. */
  settled?: () => Promise<void>;
}

interface Waiting extends Timer {
  dueMs: number;
  readonly number: number;
  readonly ms: number;
  readonly isTicker: boolean;
  run(): void;
}

const turnsToSettle = 10;

export function manualTime({ start = new Date(0), settled = someTurns }: ManualTimeOptions = {}): ManualTime {
  const timers = new Set<Waiting>();
  let [passedMs, wallMs, suspendedMs, made] = [0, start.getTime(), 0, 0];

  function wait(ms: number, run: () => void, isTicker: boolean): Timer {
    made += 1;
    const timer: Waiting = {
      dueMs: passedMs + waitOf(ms),
      number: made,
      ms: waitOf(ms),
      isTicker,
      run,
      ref: () => timer,
      refresh() {
        timer.dueMs = passedMs + timer.ms;
        timers.add(timer);
        return timer;
      },
    };
    timers.add(timer);
    return timer;
  }

  function next(): Waiting | undefined {
    let first: Waiting | undefined;
    for (const timer of timers) if (first === undefined || isBefore(timer, first)) first = timer;
    return first;
  }

  function pass(ms: number): void {
    passedMs += ms;
    wallMs += ms;
  }

  async function advance(ms: number): Promise<void> {
    const endMs = passedMs + ms;
    await settled();
    for (let timer = next(); timer !== undefined && timer.dueMs <= endMs; timer = next()) {
      pass(Math.max(0, timer.dueMs - passedMs));
      if (timer.isTicker) timer.dueMs = passedMs + timer.ms;
      else timers.delete(timer);
      timer.run();
      await settled();
    }
    pass(endMs - passedMs);
  }

  return {
    now: () => new Date(wallMs),
    monotonicMs: () => passedMs,
    sinceBootMs: () => passedMs + suspendedMs,
    after: (ms, run) => wait(ms, run, false),
    every: (ms, run) => wait(ms, run, true),
    clear(timer) {
      timers.delete(timer as Waiting);
    },
    sleep: (ms, options) =>
      sleep(
        (run) => wait(ms, run, false),
        (timer) => void timers.delete(timer as Waiting),
        options,
      ),
    advance,
    setWallClock(byMs) {
      wallMs += byMs;
    },
    suspend(ms) {
      wallMs += ms;
      suspendedMs += ms;
    },
    nextDueMs() {
      const timer = next();
      return timer && timer.dueMs - passedMs;
    },
  };
}

/** As Node takes them: at least a millisecond. */
function waitOf(ms: number): number {
  return Math.max(1, ms);
}

function isBefore(a: Waiting, b: Waiting): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.number < b.number);
}

async function sleep(
  wait: (run: () => void) => Timer,
  clear: (timer: Timer) => void,
  { signal }: SleepOptions = {},
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = () =>
    reject(new DOMException("The operation was aborted", { name: "AbortError", cause: signal!.reason }));
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  const timer = wait(resolve);
  try {
    await promise;
  } finally {
    clear(timer);
    signal?.removeEventListener("abort", abort);
  }
}

async function someTurns(): Promise<void> {
  for (let turns = 0; turns < turnsToSettle; turns += 1) await turn();
}
