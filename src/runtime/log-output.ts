/**
 * Standard output, as the service's log is written to it. A terminal that was closed or a disk that is full takes no lines: the service goes on
 * without them, and what waits is written once that is possible, up to a bound.
 */
import { once } from "node:events";
import { type DestinationStream, pino } from "pino";

export interface LogOutput {
  stream: DestinationStream;
  /** Resolves when all lines so far are written, or cannot be. What the end of a process cuts short, pino writes out of order. */
  written(): Promise<void>;
}

const maxWaitingBytes = 1_048_576;

export function openLogOutput(): LogOutput {
  const output = pino.destination({ dest: 1, sync: false, maxLength: maxWaitingBytes });
  let [isWaiting, isFailing] = [false, false];
  const { write, flushSync } = output;
  output.write = (line) => {
    isWaiting = true;
    return write.call(output, line);
  };
  // At the end of a process pino tries for as long as it takes.
  output.flushSync = () => {
    if (!isFailing) flushSync.call(output);
  };
  output.on("write", () => {
    isFailing = false;
  });
  output.on("drain", () => {
    isWaiting = false;
  });
  output.on("error", () => {
    isFailing = true;
  });
  return {
    stream: output,
    async written() {
      if (isWaiting && !isFailing) await once(output, "drain").catch(() => {});
    },
  };
}
