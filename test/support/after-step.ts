/** Awaits what a step of this process brings about, as src/failpoints.ts names it, without asking for it meanwhile. */
import { EventEmitter, once } from "node:events";
import { hung } from "./hung.ts";
import { type StepName, steps } from "../../src/failpoints.ts";

/**
 * Returns the result of `look` as soon as it neither throws nor rejects: it looks at once, and again after each step of this name. After the
 * time that means hung it rejects as the last look did.
 */
export async function afterStep<T>(name: StepName, look: () => T | Promise<T>): Promise<T> {
  const taken = new EventEmitter();
  const listen = (step: unknown) => void (step === name && taken.emit("step"));
  // For all steps together: a look may cause the next one.
  const signal = AbortSignal.timeout(hung.expect.poll.timeout);
  steps.subscribe(listen);
  try {
    for (;;) {
      // Listens before it looks, so that no step passes between the two.
      const next = once(taken, "step", { signal });
      next.catch(() => {});
      try {
        return await look();
      } catch (error) {
        await next.catch(() => {
          throw error;
        });
      }
    }
  } finally {
    steps.unsubscribe(listen);
  }
}
