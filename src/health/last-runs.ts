/** Times at which operators last did their work on the store: a backup, and a check that found nothing. */
import { hasCode } from "../errors.ts";
import type { NotedWork } from "../store/lease-store.ts";
import type { Store } from "../store/store.ts";

export interface LastRuns {
  /** Looks at the store. Does not throw: a look that fails leaves what was seen before. */
  look(): Promise<void>;
  /** Time that the last look saw. Undefined if the work was never noted, or if somebody altered the note. */
  seenAt(work: NotedWork): Date | undefined;
}

const works: readonly NotedWork[] = ["backup", "check"];

/** `lost` is told of a note that somebody altered. */
export function watchLastRuns(store: Pick<Store, "leaseFinishedAt">, lost: (what: string) => void): LastRuns {
  const seen = new Map<NotedWork, Date | undefined>();

  async function read(work: NotedWork): Promise<void> {
    try {
      seen.set(work, await store.leaseFinishedAt(work));
    } catch (error) {
      if (!hasCode(error, "DATA_LOSS")) return;
      seen.delete(work);
      lost(error.message);
    }
  }

  return {
    seenAt: (work) => seen.get(work),
    look: async () => void (await Promise.all(works.map(read))),
  };
}
