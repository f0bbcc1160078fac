/** Work that is done again and again while there is something to do, so that an idle process is not woken. */

export interface Repeated {
  start(): void;
  stop(): void;
}

/** From a start on `work` is called every so many milliseconds, until it gives false. */
export function repeatWhile(everyMs: number, work: () => boolean): Repeated {
  let timer: NodeJS.Timeout | undefined;
  const again = () => {
    timer = work() ? setTimeout(again, everyMs).unref() : undefined;
  };
  return {
    start() {
      timer ??= setTimeout(again, everyMs).unref();
    },
    stop() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
