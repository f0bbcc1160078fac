/**
 * Turns for work that many ask for: some runs at once, the rest waits. Askers take turns, so that one with much work
 * delays only itself. Once all places to wait are taken, the asker with most of them loses its last.
 *
 * With 16 at once and 1000 places, an asker beside a flood of another's is next when one of the 16
 * ends. In the order of asking it would be refused, since all places are taken.
 * test/runtime/turns/fair.test.ts shows both rules.
 */

export interface FairTurns {
  /** Runs `work` when it is the asker's turn; rejects with `full()` if there is no place to wait. */
  run<T>(asker: string, work: () => Promise<T>): Promise<T>;
}

interface Waiting {
  start(): void;
  refuse(error: Error): void;
}

export interface FairTurnsOptions {
  atOnce: number;
  maxWaiting: number;
  full(): Error;
}

export function createFairTurns({ atOnce, maxWaiting, full }: FairTurnsOptions): FairTurns {
  /** Waiting work by asker, in the order of their turns. */
  const queues = new Map<string, Waiting[]>();
  let running = 0;
  let waiting = 0;

  function wait(asker: string): Promise<void> {
    if (waiting >= maxWaiting) makeRoom(asker);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const queue = queues.get(asker) ?? [];
    queue.push({ start: resolve, refuse: reject });
    queues.set(asker, queue);
    waiting += 1;
    return promise;
  }

  /** Takes a place from the asker with most of them; throws if `asker` would then have as many. */
  function makeRoom(asker: string): void {
    const own = queues.get(asker)?.length ?? 0;
    let longest: Waiting[] | undefined;
    for (const queue of queues.values()) {
      if (queue.length > Math.max(own + 1, longest?.length ?? 0)) longest = queue;
    }
    if (longest === undefined) throw full();
    longest.pop()!.refuse(full());
    waiting -= 1;
  }

  /** Hands the place of work that has ended to the next asker. */
  function passOn(): void {
    const [first] = queues;
    if (first === undefined) {
      running -= 1;
      return;
    }
    const [asker, queue] = first;
    queues.delete(asker);
    if (queue.length > 1) queues.set(asker, queue);
    waiting -= 1;
    queue.shift()!.start();
  }

  return {
    async run(asker, work) {
      if (running >= atOnce) await wait(asker);
      else running += 1;
      try {
        return await work();
      } finally {
        passOn();
      }
    },
  };
}
