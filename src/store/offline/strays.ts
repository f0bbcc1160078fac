/** What is stored of logs and does not fit any head: pieces of a log that is not there, and traces of a log that went further. */
import type { Query } from "../sql/rows/database.ts";
import type { RowProblem } from "../row-problem.ts";

const mostStrays = 100;

/** Pieces without a log, whose head was removed or which somebody added. Found in an index, without their bytes. */
const piecesWithout = (table: string) => `
  select tenant_id, number from ${table} as piece
  where not exists (select 1 from kms_logs as log where log.tenant_id = piece.tenant_id and log.number = piece.number)
  group by tenant_id, number order by tenant_id, number limit ${mostStrays}`;

/** No tree has such levels. */
const levelsOutside = `
  select distinct tenant_id, number, level from kms_log_hashes where level < 0 or level > 6
  order by tenant_id, number limit ${mostStrays}`;

/** Rows with the size that a log had, or more, when they were written. A head that was put back as it once was is authentic. */
const traces = [
  ["kms_log_requests", "first_index + count"],
  ["kms_log_handovers", "entry_index + 1"],
  ["kms_log_compromises", "trace.size"],
] as const;

const sizesBehind = ([table, size]: (typeof traces)[number]) => `
  select trace.tenant_id, trace.number, max(log.size) as size, max(${size}) as known
  from ${table} as trace left join kms_logs as log on log.tenant_id = trace.tenant_id and log.number = trace.number
  where log.size is null or ${size} > log.size
  group by trace.tenant_id, trace.number order by trace.tenant_id, trace.number limit ${mostStrays}`;

export async function* strayRows(query: Query): AsyncGenerator<RowProblem> {
  for (const table of ["kms_log_entries", "kms_log_hashes"]) {
    const kind = table === "kms_log_entries" ? "entries" : "hashes";
    for (const { tenant_id, number } of await query(piecesWithout(table))) {
      yield about("log_content", tenant_id, `log ${number} has ${kind} and no head: restore it from a backup`);
    }
  }
  for (const { tenant_id, number, level } of await query(levelsOutside)) {
    yield about("log_content", tenant_id, `log ${number} has hashes of level ${level}, which no log has`);
  }
  for (const trace of traces) {
    for (const { tenant_id, number, size, known } of await query(sizesBehind(trace))) {
      const what = size === null ? "is gone" : `has ${size} entries`;
      yield about("log_set_back", tenant_id, `log ${number} ${what}, and it had at least ${known}`);
    }
  }
}

function about(kind: RowProblem["kind"], tenantId: unknown, what: string): RowProblem {
  return { kind, tenantId: String(tenantId), keyId: "", purpose: undefined, what };
}
