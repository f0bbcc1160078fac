/** Work that is done again and again while there is something to do, so that an idle process is not woken. */
import type { Time, Timer } from "../../runtime/time.ts";

export interface Repeated {
  start(): void;
  stop(): void;
}

/** Calls `work` every so many milliseconds, from a start until it gives false. */
export function repeatWhile(time: Time, everyMs: number, work: () => boolean): Repeated {
  let timer: Timer | undefined;
  const next = () => time.after(everyMs, again);
  const again = () => {
    const goesOn = work();
    // It may have been stopped meanwhile.
    if (timer !== undefined) timer = goesOn ? next() : undefined;
  };
  return {
    start() {
      timer ??= next();
    },
    stop() {
      time.clear(timer);
      timer = undefined;
    },
  };
}
