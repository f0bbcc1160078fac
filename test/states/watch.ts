/**
 * A thread that ends the process if a piece of work does not end. A call of the file system that waits for a pipe
 * blocks the thread that it is made in, and the timers of that thread with it.
 */
import { writeSync } from "node:fs";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { hungMs } from "../support/hung.ts";

interface Message {
  id: number;
  /** What begins, in words; undefined if it ends. */
  begun?: string;
}

export interface Watch {
  /** Ends the process with an exit code other than 0 if `work` has hung. */
  watched<T>(words: string, work: () => Promise<T>): Promise<T>;
  close(): Promise<unknown>;
}

export function startWatch(): Watch {
  const thread = new Worker(new URL(import.meta.url));
  const send = (message: Message) => thread.postMessage(message);
  let last = 0;
  return {
    async watched(begun, work) {
      last += 1;
      const id = last;
      send({ id, begun });
      try {
        return await work();
      } finally {
        send({ id });
      }
    },
    close: () => thread.terminate(),
  };
}

if (!isMainThread) watch();

function watch(): void {
  const running = new Map<number, { begun: string; timer: NodeJS.Timeout }>();
  // Whatever else runs may have hung too, or only waits for its turn.
  const end = () => endProcess([...running.values()].map(({ begun }) => begun));
  parentPort!.on("message", ({ id, begun }: Message) => {
    clearTimeout(running.get(id)?.timer);
    running.delete(id);
    if (begun !== undefined) running.set(id, { begun, timer: setTimeout(end, hungMs) });
  });
}

/** The main thread may be blocked, so nothing is printed through it. */
function endProcess(running: readonly string[]): void {
  for (const begun of running) writeSync(2, `FAILED: hung, or ran beside one that did: ${begun}\n`);
  process.kill(process.pid, "SIGKILL");
}
