/** The heads of a SQL store: what became durable, and how the store stands to what was noted of it. */
import type { HeadNotes } from "../head-notes.ts";
import type { HeadsStore, NotedHeads, Standing } from "../heads-store.ts";
import { type AuditChain, newWriterId } from "./audit.ts";
import { noteHeadsSince } from "./commits.ts";
import { endLogs } from "./ended-logs.ts";
import { isAccepted, newestHeads, standingOf, writtenSince } from "./noted-heads.ts";
import type { Database, Query } from "./rows/database.ts";
import type { RowMac } from "./rows/mac.ts";

interface NotedParts {
  chain: Pick<AuditChain, "append" | "beginAnew">;
  notes: HeadNotes;
}

export function sqlHeads(db: Database, mac: RowMac, { chain, notes }: NotedParts): HeadsStore {
  /** Id of the newest audit row that `takeHeads` has seen. */
  let lastSeen = 0;

  async function standingTo(query: Query, noted: NotedHeads): Promise<Standing> {
    await db.refuseStandby?.(query);
    return standingOf(query, mac, noted);
  }

  return {
    takeHeads: (noted) =>
      db.read(async (query) => {
        const standing = await standingTo(query, noted);
        if (db.countCommits === undefined) {
          const { heads, last } = await writtenSince(query, lastSeen);
          lastSeen = last;
          heads.forEach(notes.writer);
        }
        const { counted, writersCounted } = standing;
        return { news: { ...notes.take(), counted, writersCounted }, standing };
      }),
    standing: (noted) => db.read((query) => standingTo(query, noted)),
    refuseDamaged: () => db.read(async (query) => db.refuseDamaged?.(query)),
    newestHeads: () => db.read((query) => newestHeads(query, mac)),
    async noteHeadsFile(since) {
      if (db.countCommits === undefined) return;
      await db.write(async () => {}); // a store that has not counted yet counts this
      await db.write(({ query }) => noteHeadsSince(query, mac, since));
    },
    acceptsHeads: (sha256) => db.read((query) => isAccepted(query, mac, sha256)),
    async acceptRollback(event, known) {
      chain.beginAnew(newWriterId());
      lastSeen = 0; // ids begin where they were when the store was copied
      await db.write(async (tx) => {
        await endLogs(tx, mac, known, event.at);
        await chain.append(tx, [event]);
      });
    },
  };
}
