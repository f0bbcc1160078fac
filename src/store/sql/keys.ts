/** Key records in SQL: the reads, and the transactions that change them together with their audit rows. */
import type { RowMac } from "./row-mac.ts";
import { KmsError } from "../../errors.ts";
import type { KeyRecord, Purpose } from "../key-record.ts";
import type { Database, Query, Row, Transaction } from "./database.ts";
import type { AuditChain } from "./audit.ts";
import { countKeys, countKeysOf } from "./counts.ts";
import { insertCompromise, proveHandover, refuseOpenLog } from "./handovers.ts";
import { holdLease } from "./leases.ts";
import { authenticated, insertRow, keyName, keyRecord, keyRow, updateRow } from "./rows.ts";
import type { Activation, ExpectedKeys, KeyPage } from "../key-store.ts";
import type { AuditEvent } from "../audit-store.ts";
import type { Store } from "../store.ts";

type RequestOf = NonNullable<Activation["request"]>;

type KeyMethods =
  | "active"
  | "get"
  | "list"
  | "lastVersion"
  | "listKeys"
  | "insertPending"
  | "activate"
  | "update"
  | "deletePending"
  | "deletePendingBefore"
  | "request"
  | "deleteRequestsBefore"
  | "due"
  | "destroyable"
  | "counts";

