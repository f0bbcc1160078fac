/**
 * The audit trail of the SQL stores. Each process writes a chain of its own: a row's HMAC covers the row and its predecessor's HMAC, and
 * the newest row's is kept beside its number in a row that is authenticated itself. So an edited row, a missing one and a cut tail show;
 * the number of chains is kept in the store key's row, so that a missing chain shows too.
 */
import { randomBytes } from "node:crypto";
import type { RowMac } from "./rows/mac.ts";
import { KmsError } from "../../errors.ts";
import type { Purpose } from "../key-record.ts";
import type { Query, Row, Transaction } from "./rows/database.ts";
import {
  authenticated,
  bytes,
  date,
  insertRow,
  insertRows,
  storedValues,
  time,
  updateRow,
  valuesOf,
  wholeNumber,
  words,
} from "./rows/rows.ts";
import { onward } from "./rows/walk.ts";
import type {
  AuditAction,
  AuditCursor,
  AuditEvent,
  AuditHead,
  AuditPage,
  AuditProblem,
  AuditRow,
  AuditVerdict,
} from "../audit-store.ts";

const purposes: readonly Purpose[] = ["data", "signing"];
const beforeFirst = new Uint8Array(0);
const recentRows = 10_000;
const writerIdBytes = 16;

export interface AuditChain {
  append(tx: Transaction, events: readonly AuditEvent[]): Promise<void>;
  head(query: Query): Promise<AuditHead | undefined>;
  /** Has the next rows be another writer's. */
  beginAnew(writerId: string): void;
}

interface Writer {
  writerId: string;
  /** The newest row that this process knows to be stored. */
  written: AuditHead | undefined;
}

export function newWriterId(): string {
  return randomBytes(writerIdBytes).toString("hex");
}

/** `stored` is told each newest row, once it is committed. */
export function auditChain(mac: RowMac, firstWriter: string, stored: (head: AuditHead) => void = () => {}): AuditChain {
  let writer: Writer = { writerId: firstWriter, written: undefined };

  /** Nothing is written behind an earlier head: what was cut off would be grown over, and not be missed. */
  function refuseSetBack({ writerId, written }: Writer, present: AuditHead | undefined): void {
    if (written === undefined || (present !== undefined && present.sequence > written.sequence)) return;
    if (present?.sequence === written.sequence && Buffer.compare(present.mac, written.mac) === 0) return;
    throw new KmsError(
      "DATA_LOSS",
      `audit writer ${writerId} wrote row ${written.sequence}, and the store is at ${present?.sequence ?? 0}: rows were taken from it`,
    );
  }

  async function rowOfWriter(query: Query, writerId: string): Promise<Row | undefined> {
    const [row] = await query("select * from kms_audit_writers where writer_id = ?1", writerId);
    return row && authenticated(mac, "kms_audit_writers", row, `the head of audit writer ${writerId}`);
  }

  return {
    async head(query) {
      const row = await rowOfWriter(query, writer.writerId);
      return row && headOf(row);
    },

    beginAnew(writerId) {
      writer = { writerId, written: undefined };
    },

    async append(tx, events) {
      if (events.length === 0) return;
      const own = writer;
      const { writerId } = own;
      await tx.lock(`audit/${writerId}`);
      const row = await rowOfWriter(tx.query, writerId);
      const present = row && headOf(row);
      refuseSetBack(own, present);
      if (present === undefined) await countWriter(tx, mac);
      let { sequence, mac: previous } = present ?? { sequence: 0, mac: beforeFirst };
      const rows = events.map((event) => {
        sequence += 1;
        const added = auditRow(writerId, sequence, event);
        previous = mac.of("kms_audit", [...valuesOf("kms_audit", added), previous]);
        return [...storedValues("kms_audit", added), previous];
      });
      await insertRows(tx.query, "kms_audit", rows);
      const next = { writer_id: writerId, sequence, head: previous };
      const after = await (present ? updateRow : insertRow)(tx.query, mac, "kms_audit_writers", next);
      tx.headChanged?.({ table: "kms_audit_writers", before: row && bytes(row.mac), after });
      const newest = { writerId, sequence, mac: previous };
      tx.afterCommit(() => {
        if (newest.sequence > (own.written?.sequence ?? 0)) own.written = newest;
        stored(newest);
      });
    },
  };
}

async function countWriter(tx: Transaction, mac: RowMac): Promise<void> {
  await tx.lock("store");
  const [row] = await tx.query("select * from kms_store");
  if (row === undefined) throw new KmsError("DATA_LOSS", "the store key is gone from the store");
  authenticated(mac, "kms_store", row, "the store key");
  await updateRow(tx.query, mac, "kms_store", { ...row, writers: Number(row.writers) + 1 });
}

