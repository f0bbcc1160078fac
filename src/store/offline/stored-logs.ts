/**
 * Logs as they are stored, from their first entry to the last, for those who recompute them: a log can be larger than memory. What the tree
 * must be is not known here.
 */
import type { RowMac } from "../sql/rows/mac.ts";
import type { LogHead, LogName } from "../log-store.ts";
import type { Query } from "../sql/rows/database.ts";
import { each, pages } from "../examine/pages.ts";
import { headOf } from "../sql/heads.ts";
import { openEntries } from "../sql/tile-chunks.ts";
import { onward } from "../sql/rows/walk.ts";

export interface StoredLog {
  head: LogHead;
  /** Each begins where the one before it ends, unless the database was tampered with. */
  entries(): AsyncGenerator<StoredEntries>;
  /** Likewise, of a level of tiles. */
  hashes(tileLevel: number): AsyncGenerator<StoredChunk>;
}

/** Hashes as a group wrote them, see LogAppend. */
export interface StoredChunk {
  /** Index of the first one at its level; NaN where that is no number of ours. */
  start: number;
  data: Uint8Array;
}

/** Likewise entries. */
export interface StoredEntries {
  start: number;
  /** As C2SP tlog-tiles has a bundle; undefined where they are not as they were written. */
  bundle: Uint8Array | undefined;
}

const pageChunks = 16;

/** By tenant and number. Those whose head is not authentic are left out: `checkRows` names them. */
export async function* storedLogs(query: Query, mac: RowMac): AsyncGenerator<StoredLog> {
  for await (const row of each(pages(query, "kms_logs"))) {
    const head = authentic(() => headOf(mac, row));
    if (head === undefined) continue;
    yield {
      head,
      entries: () => entriesFrom(query, head),
      hashes: (tileLevel) => {
        const condition = "tenant_id = ?1 and number = ?2 and level = ?3";
        return piecesFrom(query, "kms_log_hashes", condition, [...valuesOf(head), tileLevel]);
      },
    };
  }
}

function valuesOf({ tenantId, number }: LogName): (string | number)[] {
  return [tenantId, number];
}

async function* entriesFrom(query: Query, log: LogName): AsyncGenerator<StoredEntries> {
  const pieces = piecesFrom(query, "kms_log_entries", "tenant_id = ?1 and number = ?2", valuesOf(log));
  for await (const { start, data } of pieces) yield { start, bundle: openEntries(data)?.data };
}

async function* piecesFrom(
  query: Query,
  table: "kms_log_entries" | "kms_log_hashes",
  condition: string,
  values: readonly (string | number)[],
): AsyncGenerator<StoredChunk> {
  const from = `start > ?${values.length + 1} order by start limit ${pageChunks}`;
  let last = Number.MIN_SAFE_INTEGER;
  for (;;) {
    const rows = await query(`select * from ${table} where ${condition} and ${from}`, ...values, last);
    for (const { start, data } of rows) yield { start: Number(start), data: data as Uint8Array };
    const end = Number(rows.at(-1)?.start);
    // Behind one that is no number of ours there is nothing of ours.
    if (rows.length < pageChunks || !Number.isSafeInteger(end)) return;
    [last] = onward(table, [last], [end]);
  }
}

function authentic<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
