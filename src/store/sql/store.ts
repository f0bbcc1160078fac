/** A store over any database that speaks our SQL: first locked, then, with its key, whole. */
import { type RowMac, rowMac } from "./rows/mac.ts";
import { KmsError } from "../../errors.ts";
import type { Database, Query, Row } from "./rows/database.ts";
import { auditChain, newWriterId, readAudit, readHeadsOfWriters, recentTenants, verifyChains } from "./audit.ts";
import { countCommit } from "./commits.ts";
import { examination } from "../examine/examination.ts";
import { headNotes } from "../head-notes.ts";
import { sqlHeads } from "./durable-heads.ts";
import { forgiving } from "./rows/tolerant-query.ts";
import { sqlKeys } from "./keys.ts";
import { endLease, leaseFinishedAt, takeLease } from "./leases.ts";
import { sqlLogs } from "./logs.ts";
import { altered, authenticated, bytes, insertRow, keyRecord, updateRow, valuesOf } from "./rows/rows.ts";
import { finish, upgradeState } from "./upgrade/end.ts";
import { endReplica, noteReplica } from "./upgrade/replicas.ts";
import { rewritePage } from "./upgrade/old-rows.ts";
import { sqlTime } from "./witnessed-time.ts";
import { countWrappedByOthers, wrappedByOthers } from "./wrapped-under.ts";
import type { LockedStore, Store, WrappedStoreKey } from "../store.ts";

export function lockedSqlStore(name: string, db: Database): LockedStore {
  return {
    name,
    remarks: [],

    storeKey: () =>
      db.read(async (query) => {
        const row = await storeRow(query);
        if (row !== undefined) return wrappedStoreKey(row);
        if (!(await hasRecords(query))) return undefined;
        // The reads need not be of one moment: another replica may have made the key, and records, between them.
        const made = await storeRow(query);
        if (made === undefined) throw robbed();
        return wrappedStoreKey(made);
      }),

    insertStoreKey: (wrapped, key) =>
      db.write(async (tx) => {
        await tx.lock("store");
        if (await storeRow(tx.query)) return;
        if (await hasRecords(tx.query)) throw robbed();
        await insertRow(tx.query, rowMac(key), "kms_store", { ...rowOf(wrapped), id: 1, writers: 0 });
      }),

    refuseDamaged: () => db.read(async (query) => db.refuseDamaged?.(query)),

    async unlock(key) {
      const mac = rowMac(key);
      await db.read((query) => refuseForeign(query, mac));
      db.countCommits?.((query, changes) => countCommit(query, mac, changes));
      return sqlStore(name, db, mac);
    },

    close: () => db.close(),
  };
}

/** `mac` under the store key. */
export function sqlStore(name: string, db: Database, mac: RowMac): Store {
  const notes = headNotes();
  const chain = auditChain(mac, newWriterId(), notes.writer);
  return {
    name,
    ...sqlKeys(db, mac, { chain, notes }),
    ...sqlLogs(db, mac, notes),
    ...sqlTime(db, mac),
    ...examination(db, mac),
    ...sqlHeads(db, mac, { chain, notes }),
    storeKey: () => db.read(async (query) => wrappedStoreKey(await authenticStoreRow(query, mac))),
    replaceStoreKey: (present, next, by, key) =>
      db.write(async (tx) => {
        const where = { tenantId: "", purpose: undefined, keyId: "", outcome: "OK", count: 1 };
        await chain.append(tx, [{ ...where, ...by, action: "rewrap" }]); // first, because a writer's first row takes the lock too
        await tx.lock("store");
        const row = await authenticStoreRow(tx.query, mac);
        if (!isSame(wrappedStoreKey(row), present))
          throw new KmsError("CONFLICT", "the store key was changed by another");
        if (!rowMac(key).matches(row.mac, "kms_store", valuesOf("kms_store", row))) {
          throw new KmsError("DATA_LOSS", "what was wrapped is not the store key");
        }
        const { provider, providerKeyId, wrapped } = next;
        await updateRow(tx.query, mac, "kms_store", { ...row, provider, provider_key_id: providerKeyId, wrapped });
      }),
    wrappedByOthers: (should, page) => db.read((query) => wrappedByOthers(query, should, page)),
    countWrappedByOthers: (should) => countWrappedByOthers(db, should),
    lease: (lease, holder, ttlMs) => db.write((tx) => takeLease(tx, mac, { name: lease, holder, ttlMs })),
    finishLease: (fence, at) => db.write((tx) => endLease(tx, mac, fence, at)),
    leaseFinishedAt: (lease) => db.read((query) => leaseFinishedAt(query, mac, lease)),
    noteReplica: (replica) => db.write((tx) => noteReplica(tx, mac, replica)),
    endReplica: (replicaId) => db.write((tx) => endReplica(tx, mac, replicaId)),
    rewriteRows: (at) => rewritePage(db, mac, at),
    finishUpgrade: (event, since) => db.write((tx) => finish(tx, { mac, chain }, { event, since })),
    upgradeState: () => db.read(async (query) => upgradeState(query, mac, await db.now(query))),
    appendAudit: (events) => db.write((tx) => chain.append(tx, events)),
    auditEvents: (page) => db.read((query) => readAudit(query, page)),
    recentTenants: (limit) => db.read((query) => recentTenants(query, limit)),
    auditHeads: (after, limit) => db.read((query) => readHeadsOfWriters(forgiving(query), mac, after, limit)),
    verifyAudit: (from, limit) => db.read((query) => verifyChains(forgiving(query), mac, from, limit)),
    auditHead: () => db.read(chain.head),
    watch: (listener) => db.watch(listener),
    close: () => db.close(),
  };
}

