/**
 * What a store must do: keep key records so that none is lost and none is ACTIVE twice.
 * test/store-contract.ts is this comment as code, and every store passes it.
 * A method that cannot reach the store throws STORE_UNAVAILABLE; a record that fails its authentication is DATA_LOSS.
 * Records and bytes are copied in and out: what a caller does to its own copy changes nothing that is stored.
 */
import type { KeyRecord, KeyState, Purpose } from "../keys/record.ts";

/** How long a request id is remembered at least. */
export const requestRetentionMs = 24 * 60 * 60 * 1000;

export interface Store {
  /** The name in `fluo.kms.store`. */
  readonly name: string;

  /** The ACTIVE record of a tenant and purpose. */
  active(tenantId: string, purpose: Purpose): Promise<KeyRecord | undefined>;

  /** A record in any state by id, looked up inside the tenant: another tenant's id is as unknown as a random one. */
  get(tenantId: string, keyId: string): Promise<KeyRecord | undefined>;

  /** All records of a tenant and purpose but the PENDING ones, by version, oldest first. */
  list(tenantId: string, purpose: Purpose): Promise<KeyRecord[]>;

  /** Inserts a PENDING record, durably. CONFLICT if the key id exists, in any tenant. */
  insertPending(record: KeyRecord): Promise<void>;

  /**
   * In one transaction: checks `expect`, retires the ACTIVE key if there is one, gives the PENDING record the next version
   * and makes it ACTIVE, and remembers `request`. Returns the ACTIVE record. Changes nothing when it throws: CONFLICT when
   * `expect` does not hold or the record is not PENDING, REQUEST_ID_REUSED when the request id has another digest.
   */
  activate(activation: Activation): Promise<KeyRecord>;

  /**
   * Replaces a record that is in state `from`, durably. Tenant, purpose, version, id, public key and creation stay as they
   * are stored. CONFLICT when the record is in another state, does not exist, or would be a second ACTIVE one.
   */
  update(record: KeyRecord, from: KeyState): Promise<void>;

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
  expect: ExpectedKeys;
  at: Date;
  /** Remembered for 24 hours, so that a retried Rotate gets the same answer. */
  request?: { requestId: string; digest: string };
}

/** What an activation found before it made its key, and what must still hold when it is stored. */
export type ExpectedKeys =
  /** Create-if-absent: the tenant and purpose have no version in any state but PENDING. */
  | "no-version"
  /** Rotation of a tenant whose last key was disabled, compromised or destroyed: versions may exist, none is ACTIVE. */
  | "no-active"
  /** Rotation: exactly this key is ACTIVE. */
  | { active: string };

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
