/**
 * The tables of a store, below its contract: for commands that take a store whole, while the service may be using it. What reads them
 * reads of one moment.
 */
import { type KeyObject, randomBytes } from "node:crypto";
import { type RowMac, rowMac, unverified } from "../sql/rows/mac.ts";
import { KmsError } from "../../errors.ts";
import type { HeadsReader } from "../heads-store.ts";
import type { KeyRecord } from "../key-record.ts";
import type { LogName } from "../log-store.ts";
import type { Database, Query, Row } from "../sql/rows/database.ts";
import { auditChain } from "../sql/audit.ts";
import { type BackupOptions, writeBackup } from "./backup-file.ts";
import { type CheckedRows, checkRows } from "./check-rows.ts";
import { alterations, type RowCheck, type RowProblem } from "../row-problem.ts";
import { type Contents, contentOf, copyRows, insertCopies } from "./copy.ts";
import { type RowCounts, rowCounts } from "./row-counts.ts";
import { forgiving } from "../sql/rows/tolerant-query.ts";
import { endedRow } from "../sql/ended-logs.ts";
import { headOf } from "../sql/heads.ts";
import { readHashes } from "../sql/tile-chunks.ts";
import { authenticated, keyRecord } from "../sql/rows/rows.ts";
import { isAccepted, standingOf } from "../sql/noted-heads.ts";
import { type Dialect, newestSchema } from "../sql/rows/schema.ts";
import { readSchema, refuseOthers } from "../sql/upgrade/migration.ts";
import { lockedSqlStore } from "../sql/store.ts";
import { onward } from "../sql/rows/walk.ts";
import { type OperatorNotes, readNotes } from "./operator-notes.ts";
import { type StoredLog, storedLogs } from "./stored-logs.ts";
import type { AuditEvent } from "../audit-store.ts";
import type { LogExamination } from "../sqlite/ready-log.ts";
import type { WrappedStoreKey } from "../store.ts";

export interface Tables {
  /** The name in `fluo.kms.store`. */
  readonly name: string;
  /** What was seen in the write-ahead log before it was opened; undefined for a database that has none of ours. */
  readonly log?: LogExamination;
  /** Undefined in a store that nothing was written to. DATA_LOSS where there are records and no store key. */
  storeKey(): Promise<WrappedStoreKey | undefined>;
  /** Writes a backup to a new file, needing no key. CONFLICT where the file exists. */
  backUp(file: string, options?: BackupOptions): Promise<Contents>;
  /** How much there is to copy and to check, for who watches that: the store may be in use meanwhile. */
  rowCounts(): Promise<RowCounts>;
  /** Tells of every problem that rows show. DATA_LOSS where the store key's own row is not `key`'s. */
  check(key: KeyObject, check: RowCheck): Promise<CheckedRows>;
  /** Every log whose head is authentic, of one moment, one after the other: each is read while `visit` runs. */
  logs(key: KeyObject, visit: (log: StoredLog) => Promise<void>): Promise<void>;
  /** The hashes that a tile has so far, see LogStore. */
  logHashes(log: LogName, tileLevel: number, tile: number): Promise<Uint8Array>;
  /** A tenant's signing keys that were ever ACTIVE. DATA_LOSS where one is not authentic. */
  signingKeys(key: KeyObject, tenantId: string): Promise<KeyRecord[]>;
  /** A page of records by id, behind `after`; those that are not authentic are left out. */
  records(key: KeyObject, page: RecordPage): Promise<{ records: KeyRecord[]; next: string | undefined }>;
  /** The reads that judge the store by its heads file; without a key they authenticate nothing. */
  heads(key: KeyObject | undefined): HeadsReader;
  /** What operators and replicas noted, of one moment. DATA_LOSS where a note is not authentic. */
  notes(key: KeyObject): Promise<OperatorNotes>;
  /** Whether the audit trail has a row of the tenant. It needs no key, and authenticates nothing. */
  hasAuditOf(tenantId: string): Promise<boolean>;
  /** In words; undefined for an empty store. */
  content(): Promise<string | undefined>;
  /**
   * Fills this store, which must be empty, with another's rows, in one transaction with the audit row `event`. DATA_LOSS where a row of
   * the other is not as it was written, with `problem` told of each; CONFLICT where this store is not empty. Logs end, unless they go on.
   */
  restore(from: Tables, restoration: Restoration): Promise<Contents>;
  snapshot: Snapshot;
  close(): Promise<void>;
}

