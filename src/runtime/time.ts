/**
 * Clocks and timers of the service. Every part is given a `Time` when it starts, so that a test can move it; only the
 * composition root, commands and threads take `realTime`. A turn of the event loop (`setImmediate`) is no time.
 */
import { uptime } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import type { MessagePort } from "node:worker_threads";

export interface Time {
  /** Wall clock, which may be set forward and back: for dates that are stored, shown, or compared with dates of others. */
  now(): Date;
  /** Milliseconds since this process or thread started, without suspensions of the machine. Never goes back: for ages, leases and time limits. */
  monotonicMs(): number;
  /** Milliseconds since the machine started, suspensions included as far as the system tells them. */
  sinceBootMs(): number;
  /** Calls `run` once, `ms` milliseconds from now. The timer keeps no process alive, unless its `ref()` is called. */
  after(ms: number, run: () => void): Timer;
  /** Calls `run` every `ms` milliseconds. The timer keeps no process alive. */
  every(ms: number, run: () => void): Timer;
  /** Cancels a timer. One that has run, or `undefined`, is ignored. */
  clear(timer: Timer | undefined): void;
  /** Resolves `ms` milliseconds from now; rejects with AbortError once the signal aborts. Keeps the process alive, unless `ref` is false. */
  sleep(ms: number, options?: SleepOptions): Promise<void>;
  /** What a new thread is sent to follow this time, by `timeOfThread`; undefined if it has the same clocks by itself. */
  forThread(): ThreadTime | undefined;
}

/** The three clocks, in milliseconds. */
export interface Clocks {
  wallMs: number;
  monotonicMs: number;
  sinceBootMs: number;
}

/** Clocks that stand still until the port says what they show next. The port has to be transferred. */
export interface ThreadTime {
  clocks: Clocks;
  port: MessagePort;
}

export interface Timer {
  /** Has the timer keep the process alive. */
  ref(): this;
  /** Starts the time of a timer again, also after it ran. */
  refresh(): this;
}

export interface SleepOptions {
  signal?: AbortSignal | undefined;
  ref?: boolean;
}

/** The clocks and timers of this machine. */
export const realTime: Time = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sinceBootMs: () => uptime() * 1_000,
  after: (ms, run) => setTimeout(run, ms).unref(),
  every: (ms, run) => setInterval(run, ms).unref(),
  clear: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
  sleep: (ms, options) => delay(ms, undefined, options),
  forThread: () => undefined,
};
