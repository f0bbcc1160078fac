/** Key records in SQL: the reads, and the transactions that change them together with their audit rows. */
import { KmsError } from "../../errors.ts";
import type { KeyRecord, Purpose } from "../key-record.ts";
import type { HeadNotes } from "../head-notes.ts";
import type { DestructionDue, KeyName, KeyPage, KeyPart, KeyStore } from "../key-store.ts";
import { activateKey } from "./activation.ts";
import { allPages, pageRows } from "./all-pages.ts";
import type { AuditChain } from "./audit.ts";
import { countKeys, countKeysOf } from "./counts.ts";
import type { Database, Query, Row, Transaction } from "./rows/database.ts";
import { noteCompromise } from "./handovers.ts";
import { type KeyLookups, keyLookups } from "./key-lookups.ts";
import { rememberedRequest } from "./requests.ts";
import type { RowMac } from "./rows/mac.ts";
import { insertRow, keyName, keyRecord, keyRow, updateRow, valuesOf } from "./rows/rows.ts";
import { requireWitnessed } from "./witnessed-time.ts";

export function sqlKeys(
  db: Database,
  mac: RowMac,
  { chain, notes }: { chain: AuditChain; notes: HeadNotes },
): Omit<KeyStore, "wrappedByOthers" | "countWrappedByOthers" | "watch"> {
  const look = keyLookups(mac);

  return {
    active: (tenantId, purpose) => db.read((query) => look.active(query, tenantId, purpose)),
    get: (tenantId, keyId) => db.read((query) => look.get(query, tenantId, keyId)),
    list: (tenantId, purpose) =>
      allPages<KeyRecord>(
        db,
        (query, last) => look.versions(query, tenantId, purpose, { after: last?.version ?? 0, limit: pageRows }),
        { what: "kms_keys", placeOf: ({ version }) => [version] },
      ),
    lastVersion: (tenantId, purpose) => db.read((query) => look.lastVersion(query, tenantId, purpose)),
    listKeys: (page) =>
      db.read((query) => listPage(query, page)).then((rows) => rows.map((row) => keyRecord(mac, row))),
    due: (before, limit, purpose) => db.read((query) => dueKeys(query, { before, limit, purpose })),
    destructionRequests: (page) => db.read((query) => requestedDestructions(query, mac, page)),
    destroyable: (due, limit) => db.read((query) => destroyableKeys(query, due, limit)),
    destructionsWaiting: (limit) => db.read((query) => waitingDestructions(query, mac, limit)),
    unwitnessedDestructions: (afterMs, limit) => db.read((query) => unwitnessedKeys(query, afterMs, limit)),
    counts: (tenantId) => (tenantId === undefined ? countKeys(db) : db.read((query) => countKeysOf(query, tenantId))),

    async insertPending(record) {
      const row = keyRow({ ...record, state: "PENDING", version: 0 });
      await db.write(({ query }) => insertRow(query, mac, "kms_keys", row));
    },

    activate: (activation) => db.write((tx) => activateKey(tx, { mac, chain, look, notes }, activation)),

    async update(present, next, { action, at, actor, requestId, rule, leastWitnessedMs }) {
      const { tenantId, purpose, version, keyId, publicKey, createdAt } = present;
      const record: KeyRecord = { ...next, tenantId, purpose, version, keyId, publicKey, createdAt };
      await db.write(async (tx) => {
        const stored = await stillPresent(tx, { mac, look }, present);
        if (leastWitnessedMs !== undefined) await requireWitnessed(tx.query, mac, leastWitnessedMs);
        await updateRow(tx.query, mac, "kms_keys", keyRow(record));
        await noteCompromise(tx.query, mac, { before: stored, after: record });
        if (record.state === "DESTROYED") await tx.erases();
        const event = { at, actor, action, tenantId, purpose, keyId, outcome: "OK", requestId, count: 1, rule };
        await chain.append(tx, [event]);
        await tx.announce(record);
        tx.afterCommit(() => notes.key(record));
      });
      // The change is stored; a scrub that fails is tried again by the store itself.
      if (record.state === "DESTROYED") await db.scrub(present.wrapped).catch(() => {});
    },

    // No state changes, so that nobody is told and the trail has no row.
    setDestroyWait: (present, destroyWait) =>
      db.write(async (tx) => {
        const stored = await stillPresent(tx, { mac, look }, present);
        if (stored.state !== "DESTROY_SCHEDULED") throw new KmsError("CONFLICT", `key ${stored.keyId} is kept`);
        await updateRow(tx.query, mac, "kms_keys", keyRow({ ...stored, destroyWait }));
      }),

    async deletePending(tenantId, keyId) {
      const statement = "delete from kms_keys where key_id = ?1 and tenant_id = ?2 and state = 'PENDING'";
      await db.write(({ query }) => query(statement, keyId, tenantId));
    },

    async deletePendingBefore(before) {
      const statement = "delete from kms_keys where state = 'PENDING' and created_at < ?1 returning key_id";
      return (await db.write(({ query }) => query(statement, before.getTime()))).length;
    },

    request: (tenantId, requestId) => db.read((query) => rememberedRequest(query, mac, tenantId, requestId)),

    async deleteRequestsBefore(before) {
      const statement = "delete from kms_requests where at < ?1 returning key_id";
      return (await db.write(({ query }) => query(statement, before.getTime()))).length;
    },
  };
}

