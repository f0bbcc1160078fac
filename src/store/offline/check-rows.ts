/**
 * Everything that rows alone can show of a store, without its provider: what the examination looks for (store/examine), all at once, and pieces
 * of logs that belong to none. Reads only, and goes on behind each problem.
 */
import type { AuditCursor, AuditHead } from "../audit-store.ts";
import { examineKeyRows } from "../examine/key-rows.ts";
import { examineVersions } from "../examine/key-versions.ts";
import type { Moment, Piece } from "../examine/part.ts";
import { chainProblem, describedTables, examineTable, logProblem } from "../examine/table-rows.ts";
import type { KeyState, Purpose } from "../key-record.ts";
import type { RowCheck, RowProblem } from "../row-problem.ts";
import { verifyChains } from "../sql/audit.ts";
import type { Query } from "../sql/rows/database.ts";
import type { RowMac } from "../sql/rows/mac.ts";
import type { Place } from "../sql/rows/walk.ts";
import { forgiving } from "../sql/rows/tolerant-query.ts";
import { type ProviderKey, providerKeyOf } from "./copy.ts";

export interface CheckedRows {
  keys: Record<Purpose, Partial<Record<KeyState, number>>>;
  /** What wrapped them, as far as records say so. */
  providerKeys: ProviderKey[];
  /** Handovers in logs to keys that never came into use. Releases of 0.1 left them. */
  unusedHandovers: number;
  auditEvents: number;
  heads: AuditHead[];
}

const chainRows = 500;

/** `all` reads of one moment. */
export async function checkRows(all: Query, mac: RowMac, { problem, progress }: RowCheck): Promise<CheckedRows> {
  const moment: Moment = { query: forgiving(all), mac };
  let rows = 0;
  async function whole<At>(examine: (moment: Moment, at?: At) => Promise<Piece<At>>): Promise<void> {
    let at: At | undefined;
    do {
      const piece = await examine(moment, at);
      piece.problems.forEach(problem);
      rows += piece.rows;
      progress?.(rows);
      at = piece.next;
    } while (at !== undefined);
  }

  const trail: Pick<CheckedRows, "auditEvents" | "heads"> = { auditEvents: 0, heads: [] };
  const checkChains = async ({ query }: Moment, at?: AuditCursor): Promise<Piece<AuditCursor>> => {
    const { events, heads, problems, next } = await verifyChains(query, mac, at, chainRows);
    trail.auditEvents += events;
    trail.heads.push(...heads);
    return { rows: events, problems: problems.map(chainProblem), next };
  };

  await whole(examineKeyRows);
  await whole(examineVersions);
  for await (const found of orphans(moment.query)) problem(found);
  for (const described of describedTables) await whole<Place>((own, at) => examineTable(own, described, at));
  await whole(checkChains);
  return { ...(await countsOf(moment.query)), ...trail };
}

async function countsOf(query: Query): Promise<Pick<CheckedRows, "keys" | "providerKeys" | "unusedHandovers">> {
  const keys: CheckedRows["keys"] = { data: {}, signing: {} };
  const providerKeys: ProviderKey[] = [];
  for (const row of await query("select * from kms_store")) providerKeyOf(providerKeys, row).storeKey = true;
  const counts = await query(
    `select purpose, state, provider, provider_key_id, count(*) as count from kms_keys
     group by purpose, state, provider, provider_key_id order by provider, provider_key_id`,
  );
  for (const { purpose, state, count, ...by } of counts) {
    const states = keys[purpose as Purpose] ?? {};
    states[state as KeyState] = (states[state as KeyState] ?? 0) + Number(count);
    if (state !== "DESTROYED") providerKeyOf(providerKeys, by).keys += Number(count);
  }
  const [unused] = await query("select count(*) as count from kms_log_handovers where proof = ''");
  return { keys, providerKeys, unusedHandovers: Number(unused?.count) };
}

const mostOrphans = 100;

/** Pieces without a log, whose head was removed or which somebody added. Found in an index, without their bytes. */
const piecesWithout = (table: string) => `
  select tenant_id, number from ${table} as piece
  where not exists (select 1 from kms_logs as log where log.tenant_id = piece.tenant_id and log.number = piece.number)
  group by tenant_id, number order by tenant_id, number limit ${mostOrphans}`;

/** No tree has such levels. */
const levelsOutside = `
  select distinct tenant_id, number, level from kms_log_hashes where level < 0 or level > 6
  order by tenant_id, number limit ${mostOrphans}`;

/** Finds pieces that are stored of logs and fit no head. */
async function* orphans(query: Query): AsyncGenerator<RowProblem> {
  for (const table of ["kms_log_entries", "kms_log_hashes"]) {
    const kind = table === "kms_log_entries" ? "entries" : "hashes";
    for (const row of await query(piecesWithout(table))) {
      yield logProblem("log_content", row, `log ${row.number} has ${kind} and no head: restore it from a backup`);
    }
  }
  for (const row of await query(levelsOutside)) {
    yield logProblem("log_content", row, `log ${row.number} has hashes of level ${row.level}, which no log has`);
  }
}
