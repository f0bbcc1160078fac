/**
 * Calls that came with one read of a connection run together, after all of them were parsed. node:http2 tells of each frame by itself: run
 * as they come, the calls and the parser would drive each other's code and data out of the processor's caches, which cost 4 to 10 % of a
 * SignSpan. Connections take turns, and what does not fit into a turn of the event loop waits for the next: a connection with a hundred calls
 * of a hundred fields each would have all others wait for a tenth of a second.
 */
import { loopTurn } from "../../runtime/turns/loop.ts";
import type { Time } from "../../runtime/time.ts";

/** Bytes of one read past which requests do not wait for the end of it: nobody counts them yet. */
const maxWaitingBytes = 64 * 1024;
/** Bytes past which they wait for no other turn either. */
const mostWaitingBytes = 4 * 1024 * 1024;
/** Time of a turn of the event loop in which calls begin. */
export const turnMs = 3;

/** Has `run` called soon, which does not throw. `bytes` is what waits with it; connections take turns. */
export type Gather = (connection: unknown, bytes: number, run: () => void) => void;

interface Waiting {
  bytes: number;
  run(): void;
}

export function createGather(time: Time): Gather {
  /** Calls that wait by connection, and connections in the order of their turns. */
  const queues = new Map<unknown, Waiting[]>();
  let [count, waitingBytes] = [0, 0];
  let [turn, usedMs] = [-1, 0];
  let isScheduled = false;

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      runWaiting();
    });
  }

  function mayRun(): boolean {
    if (loopTurn() !== turn) [turn, usedMs] = [loopTurn(), 0];
    return usedMs < turnMs || waitingBytes > mostWaitingBytes;
  }

  /** Those that wait now; what comes meanwhile runs after them. */
  function runWaiting(): void {
    let atMs = time.monotonicMs();
    for (let left = count; left > 0 && mayRun(); left -= 1) {
      next().run();
      const nowMs = time.monotonicMs();
      usedMs += nowMs - atMs;
      atMs = nowMs;
    }
    if (count > 0) schedule();
  }

  function next(): Waiting {
    const [[connection, queue]] = queues as unknown as [[unknown, Waiting[]]];
    const first = queue.shift()!;
    // A connection that is alone keeps its place, which is cheaper.
    if (queue.length === 0) queues.delete(connection);
    else if (queues.size > 1) {
      queues.delete(connection);
      queues.set(connection, queue);
    }
    count -= 1;
    waitingBytes -= first.bytes;
    return first;
  }

  return (connection, bytes, run) => {
    const queue = queues.get(connection);
    if (queue === undefined) queues.set(connection, [{ bytes, run }]);
    else queue.push({ bytes, run });
    count += 1;
    waitingBytes += bytes;
    if (waitingBytes > maxWaitingBytes) runWaiting();
    else schedule();
  };
}
