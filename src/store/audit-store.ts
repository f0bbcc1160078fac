/**
 * The part of the store's contract that keeps the audit trail: a chain of rows for each writer, which shows what was taken from it. See
 * store.ts for what holds for every part.
 */
import type { Purpose } from "./key-record.ts";

export interface AuditStore {
  /** Appends rows to this writer's chain, durably. */
  appendAudit(events: readonly AuditEvent[]): Promise<void>;

  /** A page of audit rows, in the order in which they were stored. */
  auditEvents(page: AuditPage): Promise<AuditRow[]>;

  /**
   * The tenants of the newest audit rows that say OK, newest first, at most `limit`: who was lately active. It looks at 10,000 rows and
   * authenticates none, so that it is a hint and nothing more.
   */
  recentTenants(limit: number): Promise<string[]>;

  /** A page of the heads of all writers that are as they were written: those behind the writer `after`, by their ids, at most `limit`. */
  auditHeads(after: string, limit: number): Promise<AuditHead[]>;

  /**
   * Checks up to `limit` rows of the chains from `from` on; to be called until `next` is undefined. Each writer's rows are checked as far as
   * its head was when the first of them were read, or as far as `until` says. Rows that are appended later are not looked at.
   */
  verifyAudit(from: AuditCursor | undefined, limit: number): Promise<AuditVerdict>;

  /** The newest row of this writer; undefined before its first. */
  auditHead(): Promise<AuditHead | undefined>;
}

/** Who did something, for the audit trail. */
export interface Attribution {
  actor: string;
  /** Empty where the caller named none. */
  requestId: string;
  /** The rule that let the caller do it; undefined where there are no rules, or nobody called. */
  rule?: string | undefined;
}

/** What makes a key ACTIVE: the first of its tenant and purpose, or one after others. */
export type BirthAction = "create" | "rotate";

export type StateAction =
  | "disable"
  | "enable"
  | "mark_compromised"
  | "request_destruction"
  | "cancel_destruction_request"
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
  // Only of callers that may not.
  | "verify_span"
  | "get_public_keys"
  | "read_log"
  | "status"
  | "validate"
  | "restore"
  | "accept_rollback"
  | "finish_upgrade"
  | "policy_loaded"
  // Over the local socket; `detail` says what was set.
  | "set_log_level"
  | "profile_cpu";

/** What happened, never its content. */
export interface AuditEvent {
  at: Date;
  actor: string;
  action: AuditAction;
  /** Empty where none was named. */
  tenantId: string;
  purpose: Purpose | undefined;
  /** Empty if none was found. Of a refusal, as the request names it: it may be made up. */
  keyId: string;
  /** `OK`, or the code of the refusal. */
  outcome: string;
  requestId: string;
  /** How many like this happened since the last row: uses and refusals are counted together. */
  count: number;
  /** The rule that let the caller do it; undefined where there are no rules, nobody called, or no rule did. */
  rule?: string | undefined;
  /**
   * How many names of tenants and keys the row stands for, where it stands for refusals that are counted without them; and when the first of
   * those was. A least number if `detail` says so.
   */
  names?: number | undefined;
  firstAt?: Date | undefined;
  /** What no other member can say, as text that its action defines: for `restore` and `accept_rollback` see acceptance.ts. */
  detail?: string | undefined;
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
  /** Empty before the first writer. */
  writerId: string;
  sequence: number;
  /** The HMAC stored in the row at `sequence`; undefined if that row is missing or there is none yet. */
  mac: Uint8Array | undefined;
  /** The end of the writer's rows. Undefined if its head is to be read when its first rows are. */
  until?: AuditHead | undefined;
}

/** Cursor of a check that knows where each writer is to end: the first page counts the writers and reads no row. */
export const beforeWriters: AuditCursor = { writerId: "", sequence: 0, mac: undefined };

export interface AuditVerdict {
  /** Rows that were looked at. */
  events: number;
  /** The heads of the writers that were finished, up to which their rows were checked. */
  heads: AuditHead[];
  problems: AuditProblem[];
  next: AuditCursor | undefined;
}

export interface AuditProblem {
  writerId: string;
  /** The number of the row, or of the first one that is missing; 0 if the whole writer is meant. */
  sequence: number;
  what: string;
}
