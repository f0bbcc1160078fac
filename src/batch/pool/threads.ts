/** How many threads the pool has if nobody says it. */
import { availableParallelism } from "node:os";
import { cpuQuota } from "../../runtime/cpu-quota.ts";

/** Each thread takes memory also at rest: bench/memory/at-rest.ts says how much. */
const most = 8;

/** Returns the least of the processors there are, those that a container may use, and 8. */
export function standardThreads(parallelism = availableParallelism(), quota = cpuQuota()): number {
  return Math.max(1, Math.min(parallelism, most, Math.ceil(quota ?? most)));
}
