/** Work that waits for its turn, and for what it needs. */

export interface Task<T> {
  /** Fulfilled when it can run; undefined if it can from the beginning. */
  ready?: Promise<void> | undefined;
  /** True if nothing runs beside it. */
  alone?: boolean;
  run: () => Promise<T>;
}

/** Runs tasks in this order, `atOnce` beside each other. One that is not ready is passed by those after it. */
export async function runInTurn<T>(tasks: readonly Task<T>[], atOnce: number): Promise<T[]> {
  const results: T[] = [];
  const running = new Set<Promise<void>>();
  const ready = new Set(tasks.filter((task) => task.ready === undefined));
  const becoming = new Map(tasks.map((task) => [task, task.ready?.then(() => void ready.add(task))]));
  const start = (task: Task<T>) => {
    becoming.delete(task);
    const work = task.run().then((result) => {
      results.push(result);
      running.delete(work);
    });
    running.add(work);
    return work;
  };
  while (becoming.size > 0) {
    const next = [...becoming.keys()].find((task) => ready.has(task));
    if (next === undefined) await Promise.race([...running, ...becoming.values()]);
    else if (running.size >= (next.alone ? 1 : atOnce)) await Promise.race(running);
    else if (next.alone) await start(next);
    else start(next);
  }
  await Promise.all(running);
  return results;
}
