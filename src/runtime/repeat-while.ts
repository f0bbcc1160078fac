/** Work that is done again and again while there is something to do, so that an idle process is not woken. */

export interface Repeated {
  start(): void;
  stop(): void;
}

/** Calls `work` every so many milliseconds, from a start until it gives false. */
export function repeatWhile(everyMs: number, work: () => boolean): Repeated {
  let timer: NodeJS.Timeout | undefined;
  const next = () => setTimeout(again, everyMs).unref();
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
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
