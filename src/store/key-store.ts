/**
 * The part of the store's contract that keeps key records: none is lost, and at most one is ACTIVE a tenant and purpose. See store.ts for
 * what holds for every part.
 */
import type { Attribution, StateAction } from "./audit-store.ts";
import type { DestroyWait, KeyRecord, KeyState, Purpose } from "./key-record.ts";
import type { Fence } from "./lease-store.ts";
import type { HandoverAppend } from "./log-store.ts";

/** How long a request id is remembered at least. */
export const requestRetentionMs = 24 * 60 * 60 * 1000;

export interface KeyStore {
  /** The ACTIVE record of a tenant and purpose. */
  active(tenantId: string, purpose: Purpose): Promise<KeyRecord | undefined>;

  /** A record in any state by id, looked up inside the tenant: another tenant's id is as unknown as a random one. */
  get(tenantId: string, keyId: string): Promise<KeyRecord | undefined>;

  /** All records of a tenant and purpose but the PENDING ones, by version, oldest first. */
  list(tenantId: string, purpose: Purpose): Promise<KeyRecord[]>;

  /** The highest version of a tenant and purpose in any state; 0 where there is none. */
  lastVersion(tenantId: string, purpose: Purpose): Promise<number>;

  /** A page of records but the PENDING ones, by tenant, purpose and version. */
  listKeys(page: KeyPage): Promise<KeyRecord[]>;

  /** Inserts a PENDING record, durably. CONFLICT if the key id exists, in any tenant. */
  insertPending(record: KeyRecord): Promise<void>;

  /**
   * In one transaction: checks `fence` and `expect`, retires the ACTIVE key if there is one, gives the PENDING record the next version
   * and makes it ACTIVE, stores `handover`, remembers `request`, and writes the audit rows. Returns the ACTIVE record. Changes nothing
   * when it throws: LEASE_LOST when `fence` does not hold, CONFLICT when `expect` does not, the record is not PENDING or `request` has
   * made a key of the purpose before, REQUEST_ID_REUSED when the request id has another digest. `handover` throws as appendLog does, and
   * CONFLICT when it is "no-log" and the tenant's last log is open.
   */
  activate(activation: Activation): Promise<KeyRecord>;

  /**
   * Replaces a record, with its audit row, where it is still exactly `present`. Tenant, purpose, version, id, public key and creation
   * stay as they are. CONFLICT if the record changed, does not exist, is PENDING, or would be a second ACTIVE one, and if services
   * have witnessed less than `by.leastWitnessedMs`.
   * A record that becomes DESTROYED has its old bytes erased as far as the store can.
   */
  update(present: KeyRecord, next: KeyRecord, by: StateChange): Promise<void>;

  /** Deletes a PENDING record; no effect on any other. */
  deletePending(tenantId: string, keyId: string): Promise<void>;

  /** Deletes PENDING records created before `before`: left by a crash between insert and activate. Returns how many. */
  deletePendingBefore(before: Date): Promise<number>;

  /** What `activate` remembered under a request id of this tenant, if anything. */
  request(tenantId: string, requestId: string): Promise<RequestRecord | undefined>;

  /** Forgets requests remembered before `before`. Returns how many. */
  deleteRequestsBefore(before: Date): Promise<number>;

  /**
   * ACTIVE keys with activatedAt before `before`, oldest first, at most `limit`, and how many there are in all. Names, not records, so
   * that one that is damaged does not hide the others.
   */
  due(before: Date, limit: number, purpose?: Purpose): Promise<{ keys: KeyName[]; total: number }>;

  /**
   * Keys whose destruction was requested after `after`, until `until`, and waits for another caller: those that have waited longest first, at
   * most `limit`, and how many there are in all. Damaged ones are counted and left out.
   */
  destructionRequests(page: { after: Date; until: Date; limit: number }): Promise<KeyPart>;

  /** DESTROY_SCHEDULED keys whose time has come, those that have waited longest first, at most `limit`. */
  destroyable(due: DestructionDue, limit: number): Promise<KeyName[]>;

  /**
   * DESTROY_SCHEDULED keys, the ones with the least left to wait first, at most `limit`, and how many there are in all.
   * Damaged ones are counted and left out; those without a wait come last.
   */
  destructionsWaiting(limit: number): Promise<KeyPart>;

  /**
   * DESTROY_SCHEDULED keys without a wait, and those whose wait ends behind `afterMs` of witnessed time, at most `limit`. Names, so that a
   * record that is damaged does not hide the others.
   */
  unwitnessedDestructions(afterMs: number, limit: number): Promise<KeyName[]>;

