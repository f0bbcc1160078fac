/**
 * Time that is moved by hand: for tests, and for the threads of a process whose time a test moves. It stands still until it is moved, and then
 * runs the timers that fall due, in order, each at its own moment.
 */
import { setImmediate as turn } from "node:timers/promises";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { type Clocks, realTime, type SleepOptions, type ThreadTime, type Time, type Timer } from "./time.ts";

export interface ManualTime extends Time {
  /** Moves on by `ms`, through every moment at which a timer is due, those that others set on the way too. */
  advance(ms: number): Promise<void>;
  /** Moves on by `ms` at once, as for a process that was stopped; then runs what is due, a ticker once. */
  skip(ms: number): Promise<void>;
  /** Moves the wall clock alone, as an operator or NTP does: forward, or back by a negative number. */
  setWallClock(byMs: number): Promise<void>;
  /** Lets the machine sleep: the wall clock and the time since its start go on, the monotonic clock and timers stand still. */
  suspend(ms: number): Promise<void>;
  /** Milliseconds until the next timer is due; undefined without one. */
  nextDueMs(): number | undefined;
  /** Number of timers that wait, sleeps and tickers among them; without those of threads. */
  timers(): number;
}

export interface ManualTimeOptions {
  /** The wall clock at the start. */
  start?: Date;
  /** Resolves when all that runs waits for time, or for nothing. It is awaited before each move, and after what fell due at one moment. */
  idle?: () => Promise<void>;
}

interface ManualTimer extends Timer {
  dueMs: number;
  readonly number: number;
  readonly ms: number;
  readonly isTicker: boolean;
  run(): void;
}

const turnsToSettle = 10;

export function manualTime({ start = new Date(0), idle = someTurns }: ManualTimeOptions = {}): ManualTime {
  const clocks: Clocks = { wallMs: start.getTime(), monotonicMs: 0, sinceBootMs: 0 };
  const timers = createTimers(() => clocks.monotonicMs);
  const threads = new Set<FollowingThread>();

  function pass(ms: number): void {
    clocks.wallMs += ms;
    clocks.monotonicMs += ms;
    clocks.sinceBootMs += ms;
  }

  /** Has the threads come to this moment, and run what is due there. */
  async function moved(): Promise<void> {
    await Promise.all(Array.from(threads, (thread) => thread.move(clocks)));
  }

  async function advance(ms: number): Promise<void> {
    const endMs = clocks.monotonicMs + ms;
    await idle();
    for (let timer = timers.next(); timer !== undefined && timer.dueMs <= endMs; timer = timers.next()) {
      pass(Math.max(0, timer.dueMs - clocks.monotonicMs));
      await moved();
      for (const due of timers.due()) timers.run(due);
      await idle();
    }
    pass(endMs - clocks.monotonicMs);
    await moved();
    await idle();
  }

  return {
    ...timedBy(clocks, timers),
    forThread() {
      const { port1, port2 } = new MessageChannel();
      const thread = followingThread(port1);
      threads.add(thread);
      port1.once("close", () => threads.delete(thread));
      return { clocks: { ...clocks }, port: port2 };
    },
    advance,
    async skip(ms) {
      await idle();
      pass(ms);
      await moved();
      await advance(0);
    },
    async setWallClock(byMs) {
      clocks.wallMs += byMs;
      await moved();
    },
    async suspend(ms) {
      clocks.wallMs += ms;
      clocks.sinceBootMs += ms;
      await moved();
    },
    nextDueMs() {
      const timer = timers.next();
      return timer && timer.dueMs - clocks.monotonicMs;
    },
    timers: timers.count,
  };
}

/** Makes a thread's time of what `forThread` gave its process: this machine's time if that is undefined. */
export function timeOfThread(sent: ThreadTime | undefined): Time {
  if (sent === undefined) return realTime;
  const { clocks, port } = sent;
  const timers = createTimers(() => clocks.monotonicMs);
  port.on("message", async (next: Clocks) => {
    Object.assign(clocks, next);
    for (const due of timers.due()) timers.run(due);
    await someTurns();
    port.postMessage("moved");
  });
  port.unref();
  return { ...timedBy(clocks, timers), forThread: () => undefined };
}

interface FollowingThread {
  /** Resolves when the thread has come to the moment and run what is due there, or has ended. */
  move(clocks: Clocks): Promise<void>;
}

function followingThread(port: MessagePort): FollowingThread {
  let moved = Promise.withResolvers<void>();
  port.on("message", () => moved.resolve());
  port.once("close", () => moved.resolve());
  port.unref();
  return {
    async move(clocks) {
      moved = Promise.withResolvers<void>();
      port.postMessage(clocks);
      await moved.promise;
    },
  };
}

function timedBy(clocks: Clocks, timers: Timers): Omit<Time, "forThread"> {
  return {
    now: () => new Date(clocks.wallMs),
    monotonicMs: () => clocks.monotonicMs,
    sinceBootMs: () => clocks.sinceBootMs,
    after: (ms, run) => timers.add(ms, run, false),
    every: (ms, run) => timers.add(ms, run, true),
    clear: (timer) => timers.clear(timer),
    sleep: (ms, options) => sleep(timers, ms, options),
  };
}

type Timers = ReturnType<typeof createTimers>;

function createTimers(nowMs: () => number) {
  const waiting = new Set<ManualTimer>();
  let made = 0;
  const inOrder = () => [...waiting].sort((a, b) => a.dueMs - b.dueMs || a.number - b.number);
  return {
    add(ms: number, run: () => void, isTicker: boolean): Timer {
      made += 1;
      const waitMs = Math.max(1, ms); // as Node takes it
      const timer: ManualTimer = {
        dueMs: nowMs() + waitMs,
        number: made,
        ms: waitMs,
        isTicker,
        run,
        ref: () => timer,
        refresh() {
          timer.dueMs = nowMs() + waitMs;
          waiting.add(timer);
          return timer;
        },
      };
      waiting.add(timer);
      return timer;
    },
    clear(timer: Timer | undefined): void {
      waiting.delete(timer as ManualTimer);
    },
    next: () => inOrder()[0],
    count: () => waiting.size,
    /** Timers that are due now, in order. */
    due: () => inOrder().filter(({ dueMs }) => dueMs <= nowMs()),
    /** Runs a timer, unless one that was due before it cleared it. */
    run(timer: ManualTimer): void {
      if (!waiting.has(timer)) return;
      if (timer.isTicker) timer.dueMs = nowMs() + timer.ms;
      else waiting.delete(timer);
      timer.run();
    },
  };
}

async function sleep(timers: Timers, ms: number, { signal }: SleepOptions = {}): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = () => {
    const error = new Error("The operation was aborted", { cause: signal!.reason });
    reject(Object.assign(error, { name: "AbortError" }));
  };
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  const timer = timers.add(ms, resolve, false);
  try {
    await promise;
  } finally {
    timers.clear(timer);
    signal?.removeEventListener("abort", abort);
  }
}

async function someTurns(): Promise<void> {
  for (let turns = 0; turns < turnsToSettle; turns += 1) await turn();
}