/** Runs reads of one moment. */
export type Snapshot = <T>(work: (query: Query) => Promise<T>) => Promise<T>;

export function snapshotsOf(db: Database, { beginSnapshot }: TableDialect): Snapshot {
  return (work) =>
    db.read(async (query) => {
      await query(beginSnapshot);
      try {
        return await work(query);
      } finally {
        await query("rollback").catch(() => {}); // the connection is lost, and `work` said so
      }
    });
}

export interface RecordPage {
  after: string;
  limit: number;
}

export interface Restoration extends RowCheck {
  /** Called with the number of rows written so far. */
  copied?(rows: number): void;
  /** Called with the number of written rows that were compared with the backup so far. */
  compared?(rows: number): void;
  key: KeyObject;
  event: AuditEvent;
  /** Whether all that the log ever was is in the backup: else nothing may be appended to it. */
  goesOn(log: LogName): boolean;
}

/** How a database spells what the two spell differently. */
export interface TableDialect extends Pick<Dialect, "hasSchema"> {
  /** Begins a transaction that sees one moment. */
  beginSnapshot: string;
  /** STORE_UNAVAILABLE for a database that is a backup: another would take its place among those that are kept. */
  refuseBackup?(query: Query): Promise<void>;
}

const writerIdBytes = 16;

/** STORE_UNAVAILABLE where the database has no schema of ours, or another version's. */
export async function sqlTables(name: string, db: Database, dialect: TableDialect): Promise<Tables> {
  const snapshot = snapshotsOf(db, dialect);
  await snapshot((query) => refuseOtherSchema(name, query, dialect));

  return {
    name,
    storeKey: () => lockedSqlStore(name, db).storeKey(),
    async backUp(file, options) {
      await db.read(async (query) => dialect.refuseBackup?.(query));
      return snapshot((query) => writeBackup(query, file, options));
    },
    rowCounts: () => db.read(rowCounts),
    check: (key, check) => snapshot((query) => checkAll(query, key, check)),
    content: () => snapshot(contentOf),

    heads: (key) => headsReader(snapshot, db, key),

    notes: (key) => snapshot(async (query) => readNotes(query, rowMac(key), await db.now(query))),

    async hasAuditOf(tenantId) {
      const rows = await db.read((query) => query("select 1 from kms_audit where tenant_id = ?1 limit 1", tenantId));
      return rows.length > 0;
    },

    async signingKeys(key, tenantId) {
      const text = "select * from kms_keys where tenant_id = ?1 and purpose = 'signing' and version > 0";
      const rows = await db.read((query) => query(text, tenantId));
      return rows.map((row) => keyRecord(rowMac(key), row));
    },

    async records(key, { after, limit }) {
      const mac = rowMac(key);
      const text = "select * from kms_keys where key_id > ?1 order by key_id limit ?2";
      const rows = await db.read((query) => forgiving(query)(text, after, limit));
      const records = rows.flatMap((row) => {
        try {
          return [keyRecord(mac, row)];
        } catch {
          return []; // `check` names it
        }
      });
      if (rows.length < limit) return { records, next: undefined };
      const [next] = onward("kms_keys", [after], [String(rows.at(-1)!.key_id)]);
      return { records, next };
    },

    logs: (key, visit) =>
      snapshot(async (query) => {
        for await (const log of storedLogs(forgiving(query), rowMac(key))) await visit(log);
      }),

    logHashes: (log, tileLevel, tile) => db.read((query) => readHashes(query, log, tileLevel, tile)),

    restore: (from, { key, event, goesOn, copied, compared, ...check }) =>
      from.snapshot(async (query) => {
        const told = await refuseAltered(query, key, check);
        return db.write(async (tx) => {
          await tx.lock("store");
          const content = await contentOf(tx.query);
          if (content !== undefined) throw new KmsError("CONFLICT", `the store is not empty: it has ${content}`);
          const mac = rowMac(key);
          const contents = await copyRows(query, (table, rows) => insertCopies(tx.query, table, rows), {
            become: (row) => restoredHead(mac, row, goesOn),
            copied,
          });
          const chain = auditChain(mac, randomBytes(writerIdBytes).toString("hex"));
          await chain.append(tx, [event]);
          await refuseOtherwise(tx.query, key, { told, progress: compared });
          return contents;
        });
      }),

    snapshot,
    close: () => db.close(),
  };
}