export function sqlKeys(db: Database, mac: RowMac, chain: AuditChain): Pick<Store, KeyMethods> {
  const records = async (query: Query, where: string, ...values: (string | number)[]) =>
    (await query(`select * from kms_keys where ${where}`, ...values)).map((row) => keyRecord(mac, row));

  async function active(query: Query, tenantId: string, purpose: Purpose): Promise<KeyRecord | undefined> {
    const [record] = await records(query, "tenant_id = ?1 and purpose = ?2 and state = 'ACTIVE'", tenantId, purpose);
    return record;
  }

  async function get(query: Query, tenantId: string, keyId: string): Promise<KeyRecord | undefined> {
    const look = () => records(query, "key_id = ?1 and tenant_id = ?2", keyId, tenantId);
    const born = () => wasBorn(query, tenantId, "key_id = ?2", keyId);
    const [record] = await unlessLost(look, born, `the record of key ${keyId} is gone from the store: restore it`);
    return record;
  }

  async function versions(query: Query, tenantId: string, purpose: Purpose): Promise<KeyRecord[]> {
    const where = "tenant_id = ?1 and purpose = ?2 and version > 0 order by version";
    const look = () => records(query, where, tenantId, purpose);
    return unlessLost(look, () => wasBorn(query, tenantId, "purpose = ?2", purpose), keysAreGone(tenantId, purpose));
  }

  async function activate(tx: Transaction, activation: Activation): Promise<KeyRecord> {
    const { tenantId, purpose, keyId, at, expect, request, fence, outgoing, handover } = activation;
    await tx.lock(`key/${tenantId}/${purpose}`);
    if (fence) await holdLease(tx, mac, fence);
    if (request) await refuseRepeated(tx.query, activation, request);
    const [pending] = await records(tx.query, "key_id = ?1 and tenant_id = ?2", keyId, tenantId);
    if (pending?.state !== "PENDING" || pending.purpose !== purpose) throw conflict(`key ${keyId} is not pending`);
    const present = await active(tx.query, tenantId, purpose);
    // Where no key is ACTIVE every record is read, so that a damaged one cannot pass for a retired or absent one.
    const last = present
      ? await lastVersion(tx.query, tenantId, purpose)
      : ((await versions(tx.query, tenantId, purpose)).at(-1)?.version ?? 0);
    refuseUnexpected(last, present, expect);

    const retired = present && retire(present, at, outgoing);
    const record: KeyRecord = { ...pending, state: "ACTIVE", version: last + 1, activatedAt: at };
    if (retired) await updateRow(tx.query, mac, "kms_keys", keyRow(retired));
    await updateRow(tx.query, mac, "kms_keys", keyRow(record));
    if (present && retired) await noteCompromise(tx.query, present, retired);
    if (handover === "no-log") await refuseOpenLog(tx, mac, tenantId);
    else if (handover) await proveHandover(tx.query, mac, handover);
    if (request) {
      const row = { tenant_id: tenantId, request_id: request.requestId, key_id: keyId, digest: request.digest };
      await insertRow(tx.query, mac, "kms_requests", {
        ...row,
        retired_key_id: present?.keyId ?? null,
        at: at.getTime(),
      });
    }
    await chain.append(tx, eventsOf(activation, record, retired));
    if (retired) await tx.announce(retired);
    await tx.announce(record);
    return record;
  }

  /** Whoever verifies must know how far the tenant's log went when its key was marked. */
  async function noteCompromise(query: Query, before: KeyRecord, after: KeyRecord): Promise<void> {
    const isMarked = before.compromisedAt === undefined && after.compromisedAt !== undefined;
    if (isMarked && after.purpose === "signing") await insertCompromise(query, mac, after);
  }

  /** One request makes one key of a purpose: a replica that is late, and meets the key that it made, must not replace that one. */
  async function refuseRepeated(query: Query, { tenantId, purpose }: Activation, request: RequestOf): Promise<void> {
    const { requestId, digest } = request;
    const rows = await requestRows(query, tenantId, requestId);
    if (rows.some((row) => row.digest !== digest)) {
      throw new KmsError("REQUEST_ID_REUSED", `request_id ${requestId} was used with another body`);
    }
    for (const row of rows) {
      const made = await get(query, tenantId, String(row.key_id));
      if (made?.purpose === purpose) throw conflict(`request_id ${requestId} has made key ${made.keyId}`);
    }
  }

  async function requestRows(query: Query, tenantId: string, requestId: string): Promise<Row[]> {
    const rows = await query(
      "select * from kms_requests where tenant_id = ?1 and request_id = ?2 order by at, key_id",
      tenantId,
      requestId,
    );
    return rows.map((row) => authenticated(mac, "kms_requests", row, "a remembered request"));
  }

  return {
    active: (tenantId, purpose) => db.read((query) => active(query, tenantId, purpose)),
    get: (tenantId, keyId) => db.read((query) => get(query, tenantId, keyId)),
    list: (tenantId, purpose) => db.read((query) => versions(query, tenantId, purpose)),
    lastVersion: (tenantId, purpose) => db.read((query) => lastVersion(query, tenantId, purpose)),
    listKeys: (page) =>
      db.read((query) => listPage(query, page)).then((rows) => rows.map((row) => keyRecord(mac, row))),

    insertPending: (record) =>
      db.write(({ query }) => insertRow(query, mac, "kms_keys", keyRow({ ...record, state: "PENDING", version: 0 }))),

    activate: (activation) => db.write((tx) => activate(tx, activation)),

    async update(present, next, { action, at, actor, requestId }) {
      const { tenantId, purpose, version, keyId, publicKey, createdAt } = present;
      const record: KeyRecord = { ...next, tenantId, purpose, version, keyId, publicKey, createdAt };
      await db.write(async (tx) => {
        await tx.lock(`key/${tenantId}/${purpose}`);
        const [stored] = await records(tx.query, "key_id = ?1 and tenant_id = ?2", keyId, tenantId);
        if (stored === undefined || stored.state === "PENDING" || !isSame(mac, stored, present)) {
          throw conflict(`key ${keyId} was changed by another`);
        }
        await updateRow(tx.query, mac, "kms_keys", keyRow(record));
        await noteCompromise(tx.query, stored, record);
        if (record.state === "DESTROYED") await tx.erases();
        const event = { at, actor, action, tenantId, purpose, keyId, outcome: "OK", requestId, count: 1 };
        await chain.append(tx, [event]);
        await tx.announce(record);
      });
      // The change is stored; a scrub that fails is tried again by the store itself.
      if (record.state === "DESTROYED") await db.scrub(present.wrapped).catch(() => {});
    },

    async deletePending(tenantId, keyId) {
      const statement = "delete from kms_keys where key_id = ?1 and tenant_id = ?2 and state = 'PENDING'";
      await db.write(({ query }) => query(statement, keyId, tenantId));
    },

    async deletePendingBefore(before) {
      const statement = "delete from kms_keys where state = 'PENDING' and created_at < ?1 returning key_id";
      return (await db.write(({ query }) => query(statement, before.getTime()))).length;
    },

    async request(tenantId, requestId) {
      const rows = await db.read((query) => requestRows(query, tenantId, requestId));
      const [first] = rows;
      if (first === undefined) return undefined;
      const activated = rows.map((row) => ({
        keyId: String(row.key_id),
        retiredKeyId: row.retired_key_id === null ? undefined : String(row.retired_key_id),
      }));
      return { requestId, digest: String(first.digest), activated };
    },

    async deleteRequestsBefore(before) {
      const statement = "delete from kms_requests where at < ?1 returning key_id";
      return (await db.write(({ query }) => query(statement, before.getTime()))).length;
    },

    due: (before, limit, purpose) =>
      db.read(async (query) => {
        const where = `state = 'ACTIVE' and activated_at < ?1${purpose ? " and purpose = ?2" : ""}`;
        const values = purpose ? [before.getTime(), purpose] : [before.getTime()];
        const [count] = await query(`select count(*) as total from kms_keys where ${where}`, ...values);
        const rows = await query(
          `select tenant_id, purpose, key_id from kms_keys where ${where} order by activated_at limit ?${values.length + 1}`,
          ...values,
          limit,
        );
        return { keys: rows.map(keyName), total: Number(count?.total) };
      }),

    async destroyable(at, limit) {
      const where = "state = 'DESTROY_SCHEDULED' and destroy_at <= ?1 order by destroy_at limit ?2";
      const rows = await db.read((query) =>
        query(`select tenant_id, purpose, key_id from kms_keys where ${where}`, at.getTime(), limit),
      );
      return rows.map(keyName);
    },

    counts: (tenantId) => (tenantId === undefined ? countKeys(db) : db.read((query) => countKeysOf(query, tenantId))),
  };
}