function auditRow(writerId: string, sequence: number, event: AuditEvent): Row {
  return {
    writer_id: writerId,
    sequence,
    at: event.at.getTime(),
    actor: event.actor,
    action: event.action,
    tenant_id: event.tenantId,
    purpose: event.purpose ?? null,
    key_id: event.keyId,
    outcome: event.outcome,
    request_id: event.requestId,
    count: event.count,
    rule: event.rule ?? null,
    distinct_names: event.names ?? null,
    first_at: time(event.firstAt),
    detail: event.detail ?? null,
  };
}

export async function readAudit(query: Query, { tenantId, keyId, limit, after = 0 }: AuditPage): Promise<AuditRow[]> {
  const values: (string | number)[] = [after, limit];
  let where = "id > ?1";
  if (tenantId !== undefined) where += ` and tenant_id = ?${values.push(tenantId)}`;
  if (keyId !== undefined) where += ` and key_id = ?${values.push(keyId)} and key_id <> ''`;
  const rows = await query(`select * from kms_audit where ${where} order by id limit ?2`, ...values);
  return rows.map(listed);
}

/** Its own limit keeps the inner query whole: SQLite would else go through the index of all tenants. */
export async function recentTenants(query: Query, limit: number): Promise<string[]> {
  const rows = await query(
    `select tenant_id from (
       select id, tenant_id, outcome from kms_audit where id > (select max(id) from kms_audit) - ${recentRows}
       order by id desc limit ${recentRows}
     ) as newest where outcome = 'OK' and tenant_id <> '' group by tenant_id order by max(id) desc limit ?1`,
    limit,
  );
  return rows.map((row) => String(row.tenant_id));
}

/** Only verifyChains authenticates rows; here they are of the right kind, or DATA_LOSS. */
function listed(row: Row): AuditRow {
  const purpose = purposes.find((name) => name === row.purpose);
  if (purpose === undefined && row.purpose !== null) {
    throw new KmsError("DATA_LOSS", `audit row ${row.id} is not as it was written: run fluo-kms audit verify`);
  }
  return {
    id: Number(row.id),
    writerId: String(row.writer_id),
    sequence: wholeNumber(row.sequence),
    at: date(row.at) ?? new Date(0),
    actor: String(row.actor),
    action: row.action as AuditAction,
    tenantId: String(row.tenant_id),
    purpose,
    keyId: String(row.key_id),
    outcome: String(row.outcome),
    requestId: String(row.request_id),
    count: wholeNumber(row.count),
    rule: words(row.rule),
    names: row.distinct_names === null ? undefined : wholeNumber(row.distinct_names),
    firstAt: date(row.first_at),
    detail: words(row.detail),
  };
}

/** A page of the heads that are as they were written; the others have a problem of their own in verifyChains. */
export async function readHeadsOfWriters(
  query: Query,
  mac: RowMac,
  after: string,
  limit: number,
): Promise<AuditHead[]> {
  const heads: AuditHead[] = [];
  let behind = after;
  for (;;) {
    const rows = await query(
      "select * from kms_audit_writers where writer_id > ?1 order by writer_id limit ?2",
      behind,
      limit - heads.length,
    );
    heads.push(...rows.flatMap((row) => authenticHead(mac, row) ?? []));
    if (rows.length === 0) return heads;
    [behind] = onward("kms_audit_writers", [behind], [String(rows.at(-1)!.writer_id)]);
    if (heads.length === limit) return heads;
  }
}

function authenticHead(mac: RowMac, row: Row | undefined): AuditHead | undefined {
  const isWhole = row && mac.matches(row.mac, "kms_audit_writers", valuesOf("kms_audit_writers", row));
  return isWhole ? headOf(row) : undefined;
}

