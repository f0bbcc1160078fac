/** Work that waits for its turn, and for what it needs. */

export interface Task<T> {
  /** Fulfilled when it can run; undefined if it can from the beginning. */
  ready?: Promise<void> | undefined;
  /** How many places it takes, 1 if it is not given. One that takes more than there are runs by itself. */
  places?: number;
  run: () => Promise<T>;
}

/** Runs tasks in this order, as many beside each other as there are places for. One that is not ready is passed by those after it. */
export async function runInTurn<T>(tasks: readonly Task<T>[], places: number): Promise<T[]> {
  const results: T[] = [];
  let free = places;
  const running = new Set<Promise<void>>();
  const ready = new Set(tasks.filter((task) => task.ready === undefined));
  const becoming = new Map(tasks.map((task) => [task, task.ready?.then(() => void ready.add(task))]));
  const start = (task: Task<T>) => {
    becoming.delete(task);
    free -= task.places ?? 1;
    const work = task.run().then((result) => {
      results.push(result);
      running.delete(work);
      free += task.places ?? 1;
    });
    running.add(work);
  };
  while (becoming.size > 0) {
    const next = [...becoming.keys()].find((task) => ready.has(task));
    if (next === undefined) await Promise.race([...running, ...becoming.values()]);
    else if (running.size > 0 && (next.places ?? 1) > free) await Promise.race(running);
    else start(next);
  }
  await Promise.all(running);
  return results;
}
