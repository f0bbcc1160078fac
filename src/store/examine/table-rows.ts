/** Rows that are judged by their HMAC alone, and what is said of one that was altered; and rows that know how far a log went. */
import { valuesOf } from "../sql/rows/rows.ts";
import { isWaitNoted } from "../sql/witnessed-time.ts";
import type { Row } from "../sql/rows/database.ts";
import type { RowMac } from "../sql/rows/mac.ts";
import type { TableName } from "../sql/rows/schema.ts";
import type { Place } from "../sql/rows/walk.ts";
import type { AuditProblem } from "../audit-store.ts";
import type { RowProblem } from "../row-problem.ts";
import { pageOf } from "./pages.ts";
import type { Moment, Piece } from "./part.ts";

export const describedTables: readonly [TableName, (row: Row) => RowProblem][] = [
  [
    "kms_requests",
    (row) => ({
      kind: "request_altered",
      tenantId: String(row.tenant_id),
      keyId: String(row.key_id),
      purpose: undefined,
      what: `the remembered request ${row.request_id} was altered`,
    }),
  ],
  ["kms_leases", (row) => plainProblem("lease_altered", `the lease ${row.name} was altered`)],
  ["kms_replicas", (row) => plainProblem("lease_altered", `the note of the replica ${row.replica_id} was altered`)],
  [
    "kms_time",
    () => plainProblem("time_altered", "the witnessed time was altered: no key is destroyed until it is restored"),
  ],
  ["kms_logs", (row) => logProblem("log_altered", row, `the head of log ${row.number} was altered`)],
  ["kms_log_requests", (row) => logProblem("log_altered", row, `the remembered batch ${row.request_id} was altered`)],
  ["kms_log_handovers", (row) => logProblem("log_altered", row, `the handover to key ${row.to_key_id} was altered`)],
  [
    "kms_log_compromises",
    (row) =>
      logProblem(
        "log_altered",
        row,
        `how far log ${row.number} went under the compromised key ${row.key_id} was altered`,
      ),
  ],
];

/** The size that a log had, or more, when a row was written. A head that was put back as it once was is authentic. */
const sizeKnownBy: Partial<Record<TableName, (row: Row) => number>> = {
  kms_log_requests: ({ first_index, count }) => Number(first_index) + Number(count),
  kms_log_handovers: ({ entry_index }) => Number(entry_index) + 1,
  kms_log_compromises: ({ size }) => Number(size),
};

/** Undefined for a row that is as it was written. */
export function alteration(
  mac: RowMac,
  [table, describe]: (typeof describedTables)[number],
  row: Row,
): RowProblem | undefined {
  return mac.matches(row.mac, table, valuesOf(table, row)) ? undefined : describe(row);
}

/** A page of one of the tables. */
export async function examineTable(
  { query, mac }: Moment,
  described: (typeof describedTables)[number],
  at: Place | undefined,
): Promise<Piece<Place>> {
  const [table] = described;
  const { rows, next } = await pageOf(query, table, at);
  const problems = rows.flatMap((row) => alteration(mac, described, row) ?? []);
  if (table === "kms_time" && rows.length === 0) problems.push(...(await missingTime(query)));
  const knownSize = sizeKnownBy[table];
  if (knownSize !== undefined) problems.push(...(await setBack(query, rows, knownSize)));
  return { rows: rows.length, problems, next };
}

/** Returns the problem of a store that has no witnessed time, if it had one. */
async function missingTime(query: Moment["query"]): Promise<RowProblem[]> {
  if (!(await isWaitNoted(query))) return [];
  return [plainProblem("time_missing", "the witnessed time is gone: no key is destroyed until it is restored")];
}

async function setBack(
  query: Moment["query"],
  rows: readonly Row[],
  knownSize: (row: Row) => number,
): Promise<RowProblem[]> {
  const problems: RowProblem[] = [];
  for (const traces of Map.groupBy(rows, ({ tenant_id, number }) => `${tenant_id}/${number}`).values()) {
    const [trace] = traces;
    const text = "select * from kms_logs where tenant_id = ?1 and number = ?2";
    const [head] = await query(text, trace!.tenant_id!, trace!.number!);
    const known = Math.max(...traces.map(knownSize));
    if (head !== undefined && Number(head.size) >= known) continue;
    const what = head === undefined ? "is gone" : `has ${head.size} entries`;
    problems.push(logProblem("log_set_back", trace!, `log ${trace!.number} ${what}, and it had at least ${known}`));
  }
  return problems;
}

export function logProblem(kind: RowProblem["kind"], { tenant_id, number }: Row, what: string): RowProblem {
  return { kind, tenantId: String(tenant_id), keyId: "", purpose: undefined, log: Number(number), what };
}

export function chainProblem({ writerId, what }: AuditProblem): RowProblem {
  return plainProblem("audit_trail", writerId === "" ? what : `audit writer ${writerId}: ${what}`);
}

/** A problem of the store as a whole. */
export function plainProblem(kind: RowProblem["kind"], what: string): RowProblem {
  return { kind, tenantId: "", keyId: "", purpose: undefined, what };
}