/** The stored record, which nobody else changes until the transaction ends. CONFLICT if it is not `present`. */
async function stillPresent(
  tx: Transaction,
  { mac, look }: { mac: RowMac; look: KeyLookups },
  present: KeyRecord,
): Promise<KeyRecord> {
  const { tenantId, purpose, keyId } = present;
  await tx.lock(`key/${tenantId}/${purpose}`);
  const stored = await look.find(tx.query, tenantId, keyId);
  if (stored !== undefined && stored.state !== "PENDING" && isSame(mac, stored, present)) return stored;
  throw new KmsError("CONFLICT", `key ${keyId} was changed by another`);
}

function isAuthentic(mac: RowMac, row: Row): boolean {
  return mac.matches(row.mac, "kms_keys", valuesOf("kms_keys", row));
}

/** Whole records are compared by what their HMACs cover. */
function isSame(mac: RowMac, a: KeyRecord, b: KeyRecord): boolean {
  const [one, other] = [a, b].map((record) => mac.of("kms_keys", valuesOf("kms_keys", keyRow(record))));
  return Buffer.compare(one!, other!) === 0;
}

async function listPage(query: Query, { tenantId, purpose, state, limit, after }: KeyPage): Promise<Row[]> {
  const values: (string | number)[] = [limit];
  const conditions = ["version > 0"];
  const is = (column: string, value: string | undefined) => {
    if (value !== undefined) conditions.push(`${column} = ?${values.push(value)}`);
  };
  is("tenant_id", tenantId);
  is("purpose", purpose);
  is("state", state);
  if (after) {
    const places = [after.tenantId, after.purpose, after.version].map((value) => `?${values.push(value)}`);
    conditions.push(`(tenant_id, purpose, version) > (${places.join(", ")})`);
  }
  const where = conditions.join(" and ");
  return query(`select * from kms_keys where ${where} order by tenant_id, purpose, version limit ?1`, ...values);
}

async function dueKeys(
  query: Query,
  { before, limit, purpose }: { before: Date; limit: number; purpose: Purpose | undefined },
): Promise<{ keys: KeyName[]; total: number }> {
  const where = `state = 'ACTIVE' and activated_at < ?1${purpose ? " and purpose = ?2" : ""}`;
  const values = purpose ? [before.getTime(), purpose] : [before.getTime()];
  const [count] = await query(`select count(*) as total from kms_keys where ${where}`, ...values);
  const rows = await query(
    `select tenant_id, purpose, key_id from kms_keys where ${where} order by activated_at limit ?${values.length + 1}`,
    ...values,
    limit,
  );
  return { keys: rows.map(keyName), total: Number(count?.total) };
}

async function requestedDestructions(
  query: Query,
  mac: RowMac,
  { after, until, limit }: { after: Date; until: Date; limit: number },
): Promise<KeyPart> {
  const where = "destroy_requested_at > ?1 and destroy_requested_at <= ?2";
  const times = [after.getTime(), until.getTime()];
  const [count] = await query(`select count(*) as total from kms_keys where ${where}`, ...times);
  const total = Number(count?.total);
  if (total === 0) return { records: [], total };
  const text = `select * from kms_keys where ${where} order by destroy_requested_at limit ?3`;
  const rows = await query(text, ...times, limit);
  return { records: rows.filter((row) => isAuthentic(mac, row)).map((row) => keyRecord(mac, row)), total };
}

/** When a wait is over, by witnessed time. An index has it. */
const waitEnd = "(destroy_witnessed + destroy_wait)";
const scheduled = "state = 'DESTROY_SCHEDULED'";

async function destroyableKeys(
  query: Query,
  { at, endedMs, longEndedMs }: DestructionDue,
  limit: number,
): Promise<KeyName[]> {
  const where = `${scheduled} and ${waitEnd} <= ?1 and (destroy_at <= ?2 or ${waitEnd} <= ?3)`;
  const text = `select tenant_id, purpose, key_id from kms_keys where ${where} order by ${waitEnd} limit ?4`;
  return (await query(text, endedMs, at.getTime(), longEndedMs, limit)).map(keyName);
}

async function unwitnessedKeys(query: Query, afterMs: number, limit: number): Promise<KeyName[]> {
  const where = `${scheduled} and (${waitEnd} is null or ${waitEnd} > ?1)`;
  const text = `select tenant_id, purpose, key_id from kms_keys where ${where} limit ?2`;
  return (await query(text, afterMs, limit)).map(keyName);
}

async function waitingDestructions(query: Query, mac: RowMac, limit: number): Promise<KeyPart> {
  const [count] = await query(`select count(*) as total from kms_keys where ${scheduled}`);
  const total = Number(count?.total);
  if (total === 0) return { records: [], total };
  const order = `${waitEnd} nulls last`;
  const rows = await query(`select * from kms_keys where ${scheduled} order by ${order} limit ?1`, limit);
  return { records: rows.filter((row) => isAuthentic(mac, row)).map((row) => keyRecord(mac, row)), total };
}