function conflict(message: string): KmsError {
  return new KmsError("CONFLICT", message);
}

async function lastVersion(query: Query, tenantId: string, purpose: Purpose): Promise<number> {
  const where = "tenant_id = ?1 and purpose = ?2 and version > 0 order by version desc limit 1";
  const look = () => query(`select version from kms_keys where ${where}`, tenantId, purpose);
  const born = () => wasBorn(query, tenantId, "purpose = ?2", purpose);
  const [row] = await unlessLost(look, born, keysAreGone(tenantId, purpose));
  return Number(row?.version ?? 0);
}

/**
 * DATA_LOSS where a look finds nothing of what the audit trail knows: a tenant whose records were removed or renamed must not get a new
 * first key as if nothing had been. The reads need not be of one moment: what was born between them is found by a second look.
 */
async function unlessLost<T>(look: () => Promise<T[]>, wasBorn: () => Promise<boolean>, loss: string): Promise<T[]> {
  const found = await look();
  if (found.length > 0 || !(await wasBorn())) return found;
  const again = await look();
  if (again.length === 0) throw new KmsError("DATA_LOSS", loss);
  return again;
}

function keysAreGone(tenantId: string, purpose: Purpose): string {
  return `the ${purpose} keys of tenant ${tenantId} are gone from the store: restore them`;
}

async function wasBorn(query: Query, tenantId: string, condition: string, value: string): Promise<boolean> {
  const rows = await query(
    `select 1 as born from kms_audit where tenant_id = ?1 and ${condition}
       and purpose in ('data', 'signing') and action in ('create', 'rotate') and outcome = 'OK' limit 1`,
    tenantId,
    value,
  );
  return rows.length > 0;
}

function refuseUnexpected(last: number, present: KeyRecord | undefined, expect: ExpectedKeys): void {
  if (expect === "no-version" && last > 0) throw conflict("the tenant has a key");
  const expected = typeof expect === "object" ? expect.active : undefined;
  if (present?.keyId !== expected) throw conflict(`the active key is ${present?.keyId ?? "absent"}`);
}

function retire(record: KeyRecord, at: Date, outgoing: Activation["outgoing"]): KeyRecord {
  if (outgoing === undefined) return { ...record, state: "RETIRED", retiredAt: at };
  return { ...record, state: outgoing, previousState: record.state, retiredAt: at, compromisedAt: at };
}

function eventsOf({ by, at }: Activation, record: KeyRecord, retired: KeyRecord | undefined): AuditEvent[] {
  const event = (action: AuditEvent["action"], { tenantId, purpose, keyId }: KeyRecord): AuditEvent => {
    return { at, ...by, action, tenantId, purpose, keyId, outcome: "OK", count: 1 };
  };
  const birth = event(record.version === 1 ? "create" : "rotate", record);
  if (retired === undefined) return [birth];
  return [event(retired.state === "COMPROMISED" ? "mark_compromised" : "retire", retired), birth];
}

/** Whole records are compared by what their HMACs cover. */
function isSame(mac: RowMac, a: KeyRecord, b: KeyRecord): boolean {
  const [one, other] = [a, b].map((record) => mac.of("kms_keys", Object.values(keyRow(record))));
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