  /** Gives a DESTROY_SCHEDULED record its wait. CONFLICT if the record is not exactly `present` any more. */
  setDestroyWait(present: KeyRecord, wait: DestroyWait): Promise<void>;

  /**
   * A page of the keys that another provider key wrapped than should have, by that one and by id; PENDING and DESTROYED ones left out.
   * Names, so that a record that is damaged does not hide the others.
   */
  wrappedByOthers(should: Wrapping, page: WrappedPage): Promise<WrappedName[]>;

  /** How many keys each provider key wrapped that should not have, PENDING ones too and DESTROYED ones not, without reading them. */
  countWrappedByOthers(should: Wrapping): Promise<WrappedCount[]>;

  /** Number of records by purpose and state, of all tenants or one, without reading them; and the oldest ACTIVE record's activation. */
  counts(tenantId?: string): Promise<KeyCounts>;

  /** Tells of changes that were not made through this object: by other replicas. Returns how to stop. */
  watch(listener: (change: KeyChange) => void): () => void;
}

/** Some of the records that were asked for, and how many there are. */
export interface KeyPart {
  records: KeyRecord[];
  total: number;
}

/** Which destructions are due: by the wall clock and what services witnessed, or by what they witnessed alone. */
export interface DestructionDue {
  /** The wall clock. */
  at: Date;
  /** Waits that end at this witnessed time or before are over if the wall clock has come to `destroyAt`. */
  endedMs: number;
  /** Waits that end at this witnessed time or before are over whatever the wall clock says. */
  longEndedMs: number;
}

/** The provider and its key that wrapped something. */
export type WrappedBy = Pick<KeyRecord, "provider" | "providerKeyId">;

export type KeyName = Pick<KeyRecord, "tenantId" | "purpose" | "keyId">;

export type WrappedName = KeyName & WrappedBy & Pick<KeyRecord, "version">;

export interface WrappedPage {
  limit: number;
  after?: WrappedCursor | undefined;
}

export type WrappedCursor = WrappedBy & Pick<KeyRecord, "keyId">;

export type WrappedCount = WrappedBy & { keys: number };

/** Which provider key should have wrapped what. */
export interface Wrapping {
  /** The keys of all tenants that have none of their own. */
  current: WrappedBy;
  /** Those of a tenant that has; undefined where nobody knows now, so that no place is wrong. */
  tenants: ReadonlyMap<string, WrappedBy | undefined>;
}

export interface KeyPage {
  tenantId?: string | undefined;
  purpose?: Purpose | undefined;
  state?: KeyState | undefined;
  limit: number;
  after?: Pick<KeyRecord, "tenantId" | "purpose" | "version"> | undefined;
}

export interface Activation {
  tenantId: string;
  purpose: Purpose;
  keyId: string;
  expect: ExpectedKeys;
  at: Date;
  by: Attribution;
  /** What becomes of the key that was ACTIVE; RETIRED unless given. */
  outgoing?: "COMPROMISED" | undefined;
  /** Remembered for 24 hours, so that a retried Rotate gets the same answer. */
  request?: { requestId: string; digest: string } | undefined;
  /** The lease under which this is done. */
  fence?: Fence | undefined;
  /** The signing key's handover in the tenant's log, or that no log is open. */
  handover?: HandoverAppend | "no-log" | undefined;
}

/** What an activation found before it made its key, and what must still hold when it is stored. */
export type ExpectedKeys =
  /** Create-if-absent: the tenant and purpose have no version in any state but PENDING. */
  | "no-version"
  /** Rotation of a tenant whose last key was disabled, compromised or destroyed: versions may exist, none is ACTIVE. */
  | "no-active"
  /** Rotation: exactly this key is ACTIVE. */
  | { active: string };

export interface StateChange extends Attribution {
  action: StateAction;
  at: Date;
  /** The least witnessed time at which the change may be made. */
  leastWitnessedMs?: number | undefined;
}

export interface RequestRecord {
  requestId: string;
  /** Hex SHA-256 of what the request asked for. */
  digest: string;
  /** The keys that the request made ACTIVE. */
  activated: { keyId: string; retiredKeyId: string | undefined }[];
}

export interface KeyCounts {
  byPurpose: Record<Purpose, Partial<Record<KeyState, number>>>;
  oldestActiveAt: Date | undefined;
  /** When a key was last activated that retired another. */
  lastRotationAt: Date | undefined;
}

/** A key whose record changed; without a name any may have, because news was missed. */
export type KeyChange = { tenantId: string; keyId: string; state: KeyState } | "any";
