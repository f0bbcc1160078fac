/**
 * Messages lie outside V8's heap. By default every 64 MiB of them, whatever became of them since, begin a collection of the whole heap:
 * several a second under batches of spans, at a third of what these cost. Counted as part of the heap, they begin one when as much is alive as
 * its limit says, which follows what was alive the last time.
 */
import { setFlagsFromString } from "node:v8";

/** For all threads of this process. */
export function countExternalMemoryAsHeap(): void {
  setFlagsFromString("--external-memory-accounted-in-global-limit");
}
