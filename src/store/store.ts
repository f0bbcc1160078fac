/**
 * What a store must do: keep key records so that none is lost and none is ACTIVE twice.
 * test/store-contract.ts is this comment as code, and every store passes it.
 * A method that cannot reach the store throws STORE_UNAVAILABLE; a record that fails its authentication is DATA_LOSS.
 */
import type { KeyRecord, KeyState, Purpose } from "../keys/record.ts";

export interface Store {
  /** The name in `fluo.kms.store`. */
  readonly name: string;

  /** The ACTIVE record of a tenant and purpose. */
  active(tenantId: string, purpose: Purpose): Promise<KeyRecord | undefined>;

  /** A record by id, looked up inside the tenant: another tenant's id is as unknown as a random one. */
  get(tenantId: string, keyId: string): Promise<KeyRecord | undefined>;

  /** All records of a tenant and purpose but the PENDING ones, by version, oldest first. */
  list(tenantId: string, purpose: Purpose): Promise<KeyRecord[]>;

  /** Inserts a PENDING record, durably. CONFLICT if the key id exists. */
  insertPending(record: KeyRecord): Promise<void>;

  /**
   * In one transaction: checks that the ACTIVE key is `expectedActive` (for undefined: that the tenant and purpose have
   * no version at all), retires it, gives the PENDING record the next version and makes it ACTIVE, and remembers `request`.
   * Throws CONFLICT, changing nothing, when the check fails or the record is not PENDING. Returns the ACTIVE record.
   */
  activate(activation: Activation): Promise<KeyRecord>;

  /** Deletes a PENDING record; no effect on any other. */
  deletePending(tenantId: string, keyId: string): Promise<void>;

  /** Deletes PENDING records created before `before`: left by a crash between insert and activate. Returns how many. */
  deletePendingBefore(before: Date): Promise<number>;

  /** What `activate` remembered under a request id of this tenant, if anything. */
  request(tenantId: string, requestId: string): Promise<RequestRecord | undefined>;

  /** ACTIVE records with activatedAt before `before`, oldest first, at most `limit`, and how many there are in all. */
  due(before: Date, limit: number, purpose?: Purpose): Promise<{ records: KeyRecord[]; total: number }>;

  /** Number of records by purpose and state, and the oldest ACTIVE record's activation. */
  counts(): Promise<KeyCounts>;

  close(): Promise<void>;
}

export interface Activation {
  tenantId: string;
  purpose: Purpose;
  keyId: string;
  expectedActive: string | undefined;
  at: Date;
  /** Remembered for 24 hours, so that a retried Rotate gets the same answer. */
  request?: { requestId: string; digest: string };
}

export interface RequestRecord {
  requestId: string;
  /** Hex SHA-256 of what the request asked for. */
  digest: string;
  /** The keys that the request made ACTIVE, in order. */
  activated: { keyId: string; retiredKeyId: string | undefined }[];
}

export interface KeyCounts {
  byPurpose: Record<Purpose, Partial<Record<KeyState, number>>>;
  oldestActiveAt: Date | undefined;
  /** When a key was last activated that retired another. */
  lastRotationAt: Date | undefined;
}
