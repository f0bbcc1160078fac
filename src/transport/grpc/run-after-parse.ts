/**
 * Calls that came with one read of a connection run together, after all of them were parsed. node:http2 tells of each frame by itself: run
 * as they come, the calls and the parser would drive each other's code and data out of the processor's caches, which cost 4 to 10 % of a
 * SignSpan.
 */

/** Past so many bytes, what one read brings, requests do not wait: nobody counts them yet, and what is large has work enough of its own. */
const maxWaitingBytes = 64 * 1024;

/** Has `run` called soon, which does not throw. `bytes` is what waits with it. */
export type Gather = (bytes: number, run: () => void) => void;

export function createGather(): Gather {
  let waiting: (() => void)[] = [];
  let waitingBytes = 0;

  function runAll(): void {
    const runs = waiting;
    waiting = [];
    waitingBytes = 0;
    for (const run of runs) run();
  }

  return (bytes, run) => {
    if (waiting.length === 0) setImmediate(runAll);
    waiting.push(run);
    waitingBytes += bytes;
    if (waitingBytes > maxWaitingBytes) runAll();
  };
}
