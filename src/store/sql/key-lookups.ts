/**
 * Looks for key records in SQL, each authenticated. A look that finds nothing asks the audit trail whether there was something: a tenant
 * whose records were removed or renamed must not get a new first key as if nothing had been.
 */
import { KmsError } from "../../errors.ts";
import type { KeyRecord, Purpose } from "../key-record.ts";
import type { Query } from "./rows/database.ts";
import type { RowMac } from "./rows/mac.ts";
import { keyRecord } from "./rows/rows.ts";

export interface KeyLookups {
  active(query: Query, tenantId: string, purpose: Purpose): Promise<KeyRecord | undefined>;
  /** A record by its id, whatever the audit trail says. */
  find(query: Query, tenantId: string, keyId: string): Promise<KeyRecord | undefined>;
  /** The same; DATA_LOSS if it is gone although the audit trail knows it. */
  get(query: Query, tenantId: string, keyId: string): Promise<KeyRecord | undefined>;
  /** All but the PENDING ones, or those of a page, oldest first. DATA_LOSS if all are gone. */
  versions(query: Query, tenantId: string, purpose: Purpose, page?: VersionPage): Promise<KeyRecord[]>;
  /** 0 if there is none. DATA_LOSS if all are gone. */
  lastVersion(query: Query, tenantId: string, purpose: Purpose): Promise<number>;
}

export interface VersionPage {
  /** The version before the first one. */
  after: number;
  limit: number;
}

const allVersions: VersionPage = { after: 0, limit: Number.MAX_SAFE_INTEGER };

export function keyLookups(mac: RowMac): KeyLookups {
  const records = async (query: Query, where: string, ...values: (string | number)[]) =>
    (await query(`select * from kms_keys where ${where}`, ...values)).map((row) => keyRecord(mac, row));
  const find = (query: Query, tenantId: string, keyId: string) =>
    records(query, "key_id = ?1 and tenant_id = ?2", keyId, tenantId);

  return {
    async active(query, tenantId, purpose) {
      const [record] = await records(query, "tenant_id = ?1 and purpose = ?2 and state = 'ACTIVE'", tenantId, purpose);
      return record;
    },

    async find(query, tenantId, keyId) {
      const [record] = await find(query, tenantId, keyId);
      return record;
    },

    async get(query, tenantId, keyId) {
      const look = () => find(query, tenantId, keyId);
      const born = () => wasBorn(query, tenantId, "key_id = ?2", keyId);
      const [record] = await unlessLost(look, born, `the record of key ${keyId} is gone from the store: restore it`);
      return record;
    },

    async versions(query, tenantId, purpose, { after, limit } = allVersions) {
      // Versions that count begin with 1. The condition of the index has to be said, too.
      const where = "tenant_id = ?1 and purpose = ?2 and version > 0 and version > ?3 order by version limit ?4";
      const look = () => records(query, where, tenantId, purpose, after, limit);
      if (after > 0) return look();
      const born = () => wasBorn(query, tenantId, "purpose = ?2", purpose);
      return unlessLost(look, born, keysAreGone(tenantId, purpose));
    },

    async lastVersion(query, tenantId, purpose) {
      const where = "tenant_id = ?1 and purpose = ?2 and version > 0 order by version desc limit 1";
      const look = () => query(`select version from kms_keys where ${where}`, tenantId, purpose);
      const born = () => wasBorn(query, tenantId, "purpose = ?2", purpose);
      const [row] = await unlessLost(look, born, keysAreGone(tenantId, purpose));
      return Number(row?.version ?? 0);
    },
  };
}

/**
 * DATA_LOSS if a look finds nothing of what the audit trail knows. The reads need not be of one moment: what was born between them is found
 * by a second look.
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
