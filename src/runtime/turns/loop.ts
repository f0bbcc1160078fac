/**
 * Turns for work that must not fill the event loop: so much of it at each turn of the loop, and all else runs between. Askers take turns, so that
 * one with much work delays itself before others.
 *
 * Measured with Node 26.12.1, ten EncryptPii of 1,000 fields at once on one connection: a turn of
 * the loop takes 3 ms and ends one of them. With `setImmediate` for each slice it takes 35 to 47 ms
 * and ends all ten. test/runtime/turns/loop.test.ts shows the bound.
 */

export interface LoopTurns {
  /**
   * Calls `start` when it is the asker's turn: at once where the loop's turn has room and nobody waits. What goes on comes before what the asker
   * has not begun yet.
   */
  take(asker: unknown, start: () => void, goesOn?: boolean): void;
  /** Those that wait. */
  waiting(): number;
}

export function loopTurns(perTurn: number): LoopTurns {
  /** Work that waits by asker, and askers in the order of their turns. */
  const queues = new Map<unknown, (() => void)[]>();
  let [used, waiting] = [0, 0];
  let isScheduled = false;

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(turn);
  }

  function turn(): void {
    isScheduled = false;
    used = 0;
    while (used < perTurn && waiting > 0) {
      used += 1;
      startNext();
    }
    if (used > 0) schedule();
  }

  function startNext(): void {
    const [first] = queues;
    const [asker, queue] = first!;
    queues.delete(asker);
    const start = queue.shift()!;
    if (queue.length > 0) queues.set(asker, queue);
    waiting -= 1;
    start();
  }

  return {
    take(asker, start, goesOn = false) {
      if (waiting === 0 && used < perTurn) {
        used += 1;
        schedule();
        start();
        return;
      }
      const queue = queues.get(asker);
      if (queue === undefined) queues.set(asker, [start]);
      else if (goesOn) queue.unshift(start);
      else queue.push(start);
      waiting += 1;
      schedule();
    },
    waiting: () => waiting,
  };
}

const heavy = loopTurns(1);

/** Work that has asked for a turn before. */
const begun = new WeakSet<object>();

/**
 * Resolves when the asker may use the event loop of this thread for about a millisecond. Nobody else who asks here does at this turn of it. An
 * asker's work goes one after the other, each to its end: side by side all of it would be held until the last, and the collector copy it.
 */
export function heavyTurn(asker: unknown, work: object): Promise<void> {
  const goesOn = begun.has(work);
  begun.add(work);
  return new Promise((resolve) => heavy.take(asker, resolve, goesOn));
}

let [turnNow, turnEnds] = [0, false];

/** Number of the event loop's turn, which is another in the next. */
export function loopTurn(): number {
  if (!turnEnds) {
    turnEnds = true;
    setImmediate(endTurn);
  }
  return turnNow;
}

function endTurn(): void {
  turnNow += 1;
  turnEnds = false;
}
