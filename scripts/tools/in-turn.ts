/** Work that waits for its turn, and for what it needs. */

export interface Task<T> {
  /** Fulfilled when it can run; undefined if it can from the beginning. */
  ready: Promise<void> | undefined;
  run: () => Promise<T>;
}

/** Runs tasks in this order, `atOnce` beside each other. One that is not ready is passed by those after it. */
export async function runInTurn<T>(tasks: readonly Task<T>[], atOnce: number): Promise<T[]> {
  const ready = new Set(tasks.filter((task) => task.ready === undefined));
  const waiting = tasks.flatMap((task) => task.ready?.then(() => void ready.add(task)) ?? []);
  const turns = new Set(tasks);
  const results: T[] = [];
  const worker = async () => {
    for (;;) {
      const next = [...turns].find((task) => ready.has(task));
      if (next !== undefined) {
        turns.delete(next);
        results.push(await next.run());
      } else if (turns.size > 0) {
        await Promise.race([...turns].map((task) => task.ready));
      } else return;
    }
  };
  await Promise.all([...Array.from({ length: atOnce }, worker), ...waiting]);
  return results;
}
