/** Pieces that are stored of logs and fit no head. */
import type { Query } from "../sql/rows/database.ts";
import { logProblem } from "../examine/table-rows.ts";
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

export async function* strayRows(query: Query): AsyncGenerator<RowProblem> {
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
