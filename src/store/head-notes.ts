/** Notes of what became durable: gathered from commits, and merged with what was noted before. */
import type { AuditHead } from "./audit-store.ts";
import type { CountedCommits, NotedHeads, NotedKey, NotedLog } from "./heads-store.ts";

/** More of a kind are not noted: the oldest go. */
export const mostNoted = 1_000;

export const nothingNoted: NotedHeads = { counted: undefined, writersCounted: 0, writers: [], logs: [], keys: [] };

/** What the commits of a process made durable since it was last taken. Each member is told after the commit. */
export interface HeadNotes {
  writer(head: AuditHead): void;
  log(head: NotedLog): void;
  key(key: NotedKey): void;
  take(): NotedHeads;
}

export function headNotes(): HeadNotes {
  let notes = newNotes();
  return {
    writer: (head) => notes.writers.add(head),
    log: ({ tenantId, number, size, root }) => notes.logs.add({ tenantId, number, size, root }),
    key: ({ tenantId, purpose, keyId, version, state }) => notes.keys.add({ tenantId, purpose, keyId, version, state }),
    take() {
      const { writers, logs, keys } = notes;
      notes = newNotes();
      return { ...nothingNoted, writers: writers.all(), logs: logs.all(), keys: keys.all() };
    },
  };
}

/** Merges both: the head that went further, so that nothing is lowered, and for a key what `newer` says. */
export function mergeHeads(older: NotedHeads, newer: NotedHeads): NotedHeads {
  const notes = newNotes();
  for (const each of [older, newer]) {
    each.writers.forEach(notes.writers.add);
    each.logs.forEach(notes.logs.add);
    each.keys.forEach(notes.keys.add);
  }
  const { writers, logs, keys } = notes;
  const counted = further(older.counted, newer.counted);
  const writersCounted = Math.max(older.writersCounted, newer.writersCounted);
  return { counted, writersCounted, writers: writers.all(), logs: logs.all(), keys: keys.all() };
}

function further(a: CountedCommits | undefined, b: CountedCommits | undefined): CountedCommits | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.commits > a.commits ? b : a;
}

function newNotes() {
  return {
    writers: newestOf<AuditHead>(
      ({ writerId }) => writerId,
      ({ sequence }) => sequence,
    ),
    logs: newestOf<NotedLog>(
      ({ tenantId, number }) => `${tenantId}/${number}`,
      ({ size }) => size,
    ),
    keys: newestOf<NotedKey>(
      ({ keyId }) => keyId,
      () => 0,
    ),
  };
}

/** Keeps of each name the member that went furthest, and the newest of those that went as far: commits may be told out of order. */
function newestOf<T>(nameOf: (each: T) => string, reach: (each: T) => number) {
  const known = new Map<string, T>();
  return {
    add(each: T): void {
      const name = nameOf(each);
      const before = known.get(name);
      known.delete(name);
      known.set(name, before !== undefined && reach(before) > reach(each) ? before : each);
      if (known.size > mostNoted) known.delete(known.keys().next().value!);
    },
    all: () => [...known.values()],
  };
}
