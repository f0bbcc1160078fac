/**
 * Everything that rows alone can show of a store, without its provider: HMACs, the audit chains, records against the audit trail, and
 * the order of versions. Reads only, in pages, and goes on behind each problem.
 */
import type { RowMac } from "../sql/row-mac.ts";
import type { KeyState, Purpose } from "../key-record.ts";
import type { Query, Row } from "../sql/database.ts";
import { verifyChains } from "../sql/audit.ts";
import { each, type ProviderKey, pages, providerKeyOf } from "./copy.ts";
import { forgiving } from "../sql/tolerant-query.ts";
import { lives } from "./replay.ts";
import { valuesOf } from "../sql/rows.ts";
import type { TableName } from "../sql/schema.ts";
import { strayRows } from "./strays.ts";
import { disordered, doubted, keyProblem, missing } from "./key-problems.ts";
import type { RowCheck, RowProblem } from "./row-problem.ts";
import { checkVersions } from "./versions.ts";
import type { AuditCursor, AuditHead } from "../audit-store.ts";

export interface CheckedRows {
  keys: Record<Purpose, Partial<Record<KeyState, number>>>;
  /** What wrapped them, as far as records say so. */
  providerKeys: ProviderKey[];
  auditEvents: number;
  heads: AuditHead[];
}

const chainRows = 500;

/** What the steps of a check share. */
interface Check {
  /** Reads of one moment. */
  query: Query;
  mac: RowMac;
  checked: CheckedRows;
  problem: RowCheck["problem"];
  /** Counts rows that were looked at. */
  count(rows: number): void;
}

/** `all` reads of one moment. */
export async function checkRows(all: Query, mac: RowMac, { problem, progress }: RowCheck): Promise<CheckedRows> {
  const query = forgiving(all);
  const checked: CheckedRows = { keys: { data: {}, signing: {} }, providerKeys: [], auditEvents: 0, heads: [] };
  let rows = 0;
  const count = (more: number) => {
    rows += more;
    progress?.(rows);
  };
  const check: Check = { query, mac, checked, problem, count };
  for await (const row of each(pages(query, "kms_store"))) providerKeyOf(checked.providerKeys, row).storeKey = true;
  await checkKeys(check);
  await checkVersions(query, problem);
  for (const [table, describe] of describedTables) await checkTable(check, table, describe);
  for await (const found of strayRows(query)) problem(found);
  await checkChains(check);
  return checked;
}

/** Records and lives, both by key id, side by side. */
async function checkKeys({ query, mac, checked, problem, count }: Check): Promise<void> {
  const records = each(pages(query, "kms_keys"));
  const known = lives(query);
  let record = await next(records);
  let life = await next(known);
  while (record !== undefined || life !== undefined) {
    const order = record === undefined ? 1 : life === undefined ? -1 : compare(String(record.key_id), life.keyId);
    if (record !== undefined && order <= 0) {
      count(1);
      const found = keyProblem(mac, record, order === 0 ? life : undefined);
      if (found !== undefined) problem(found);
      tally(checked, record);
      record = await next(records);
    } else if (order > 0) problem(missing(life!));
    if (order === 0 && life?.ordered === false) problem(disordered(life));
    if (order >= 0 && life?.doubt !== undefined) problem(doubted(life, life.doubt));
    if (order >= 0) life = await next(known);
  }
}

function tally({ keys, providerKeys }: CheckedRows, row: Row): void {
  const { purpose, state } = row;
  if (state !== "DESTROYED") providerKeyOf(providerKeys, row).keys += 1;
  const states = keys[purpose as Purpose];
  if (states) states[state as KeyState] = (states[state as KeyState] ?? 0) + 1;
}

/** The tables whose rows are judged by their HMAC alone, and what is said of a row that was altered. */
const describedTables: readonly [TableName, (row: Row) => RowProblem][] = [
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
  [
    "kms_leases",
    (row) => ({
      kind: "lease_altered",
      tenantId: "",
      keyId: "",
      purpose: undefined,
      what: `the lease ${row.name} was altered`,
    }),
  ],
  [
    "kms_time",
    () => ({
      ...{ kind: "time_altered", tenantId: "", keyId: "", purpose: undefined },
      what: "the witnessed time was altered: no key is destroyed until it is restored",
    }),
  ],
  ["kms_logs", (row) => logProblem(row, `the head of log ${row.number} was altered`)],
  ["kms_log_requests", (row) => logProblem(row, `the remembered batch ${row.request_id} was altered`)],
  ["kms_log_handovers", (row) => logProblem(row, `the handover to key ${row.to_key_id} was altered`)],
  [
    "kms_log_compromises",
    (row) => logProblem(row, `how far log ${row.number} went under the compromised key ${row.key_id} was altered`),
  ],
];

async function checkTable(
  { query, mac, problem, count }: Check,
  table: TableName,
  describe: (row: Row) => RowProblem,
): Promise<void> {
  for await (const row of each(pages(query, table))) {
    count(1);
    if (!mac.matches(row.mac, table, valuesOf(table, row))) problem(describe(row));
  }
}

async function checkChains({ query, mac, checked, problem, count }: Check): Promise<void> {
  let cursor: AuditCursor | undefined;
  do {
    const verdict = await verifyChains(query, mac, cursor, chainRows);
    count(verdict.events);
    checked.auditEvents += verdict.events;
    checked.heads.push(...verdict.heads);
    for (const { writerId, what } of verdict.problems) {
      const where = writerId === "" ? "" : `audit writer ${writerId}: `;
      problem({ kind: "audit_trail", tenantId: "", keyId: "", purpose: undefined, what: where + what });
    }
    cursor = verdict.next;
  } while (cursor !== undefined);
}

function logProblem(row: Row, what: string): RowProblem {
  return { kind: "log_altered", tenantId: String(row.tenant_id), keyId: "", purpose: undefined, what };
}

async function next<T>(all: AsyncGenerator<T>): Promise<T | undefined> {
  const { value, done } = await all.next();
  return done ? undefined : value;
}

/** As the databases order text: by bytes. */
function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