/** One step along the chains, by writer and sequence. */
export async function verifyChains(
  query: Query,
  mac: RowMac,
  from: AuditCursor | undefined,
  limit: number,
): Promise<AuditVerdict> {
  const isFirst = from === undefined || from.writerId === "";
  const problems: AuditProblem[] = isFirst ? await missingWriters(query, mac) : [];
  const cursor = isFirst ? await nextWriter(query, "") : from;
  if (cursor === undefined || from?.writerId === "") return { events: 0, heads: [], problems, next: cursor };
  const { writerId } = cursor;
  const report = (sequence: number, what: string) => problems.push({ writerId, sequence, what });
  if (cursor.sequence === 0)
    for (const found of await outsiders(query, writerId)) report(found, `row ${found} is outside this writer's chain`);

  const [headRow] = await query("select * from kms_audit_writers where writer_id = ?1", writerId);
  const present = authenticHead(mac, headRow);
  const head = present && (cursor.until ?? present);
  const last = head ? head.sequence : Number.MAX_SAFE_INTEGER;
  const rows = await query(
    "select * from kms_audit where writer_id = ?1 and sequence > ?2 and sequence <= ?3 order by sequence limit ?4",
    writerId,
    cursor.sequence,
    last,
    limit,
  );
  let { sequence, mac: previous } = cursor;
  for (const row of rows) {
    const found = Number(row.sequence);
    if (found !== sequence + 1) {
      report(sequence + 1, missing(sequence + 1, found - 1));
      previous = undefined;
    }
    const stored = bytes(row.mac);
    // Behind a gap the predecessor's HMAC is lost, and this row can be told only by its successor's.
    if (previous !== undefined && !mac.matches(stored, "kms_audit", [...valuesOf("kms_audit", row), previous])) {
      report(found, `row ${found} was altered`);
    }
    sequence = found;
    previous = stored;
  }
  if (rows.length === limit) {
    onward("kms_audit", [cursor.sequence], [rows.at(-1)!.sequence!]);
    return { events: rows.length, heads: [], problems, next: { writerId, sequence, mac: previous, until: head } };
  }
  if (!head) report(0, "the head of this writer is missing or was altered: a cut tail would not show");
  else if (sequence < head.sequence) report(sequence + 1, `${missing(sequence + 1, head.sequence)}: the tail was cut`);
  else if (previous !== undefined && Buffer.compare(previous, head.mac) !== 0) {
    report(sequence, `row ${sequence} is not the one that this writer wrote last`);
  }
  const heads = head !== undefined && head.sequence > 0 ? [head] : [];
  return { events: rows.length, heads, problems, next: await nextWriter(query, writerId) };
}

/** One statement, because a live writer moves its head together with its rows. With `or` it would read all of the writer's rows. */
async function outsiders(query: Query, writerId: string): Promise<number[]> {
  const rows = await query(
    `select sequence from (
       select sequence from kms_audit where writer_id = ?1 and sequence < 1
       union all
       select sequence from kms_audit where writer_id = ?1
         and sequence > (select sequence from kms_audit_writers where writer_id = ?1)
     ) as outside order by sequence limit 100`,
    writerId,
  );
  return rows.map(({ sequence }) => Number(sequence));
}

function missing(first: number, last: number): string {
  return first === last ? `row ${first} is missing` : `rows ${first} to ${last} are missing`;
}

async function nextWriter(query: Query, after: string): Promise<AuditCursor | undefined> {
  const [row] = await query(
    `select min(writer_id) as writer_id from (
       select min(writer_id) as writer_id from kms_audit_writers where writer_id > ?1
       union all select min(writer_id) from kms_audit where writer_id > ?1
     ) as writers`,
    after,
  );
  const writerId = row?.writer_id;
  if (typeof writerId !== "string") return undefined;
  onward("kms_audit_writers and kms_audit", [after], [writerId]);
  return { writerId, sequence: 0, mac: beforeFirst };
}

/**
 * One statement, because a writer is counted together with its first head. No service writes an empty id, and no page begins before it: a head
 * under it must not stand for one that was taken.
 */
async function missingWriters(query: Query, mac: RowMac): Promise<AuditProblem[]> {
  const [store] = await query(
    `select *, (select count(*) from kms_audit_writers where writer_id <> '') as heads,
       (select count(*) from kms_audit where writer_id = '') as nameless from kms_store`,
  );
  if (store === undefined) return [{ writerId: "", sequence: 0, what: "the store key is gone from the store" }];
  if (!mac.matches(store.mac, "kms_store", valuesOf("kms_store", store))) {
    return [{ writerId: "", sequence: 0, what: "the store key's row was altered" }];
  }
  const problems: AuditProblem[] = [];
  const report = (what: string) => problems.push({ writerId: "", sequence: 0, what });
  if (Number(store.writers) !== Number(store.heads))
    report(`${store.writers} writers were counted and ${store.heads} heads are here`);
  if (Number(store.nameless) > 0) report(`${store.nameless} rows name no writer`);
  return problems;
}

function headOf(row: Row): AuditHead {
  return { writerId: String(row.writer_id), sequence: Number(row.sequence), mac: bytes(row.head) };
}
