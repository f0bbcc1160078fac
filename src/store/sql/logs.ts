/** The logs of spans in SQL. A group is one transaction, and begins with the compare-and-set of the head: who loses it has written nothing. */
import type { RowMac } from "./rows/mac.ts";
import { KmsError } from "../../errors.ts";
import type { HeadNotes } from "../head-notes.ts";
import type { LogAppend, LogCompromise, LogHandover, LogHead, LogName, LogRequest, LogStore } from "../log-store.ts";
import type { Database, Query, Transaction } from "./rows/database.ts";
import { allPages } from "./all-pages.ts";
import { lockLogs, readCompromises, readHandovers } from "./handovers.ts";
import { leastNumber } from "./ended-logs.ts";
import { headRow, readHead, readHeads } from "./heads.ts";
import { insertChunks, readEntries, readHashes } from "./tile-chunks.ts";
import { authenticated, bytes, date, insertRow, insertRows, valuesOf } from "./rows/rows.ts";

const secondMs = 1000;

export function sqlLogs(db: Database, mac: RowMac, notes: HeadNotes): LogStore {
  return {
    logHead: (tenantId, number) =>
      db.read((query) => readHead(query, mac, number === undefined ? { tenantId } : { tenantId, number })),
    logHeads: (tenantId) => db.read((query) => readHeads(query, mac, tenantId)),
    nextLogNumber: (tenantId) =>
      db.read(async (query) => nextNumber(query, mac, await readHead(query, mac, { tenantId }))),
    createLog: (head) =>
      db.write(async (tx) => {
        await create(tx, mac, head);
        tx.afterCommit(() => notes.log(head));
      }),
    appendLog: (group) => db.write((tx) => appendGroup(tx, { mac, notes }, group)),
    logRequest: (log, requestId) => db.read((query) => readRequest(query, mac, log, requestId)),

    async deleteLogRequestsBefore(before) {
      const statement = "delete from kms_log_requests where signed_at < ?1 returning request_id";
      return (await db.write(({ query }) => query(statement, before.getTime()))).length;
    },

    logHashes: (log, tileLevel, tile) => db.read((query) => readHashes(query, log, tileLevel, tile)),
    logEntries: (log, bundle) => db.read((query) => readEntries(query, log, bundle)),
    logHandovers: (tenantId) =>
      allPages<LogHandover>(db, (query, last) => readHandovers(query, mac, tenantId, last), {
        what: "kms_log_handovers",
        placeOf: ({ number, index }) => [number, index],
      }),
    logCompromises: (tenantId) =>
      allPages<LogCompromise>(db, (query, last) => readCompromises(query, mac, tenantId, last), {
        what: "kms_log_compromises",
        placeOf: ({ keyId }) => [keyId],
      }),
  };
}

async function create(tx: Transaction, mac: RowMac, head: LogHead): Promise<void> {
  const { tenantId, number } = head;
  await lockLogs(tx, tenantId);
  const last = await readHead(tx.query, mac, { tenantId });
  if (last?.state === "open") throw new KmsError("CONFLICT", `log ${last.number} of tenant ${tenantId} is open`);
  const next = await nextNumber(tx.query, mac, last);
  if (number !== next) throw new KmsError("CONFLICT", `the next log of tenant ${tenantId} is ${next}, not ${number}`);
  const after = await insertRow(tx.query, mac, "kms_logs", headRow(head));
  tx.headChanged?.({ table: "kms_logs", before: undefined, after });
}

async function nextNumber(query: Query, mac: RowMac, last: LogHead | undefined): Promise<number> {
  const [row] = await query("select max(at) as at from kms_audit where action = 'restore'");
  const restoredAt = date(row?.at)?.getTime() ?? 0;
  return Math.max((last?.number ?? 0) + 1, Math.floor(restoredAt / secondMs), await leastNumber(query, mac));
}

/** See LogStore.appendLog. The head's row is locked from here on: a transaction takes the lock of keys, if it does, before. */
export async function appendGroup(
  tx: Transaction,
  { mac, notes }: { mac: RowMac; notes: HeadNotes },
  group: LogAppend,
): Promise<void> {
  const { query } = tx;
  const { expect, next, requests } = group;
  const before = tx.headChanged && (await macOfHead(query, expect));
  const after = mac.of("kms_logs", valuesOf("kms_logs", headRow({ ...expect, ...next, state: "open" })));
  const updated = await query(
    `update kms_logs set size = ?3, root = ?4, frontier = ?5, changed_at = ?6, mac = ?7
     where tenant_id = ?1 and number = ?2 and size = ?8 and root = ?9 and state = 'open' returning number`,
    expect.tenantId,
    expect.number,
    next.size,
    next.root,
    next.frontier,
    next.changedAt.getTime(),
    after,
    expect.size,
    expect.root,
  );
  if (updated.length !== 1) throw new KmsError("CONFLICT", "the log is not at that head any more");
  tx.headChanged?.({ table: "kms_logs", before, after });
  await insertChunks(tx, group);
  const rows = requests.map((request) => {
    const values = valuesOf("kms_log_requests", requestRow(expect, request));
    return [...values, mac.of("kms_log_requests", values)];
  });
  await insertRows(query, "kms_log_requests", rows);
  tx.afterCommit(() => notes.log({ ...expect, ...next }));
}

async function macOfHead(query: Query, { tenantId, number }: LogName): Promise<Uint8Array | undefined> {
  const [row] = await query("select mac from kms_logs where tenant_id = ?1 and number = ?2", tenantId, number);
  return row && bytes(row.mac);
}

function requestRow({ tenantId, number }: LogName, request: LogRequest) {
  return {
    tenant_id: tenantId,
    number,
    request_id: request.requestId,
    digest: request.digest,
    first_index: request.firstIndex,
    count: request.count,
    signed_at: request.signedAt.getTime(),
  };
}

async function readRequest(
  query: Query,
  mac: RowMac,
  { tenantId, number }: LogName,
  requestId: string,
): Promise<LogRequest | undefined> {
  const [row] = await query(
    "select * from kms_log_requests where tenant_id = ?1 and number = ?2 and request_id = ?3",
    tenantId,
    number,
    requestId,
  );
  if (row === undefined) return undefined;
  authenticated(mac, "kms_log_requests", row, "a remembered batch");
  return {
    requestId: String(row.request_id),
    digest: String(row.digest),
    firstIndex: Number(row.first_index),
    count: Number(row.count),
    signedAt: new Date(Number(row.signed_at)),
  };
}
