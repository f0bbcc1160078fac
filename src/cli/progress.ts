/** What a long command has done so far, on standard error. */
import { realTime } from "../runtime/time.ts";
import { printError, printOver } from "./print.ts";

export interface Progress {
  show(text: string): void;
  end(): void;
}

const progressMs = 200;

/** On a terminal a line that is overwritten; elsewhere nothing, or, where `linesEveryMs` is given, a line now and then. */
export function progressLine(linesEveryMs = Number.POSITIVE_INFINITY): Progress {
  const isTTY = process.stderr.isTTY;
  let shownAt = realTime.monotonicMs() - progressMs;
  let isShown = false;
  return {
    show(text) {
      const now = realTime.monotonicMs();
      if (now - shownAt < (isTTY ? progressMs : linesEveryMs)) return;
      shownAt = now;
      isShown = true;
      if (isTTY) printOver(text);
      else printError(text);
    },
    end() {
      if (isTTY && isShown) printOver("");
    },
  };
}
