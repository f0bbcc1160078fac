/** What is wrong with a stored row, and how a check of all rows tells it. */
import type { Purpose } from "./key-record.ts";

export type RowProblemKind =
  /** A row whose HMAC is not right. */
  | "record_altered"
  | "request_altered"
  | "lease_altered"
  | "time_altered"
  /** The witnessed time is gone, and keys wait by it. */
  | "time_missing"
  /** The head of a log, or what is remembered of one. */
  | "log_altered"
  /** What a log is made of is not what its head says, or belongs to no log. */
  | "log_content"
  /** A log is shorter than it was. */
  | "log_set_back"
  /** A row or more of the audit trail are altered, missing or out of order. */
  | "audit_trail"
  /** The audit trail knows a key that has no record. */
  | "record_missing"
  /** A record that the audit trail does not know. */
  | "record_unknown"
  /** A record in another state than the audit trail leads to. */
  | "state"
  /** Versions that are missing, or there twice. */
  | "versions"
  | "several_active"
  /** The heads of logs, or of audit writers, do not add up. */
  | "heads"
  /** An index of the database leads to other rows than there are. */
  | "index"
  /** A part of the database file that cannot be read. */
  | "file_damaged";

export interface RowProblem {
  kind: RowProblemKind;
  /** Empty where no tenant, or no key, is meant. */
  tenantId: string;
  keyId: string;
  purpose: Purpose | undefined;
  /** The number of the tenant's log, if one is meant. */
  log?: number;
  /** A sentence for the operator. */
  what: string;
  /** Clocks that differ lead to the same: no reason not to believe a backup. */
  mayBeClocks?: true;
}

export interface RowCheck {
  problem(problem: RowProblem): void;
  /** Called with the number of rows looked at so far. */
  progress?: ((rows: number) => void) | undefined;
}

/** What must be right for a backup to be believed: these rows were not written by the service. */
export const alterations: readonly RowProblemKind[] = [
  "record_altered",
  "request_altered",
  "lease_altered",
  "time_altered",
  "log_altered",
  "log_content",
  "audit_trail",
];
