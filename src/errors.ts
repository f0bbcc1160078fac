/**
 * The one error of this service and its closed set of codes. A code says what went wrong in our words;
 * `transport/error-status.ts` maps each to a gRPC status. Messages name ids and fields, never values.
 */

export type KmsErrorCode =
  /** A malformed request. `violations` name the fields. */
  | "INVALID_ARGUMENT"
  /** Any authenticity failure of a ciphertext, token or context: always the same text, see {@link ciphertextRejected}. */
  | "CIPHERTEXT_REJECTED"
  /** No valid credential. */
  | "UNAUTHENTICATED"
  /** A credential that was valid and has ended. Renew it, and connect or call again. */
  | "CREDENTIAL_EXPIRED"
  /** Wrong tenant or role; the same for a tenant that does not exist. */
  | "PERMISSION_DENIED"
  /** An id in an administrative request that does not exist. */
  | "NOT_FOUND"
  /** The key's state forbids the operation: disabled, compromised, scheduled for destruction or destroyed. */
  | "KEY_UNUSABLE"
  /** The provider refuses its key for good: disabled, pending deletion, access denied, not found. */
  | "PROVIDER_DENIED"
  /** The clock of the service and a second one differ, and what was asked for depends on them. */
  | "CLOCKS_DISAGREE"
  /** A compare-and-set was lost to another writer. Try again. */
  | "CONFLICT"
  /** The lease under which something was to be done has ended or has another holder. Nothing was changed. */
  | "LEASE_LOST"
  /** The request_id was used before with another body. */
  | "REQUEST_ID_REUSED"
  /** A message is larger than the transport takes. */
  | "MESSAGE_TOO_LARGE"
  /** More requests at once than the service holds in memory. Try again later. */
  | "OVERLOADED"
  /** The caller makes more calls than its limit. Try again when it may. */
  | "RATE_LIMITED"
  /** The keys of a token's issuer cannot be had now, so that nobody can tell whether it is good. Try again later. */
  | "ISSUER_UNAVAILABLE"
  /** The provider did not answer or cannot answer now. Try again later. */
  | "PROVIDER_UNAVAILABLE"
  /** The store cannot be read or written now. Try again later. */
  | "STORE_UNAVAILABLE"
  /** Uses of keys cannot be written to the audit trail now, so no key is used. Try again later. */
  | "AUDIT_UNAVAILABLE"
  /** The service is shutting down. Try another replica. */
  | "DRAINING"
  /** Nothing moved on a stream for too long. Open another. */
  | "IDLE"
  | "DEADLINE_EXCEEDED"
  | "CANCELLED"
  /** A stored record fails its own authentication. */
  | "DATA_LOSS"
  /** The store is behind what its heads file noted: it was put back, or lost commits. */
  | "ROLLBACK_SUSPECTED"
  /** The heads file is gone, damaged or another store's, so that nobody can tell whether the store was put back. */
  | "HEADS_MISSING"
  | "UNIMPLEMENTED"
  /** A bug, and only a bug. */
  | "INTERNAL";

export interface FieldViolation {
  /** Path of the field in the request, as in `fields[3].name`. */
  field: string;
  /** What is wrong and what to do, without the value. */
  description: string;
}

export interface KmsErrorOptions {
  violations?: readonly FieldViolation[];
  /** Kept for the log; never sent to a caller. */
  cause?: unknown;
  /** What the log says in place of the message, where that has names that the caller made up. */
  inLog?: string;
  /** What an operator can do about it, with the very command or policy statement. For Validate and the log; never sent to a caller. */
  advice?: string | undefined;
  /** Details for the caller's program, beside the code. */
  metadata?: Readonly<Record<string, string>>;
  /** When to try again. */
  retryAfterMs?: number;
  /** Whether a tenant's own provider key is to blame, which the tenant alone can mend. */
  tenantsAffair?: boolean;
}

/** google.rpc.BadRequest carries at most this many. */
export const maxViolations = 16;

export class KmsError extends Error {
  readonly code: KmsErrorCode;
  readonly violations: readonly FieldViolation[];
  readonly advice: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  /** Time to wait, in whole milliseconds, where the code's own time is not the one: clocks give parts of one, which RetryInfo cannot hold. */
  readonly retryAfterMs: number | undefined;
  /** The message for the log. */
  readonly inLog: string;
  /** Whether a tenant's own provider key is to blame; set by the watch of the key. */
  tenantsAffair: boolean;

  constructor(code: KmsErrorCode, message: string, options: KmsErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "KmsError";
    this.code = code;
    this.advice = options.advice;
    this.metadata = options.metadata ?? {};
    this.retryAfterMs = options.retryAfterMs === undefined ? undefined : Math.ceil(options.retryAfterMs);
    this.inLog = options.inLog ?? message;
    this.tenantsAffair = options.tenantsAffair ?? false;
    this.violations = (options.violations ?? []).slice(0, maxViolations);
  }
}

/** Whether `error` is a KmsError with one of these codes. */
export function hasCode<Code extends KmsErrorCode>(
  error: unknown,
  ...codes: readonly Code[]
): error is KmsError & { readonly code: Code } {
  return error instanceof KmsError && (codes as readonly KmsErrorCode[]).includes(error.code);
}

/** INVALID_ARGUMENT for one field. */
export function invalidField(field: string, description: string): KmsError {
  return new KmsError("INVALID_ARGUMENT", `${field}: ${description}`, { violations: [{ field, description }] });
}

/** The one answer to every authenticity failure. The cause is for the log alone. */
export function ciphertextRejected(cause?: unknown): KmsError {
  return new KmsError("CIPHERTEXT_REJECTED", "ciphertext rejected", { cause });
}

/** Makes RATE_LIMITED, for a caller that comes too often. */
export function rateLimited(retryAfterMs = 1_000): KmsError {
  return new KmsError("RATE_LIMITED", "too many calls: wait", { retryAfterMs });
}
