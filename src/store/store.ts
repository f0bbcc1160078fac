/**
 * What a store must do: keep key records so that none is lost and none is ACTIVE twice, and an audit trail that shows what was taken
 * from it. test/support/store-contract.ts is this comment as code, and every store passes it.
 *
 * A store is opened locked. The store key, which the provider unwraps, unlocks it: from then on every row that is read is
 * authenticated. A method that cannot reach the store, or cannot make a change durable, throws STORE_UNAVAILABLE; a row that fails its
 * authentication, or is gone although the audit trail knows it, is DATA_LOSS. What a method wrote is durable when it resolves.
 * Records and bytes are copied in and out: what a caller does to its own copy changes nothing that is stored.
 */
import type { KeyObject } from "node:crypto";
import type { KeyRecord, KeyState, Purpose } from "./key-record.ts";
import type { LogHandover, LogStore } from "./log-store.ts";

/** How long a request id is remembered at least. */
export const requestRetentionMs = 24 * 60 * 60 * 1000;

/** A store whose rows cannot be believed yet. Its schema is up to date. */
export interface LockedStore {
  /** The name in `fluo.kms.store`. */
  readonly name: string;
  /** DATA_LOSS where there are records and no store key. */
  storeKey(): Promise<WrappedStoreKey | undefined>;
  /** Create-if-absent: no effect where there is one. DATA_LOSS where there are records and no store key. */
  insertStoreKey(wrapped: WrappedStoreKey, key: KeyObject): Promise<void>;
  /** DATA_LOSS where the store key's row, or a record looked at for proof, was not made with `key`. */
  unlock(key: KeyObject): Promise<Store>;
  close(): Promise<void>;
}

/** The provider and its key that wrapped something. */
export type WrappedBy = Pick<KeyRecord, "provider" | "providerKeyId">;

/** The 32-byte key that authenticates all rows, wrapped under `{purpose: "store", store_id}`. */
export interface WrappedStoreKey extends WrappedBy {
  /** 128 random bits, lower-case hex. */
  storeId: string;
  wrapped: Uint8Array;
  createdAt: Date;
}

export interface Store extends LogStore {
  readonly name: string;

  /** The store key as it is stored now. DATA_LOSS where its row is gone or is not as it was written. */
  storeKey(): Promise<WrappedStoreKey>;

  /**
   * Replaces the wrapped form of the store key, with its audit row, where it is still `present`. The key itself and the store's id stay.
   * `key` is what the new form opens to: DATA_LOSS unless it is the store's. CONFLICT where another was first.
   */
  replaceStoreKey(
    present: WrappedStoreKey,
    next: WrappedBy & { wrapped: Uint8Array },
    by: StoreKeyChange,
    key: KeyObject,
  ): Promise<void>;

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
   * and makes it ACTIVE, remembers `request`, and writes the audit rows. Returns the ACTIVE record. Changes nothing when it throws:
   * LEASE_LOST when `fence` does not hold, CONFLICT when `expect` does not, the record is not PENDING or `request` has made a key of the
   * purpose before, REQUEST_ID_REUSED when the request id has another digest.
   */
  activate(activation: Activation): Promise<KeyRecord>;

  /**
   * Replaces a record, with its audit row, where it is still exactly `present`. Tenant, purpose, version, id, public key and creation
   * stay as they are. CONFLICT where the record changed, does not exist, is PENDING, or would be a second ACTIVE one.
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

  /** DESTROY_SCHEDULED keys whose time has come, earliest first, at most `limit`. */
  destroyable(at: Date, limit: number): Promise<KeyName[]>;

  /**
   * A page of the keys that another provider key wrapped than should have, by that one and by id; PENDING and DESTROYED ones left out.
   * Names, so that a record that is damaged does not hide the others.
   */
  wrappedByOthers(should: Wrapping, page: WrappedPage): Promise<WrappedName[]>;

  /** How many keys each provider key wrapped that should not have, PENDING ones too and DESTROYED ones not, without reading them. */
  countWrappedByOthers(should: Wrapping): Promise<WrappedCount[]>;

  /** Number of records by purpose and state, of all tenants or one, without reading them; and the oldest ACTIVE record's activation. */
  counts(tenantId?: string): Promise<KeyCounts>;

  /**
   * Takes or renews the lease `name` for `ttlMs` by the store's clock. A new holder gets a new generation; one that renews in time keeps
   * its own. `generation` is undefined while somebody else holds it.
   */
  lease(name: string, holder: string, ttlMs: number): Promise<LeaseAnswer>;

  /** Notes that the work of a lease was done completely, and ends it. LEASE_LOST when the generation is not current any more. */
  finishLease(fence: Fence, at: Date): Promise<void>;

