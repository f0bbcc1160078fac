/**
 * Everything that rows alone can show of a store, without its provider: HMACs, the audit chains, records against the audit trail, and
 * the order of versions. Reads only, in pages, and goes on behind each problem.
 */
import type { RowMac } from "../sql/rows/row-mac.ts";
import type { KeyState, Purpose } from "../key-record.ts";
import type { Query, Row } from "../sql/rows/database.ts";
import { verifyChains } from "../sql/audit.ts";
import { type ProviderKey, providerKeyOf } from "./copy.ts";
import { each, pages } from "../examine/pages.ts";
import { forgiving } from "../sql/rows/tolerant-query.ts";
import { compareText } from "../sql/rows/walk.ts";
import { lives } from "../examine/replay.ts";
import { alteration, describedTables, missingTime } from "../examine/table-rows.ts";
import { strayRows } from "./strays.ts";
import { disordered, doubted, keyProblem, missing } from "../examine/key-problems.ts";
import type { RowCheck } from "../row-problem.ts";
import { checkVersions } from "./versions.ts";
import type { AuditCursor, AuditHead } from "../audit-store.ts";

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
  const checked: CheckedRows = {
    keys: { data: {}, signing: {} },
    providerKeys: [],
    unusedHandovers: 0,
    auditEvents: 0,
    heads: [],
  };
  let rows = 0;
  const count = (more: number) => {
    rows += more;
    progress?.(rows);
  };
  const check: Check = { query, mac, checked, problem, count };
  for await (const row of each(pages(query, "kms_store"))) providerKeyOf(checked.providerKeys, row).storeKey = true;
  await checkKeys(check);
  await checkVersions({ query, mac }, problem);
  for (const described of describedTables) await checkTable(check, described);
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
    const order = record === undefined ? 1 : life === undefined ? -1 : compareText(String(record.key_id), life.keyId);
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

async function checkTable(
  { query, mac, checked, problem, count }: Check,
  described: (typeof describedTables)[number],
): Promise<void> {
  let rows = 0;
  for await (const row of each(pages(query, described[0]))) {
    rows += 1;
    count(1);
    if (described[0] === "kms_log_handovers" && row.proof === "") checked.unusedHandovers += 1;
    const found = alteration(mac, described, row);
    if (found !== undefined) problem(found);
  }
  if (described[0] === "kms_time" && rows === 0) (await missingTime(query)).forEach(problem);
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

async function next<T>(all: AsyncGenerator<T>): Promise<T | undefined> {
  const { value, done } = await all.next();
  return done ? undefined : value;
}
