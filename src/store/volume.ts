/** Free bytes of the file system that holds a folder. Reading them blocks neither the event loop nor the caller. */
import { statfs } from "node:fs/promises";
import type { Time } from "../runtime/time.ts";

export interface Volume {
  /** Bytes that a process may still write, without those that are kept for root. */
  freeBytes: number;
  volumeBytes: number;
}

const freshMs = 15_000;

/**
 * Gives what answers by what was read last, and reads again behind the answer if that is 15 s old. The answer is
 * undefined until the first read has ended, and if the last one failed.
 */
export function volumeOf(folder: string, now: Time["monotonicMs"]): () => Volume | undefined {
  let seen: Volume | undefined;
  let readAtMs = Number.NEGATIVE_INFINITY;
  let isReading = false;

  async function read(): Promise<void> {
    isReading = true;
    readAtMs = now();
    seen = await statfs(folder).then(
      ({ bavail, blocks, frsize }) => ({ freeBytes: bavail * frsize, volumeBytes: blocks * frsize }),
      () => undefined,
    );
    isReading = false;
  }

  const look = () => {
    if (!isReading && now() - readAtMs >= freshMs) void read();
  };
  look();
  return () => {
    look();
    return seen;
  };
}
