/** Time that a test moves, for services in this process. It goes on only while they wait for nothing but time. */
import { setImmediate as turn } from "node:timers/promises";
import pg from "pg";
import { onTestFinished, vi } from "vitest";
import { inFlightChannel, type WorkerName } from "../../src/runtime/in-flight.ts";
import { manualTime, type ManualTime } from "../../src/runtime/manual-time.ts";

export interface VirtualTime extends ManualTime {
  /** Workers that are not waited for, because they hang until time has passed. */
  readonly hanging: Set<WorkerName>;
  /** Resolves once all that runs waits for time. */
  idle(): Promise<void>;
  /** Moves on, from each moment at which something is due to the next, until `work` has settled. Throws if it has not after `mostMs`. */
  until<T>(work: Promise<T>, mostMs?: number): Promise<T>;
}

/** Time that work is given to settle, unless a test says otherwise. */
const longestMs = 600_000;
/** Turns of the event loop in a row without any work: what one brings about by a socket of this machine is seen in the next ones. */
const quietTurns = 20;
/** Work of Node's own threads, and of processes. */
const ofNode = /Req(?:Promise|Callback|Wrap)?$|^ProcessWrap$/;

export interface VirtualTimeOptions {
  start?: Date;
  /** Takes what has to run when the time is not used any more: `afterAll` for the tests of a file. */
  finished?: (end: () => void) => void;
}

export function virtualTime({
  start = new Date("2026-01-01T00:00:00.000Z"),
  finished = onTestFinished,
}: VirtualTimeOptions = {}): VirtualTime {
  const hanging = new Set<WorkerName>();
  const inFlight = new Set<{ by: WorkerName }>();
  const handlers = {
    start: (work: unknown) => void inFlight.add(work as { by: WorkerName }),
    asyncEnd: (work: unknown) => void inFlight.delete(work as { by: WorkerName }),
  };
  inFlightChannel.subscribe(handlers as never);
  finished(() => void inFlightChannel.unsubscribe(handlers as never));

  const isBusy = () =>
    inFlight.values().some(({ by }) => !hanging.has(by)) ||
    process.getActiveResourcesInfo().some((name) => ofNode.test(name));

  async function idle(): Promise<void> {
    for (let quiet = 0; quiet < quietTurns; quiet += 1) {
      await turn();
      if (isBusy()) quiet = 0;
    }
  }

  const time = manualTime({ start, idle });
  return {
    ...time,
    hanging,
    idle,
    async until(work, mostMs = longestMs) {
      const endMs = time.monotonicMs() + mostMs;
      let isSettled = false;
      const settle = () => {
        isSettled = true;
      };
      work.then(settle, settle);
      for (await idle(); !isSettled; ) {
        const nextMs = time.nextDueMs();
        if (nextMs === undefined || time.monotonicMs() + nextMs > endMs)
          throw new Error(`it has not ended after ${mostMs} ms`);
        await time.advance(nextMs);
      }
      return work;
    },
  };
}

/** Has PostgreSQL, as services in this process ask it, show the same time. */
export function inPostgresToo(time: Pick<ManualTime, "now">): void {
  const proto = pg.Client.prototype as { query(...given: unknown[]): unknown };
  const { query } = proto;
  const spy = vi.spyOn(proto, "query").mockImplementation(function (this: unknown, text, ...given) {
    const clock = `to_timestamp(${time.now().getTime() / 1_000})`;
    return query.call(this, typeof text === "string" ? text.replaceAll("clock_timestamp()", clock) : text, ...given);
  });
  onTestFinished(() => spy.mockRestore());
}