  /** Appends rows to this writer's chain, durably. */
  appendAudit(events: readonly AuditEvent[]): Promise<void>;

  /** A page of audit rows, in the order in which they were stored. */
  auditEvents(page: AuditPage): Promise<AuditRow[]>;

  /**
   * The tenants of the newest audit rows that say OK, newest first, at most `limit`: who was lately active. It looks at 10,000 rows and
   * authenticates none, so that it is a hint and nothing more.
   */
  recentTenants(limit: number): Promise<string[]>;

  /** Checks up to `limit` rows of the chains from `from` on; to be called until `next` is undefined. */
  verifyAudit(from: AuditCursor | undefined, limit: number): Promise<AuditVerdict>;

  /** The newest row of this writer; undefined before its first. */
  auditHead(): Promise<AuditHead | undefined>;

  /** Tells of changes that were not made through this object: by other replicas. Returns how to stop. */
  watch(listener: (change: KeyChange) => void): () => void;

  close(): Promise<void>;
}

export type KeyName = Pick<KeyRecord, "tenantId" | "purpose" | "keyId">;

export type WrappedName = KeyName & WrappedBy & Pick<KeyRecord, "version">;

export interface WrappedPage {
  limit: number;
  after?: WrappedPlace | undefined;
}

export type WrappedPlace = WrappedBy & Pick<KeyRecord, "keyId">;

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

/** Who did something, for the audit trail. */
export interface Attribution {
  actor: string;
  /** Empty where the caller named none. */
  requestId: string;
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
  /** Of the lease under which this is done. */
  fence?: Fence | undefined;
  /** Of a signing key: its handover in the tenant's log, which gets its proof; or that there is no open log to hand over. */
  handover?: LogHandover | "no-log" | undefined;
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
}

export type StoreKeyChange = Omit<StateChange, "action">;

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

export interface Fence {
  name: string;
  generation: number;
}

export interface LeaseAnswer {
  generation: number | undefined;
  /** When the work was last done completely. */
  finishedAt: Date | undefined;
}

/** What makes a key ACTIVE: the first of its tenant and purpose, or one after others. */
export type BirthAction = "create" | "rotate";

export type StateAction =
  | "disable"
  | "enable"
  | "mark_compromised"
  | "schedule_destruction"
  | "cancel_destruction"
  | "destroy"
  | "rewrap";

/** `retire` is the other half of `rotate`. The uses count calls or, for PII, fields. */
export type AuditAction =
  | BirthAction
  | "retire"
  | StateAction
  | "generate_data_key"
  | "decrypt_data_key"
  | "encrypt_pii"
  | "decrypt_pii"
  | "re_encrypt_pii"
  | "sign_span"
  | "list_keys"
  | "list_audit_events"
  | "verify_audit"
  | "restore";

/** What happened, never its content. */
export interface AuditEvent {
  at: Date;
  actor: string;
  action: AuditAction;
  /** Empty where none was named. */
  tenantId: string;
  purpose: Purpose | undefined;
  /** Empty where none was found. */
  keyId: string;
  /** `OK`, or the code of the refusal. */
  outcome: string;
  requestId: string;
  /** How many like this happened since the last row: uses and refusals are counted together. */
  count: number;
}

export interface AuditRow extends AuditEvent {
  /** Its place in the store, growing. */
  id: number;
  /** 128 random bits of the process that wrote it, hex. */
  writerId: string;
  /** Counts 1, 2, 3 … per writer. */
  sequence: number;
}

export interface AuditPage {
  tenantId?: string | undefined;
  keyId?: string | undefined;
  limit: number;
  /** Id of the last row of the page before. */
  after?: number | undefined;
}

export interface AuditHead {
  writerId: string;
  sequence: number;
  /** HMAC of the newest row, over it and its predecessor's. */
  mac: Uint8Array;
}

/** A place in the chains. */
export interface AuditCursor {
  writerId: string;
  sequence: number;
  /** As stored in the row at `sequence`; undefined where that row is missing or there is none yet. */
  mac: Uint8Array | undefined;
}

export interface AuditVerdict {
  /** Rows that were looked at. */
  events: number;
  /** Of the writers that were finished. */
  heads: AuditHead[];
  problems: AuditProblem[];
  next: AuditCursor | undefined;
}

export interface AuditProblem {
  writerId: string;
  /** Of the row, or of the first one that is missing; 0 where the whole writer is meant. */
  sequence: number;
  what: string;
}

/** A key whose record changed; without a name any may have, because news was missed. */
export type KeyChange = { tenantId: string; keyId: string; state: KeyState } | "any";
