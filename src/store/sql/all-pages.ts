/** Lists that are read whole, a page at a time: no snapshot is held for longer than a page takes, and others have their turn between two. */
import { setImmediate } from "node:timers/promises";
import type { Database, Query } from "./rows/database.ts";
import { onward, type Place } from "./rows/walk.ts";

export const pageRows = 200;

/** All of what `page` reads: `pageRows` of them at a time, in the order of their places, those behind `last`. */
export async function allPages<T>(
  db: Pick<Database, "read">,
  page: (query: Query, last: T | undefined) => Promise<T[]>,
  { what, placeOf }: { what: string; placeOf: (each: T) => Place },
): Promise<T[]> {
  const all: T[] = [];
  for (;;) {
    const last = all.at(-1);
    const found = await db.read((query) => page(query, last));
    all.push(...found);
    if (found.length < pageRows) return all;
    onward(what, last && placeOf(last), placeOf(found.at(-1)!));
    await setImmediate();
  }
}