/** Reads a store's standing to its heads file in transactions of one moment each. */
export function headsReader(snapshot: Snapshot, db: Database, key: KeyObject | undefined): HeadsReader {
  const mac = key === undefined ? unverified : rowMac(key);
  return {
    standing: (noted) => snapshot((query) => standingOf(query, mac, noted)),
    acceptsHeads: (sha256) => snapshot((query) => isAccepted(query, mac, sha256)),
    refuseDamaged: () => snapshot(async (query) => db.refuseDamaged?.(query)),
  };
}

/** What a log had after the backup was made is not known, and may be known to others: an entry in its place would contradict it. */
function restoredHead(mac: RowMac, row: Row, goesOn: (log: LogName) => boolean): Row {
  const head = headOf(mac, row);
  return head.state !== "open" || goesOn(head) ? row : endedRow(mac, head);
}

async function checkAll(query: Query, key: KeyObject, check: RowCheck): Promise<CheckedRows> {
  const mac = rowMac(key);
  const [row] = await query("select * from kms_store");
  if (row === undefined) throw new KmsError("DATA_LOSS", "the store has no store key: restore it from a backup");
  authenticated(mac, "kms_store", row, "the store key");
  return checkRows(query, mac, check);
}

/** Refuses altered rows, and returns every problem that was told. Rows that the audit trail misses cannot be put right here. */
async function refuseAltered(query: Query, key: KeyObject, check: RowCheck): Promise<ReadonlySet<string>> {
  const told = new Set<string>();
  let altered = 0;
  const problem = (found: RowProblem) => {
    if (alterations.includes(found.kind) && found.mayBeClocks !== true) altered += 1;
    told.add(JSON.stringify(found));
    check.problem(found);
  };
  await checkAll(query, key, { ...check, problem });
  if (altered > 0) throw new KmsError("DATA_LOSS", `${altered} rows of the backup are not as they were written`);
  return told;
}

/**
 * Refuses rows that have other problems than the backup has, `told` of which were told: damage can have two ways of reading a backup give different
 * rows, one of which was checked and the other copied.
 */
async function refuseOtherwise(
  query: Query,
  key: KeyObject,
  { told, progress }: { told: ReadonlySet<string>; progress: RowCheck["progress"] },
): Promise<void> {
  const problems: RowProblem[] = [];
  const problem = (found: RowProblem) => {
    if (!told.has(JSON.stringify(found))) problems.push(found);
  };
  await checkAll(query, key, { problem, progress });
  const [first] = problems;
  if (first === undefined) return;
  const message = `the backup reads otherwise by its tables than by its indexes, in ${problems.length} places, the first: ${first.what}`;
  throw new KmsError("DATA_LOSS", message);
}

async function refuseOtherSchema(name: string, query: Query, dialect: TableDialect): Promise<void> {
  const state = await readSchema(query, dialect);
  const refuse = (what: string) => new KmsError("STORE_UNAVAILABLE", `the ${name} database ${what}`);
  if (state === undefined) throw refuse("holds no store of fluo-kms; name one that a service has used");
  refuseOthers(state);
  if (state.version >= newestSchema) return;
  const versions = `has schema version ${state.version}, and this fluo-kms knows ${newestSchema}`;
  throw refuse(`${versions}; run fluo-kms migrate, which brings it up to date`);
}
