/**
 * Sends calls to the replicas that are ready, as Kubernetes does it: readiness is asked for by and by, counts once it failed twice in a row, and
 * whoever sends calls learns of that a while later still.
 */
import { setTimeout as delay } from "node:timers/promises";

export interface Replica {
  grpc: string;
  http: string;
}

export interface Balancer {
  /** The next replica in turn of those that are known to be ready. */
  next(): Replica;
  /** How many replicas calls are sent to. */
  size(): number;
  close(): Promise<void>;
}

const periodMs = 500;
const failures = 2;
/** Time until all nodes of a cluster know it. */
const spreadMs = 500;

/** The longest time for which a replica that is not ready is sent calls. */
export const longestMs = periodMs * failures + spreadMs;

export function startBalancer(replicas: readonly Replica[]): Balancer {
  const ready = new Set(replicas);
  const stopped = new AbortController();
  let turn = 0;

  async function watch(replica: Replica): Promise<void> {
    for (let failed = 0; failed < failures; ) {
      failed = (await isReady(replica)) ? 0 : failed + 1;
      if (failed < failures) await delay(periodMs, undefined, { signal: stopped.signal });
    }
    await delay(spreadMs, undefined, { signal: stopped.signal });
    ready.delete(replica);
  }

  const watching = replicas.map((replica) => watch(replica).catch(() => {}));
  return {
    next() {
      turn += 1;
      return [...ready][turn % ready.size]!;
    },
    size: () => ready.size,
    async close() {
      stopped.abort();
      await Promise.all(watching);
    },
  };
}

async function isReady({ http }: Replica): Promise<boolean> {
  try {
    const answer = await fetch(`${http}/q/health/ready`, { signal: AbortSignal.timeout(periodMs) });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}