async function storeRow(query: Query): Promise<Row | undefined> {
  return (await query("select * from kms_store"))[0];
}

async function authenticStoreRow(query: Query, mac: RowMac): Promise<Row> {
  const row = await storeRow(query);
  if (row === undefined) throw new KmsError("DATA_LOSS", "the store key is gone from the store");
  return authenticated(mac, "kms_store", row, "the store key");
}

function isSame(a: WrappedStoreKey, b: WrappedStoreKey): boolean {
  const by = a.provider === b.provider && a.providerKeyId === b.providerKeyId;
  return by && a.storeId === b.storeId && Buffer.compare(a.wrapped, b.wrapped) === 0;
}

async function hasRecords(query: Query): Promise<boolean> {
  const [row] = await query(
    "select 1 as present where exists (select 1 from kms_keys) or exists (select 1 from kms_audit) or exists (select 1 from kms_audit_writers)",
  );
  return row !== undefined;
}

/** A store key is made only in a store that has nothing yet: records without one were robbed of it. */
function robbed(): KmsError {
  return new KmsError("DATA_LOSS", "the store has records and no store key: restore it from a backup");
}

async function refuseForeign(query: Query, mac: RowMac): Promise<void> {
  await authenticStoreRow(query, mac);
  // A whole row of another store authenticates itself, and nothing else here.
  const [key] = await query("select * from kms_keys order by key_id limit 1");
  const [writer] = await query("select * from kms_audit_writers order by writer_id limit 1");
  const fits = [
    key && isAuthentic(() => keyRecord(mac, key)),
    writer && isAuthentic(() => authenticated(mac, "kms_audit_writers", writer, "an audit writer")),
  ].filter((each) => each !== undefined);
  if (fits.length > 0 && !fits.includes(true)) {
    throw new KmsError(
      "DATA_LOSS",
      "the store key does not fit the records: it is another store's, or they were altered",
    );
  }
}

function isAuthentic(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}

function rowOf({ storeId, provider, providerKeyId, wrapped, createdAt }: WrappedStoreKey): Row {
  const created_at = createdAt.getTime();
  return { store_id: storeId, provider, provider_key_id: providerKeyId, wrapped, created_at };
}

/** Nobody has authenticated `row`: in a damaged file it may lack any of its values. */
function wrappedStoreKey(row: Row): WrappedStoreKey {
  const { store_id, provider, provider_key_id, wrapped, created_at } = row;
  if ([store_id, provider, provider_key_id, wrapped].includes(null)) throw altered("the store key");
  return {
    storeId: String(store_id),
    provider: String(provider),
    providerKeyId: String(provider_key_id),
    wrapped: bytes(wrapped),
    createdAt: new Date(Number(created_at)),
  };
}
