/** Lists that are read whole, a page at a time: no snapshot is held for longer than a page takes, and others have their turn between two. */
import { setImmediate } from "node:timers/promises";
import type { Database, Query } from "./rows/database.ts";

export const pageRows = 200;

/** All of what `page` reads: `pageRows` of them at a time, in an order of their own, those behind `last`. */
export async function allPages<T>(
  db: Pick<Database, "read">,
  page: (query: Query, last: T | undefined) => Promise<T[]>,
): Promise<T[]> {
  const all: T[] = [];
  for (;;) {
    const found = await db.read((query) => page(query, all.at(-1)));
    all.push(...found);
    if (found.length < pageRows) return all;
    await setImmediate();
  }
}
