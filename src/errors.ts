/**
 * The one error of this service and its closed set of codes, each with its gRPC status. `transport/error-status.ts` writes errors in the
 * form of each protocol. Messages name ids and fields, never values.
 */

/** google.rpc.Code by name; the numbers are gRPC's. */
export const RpcCode = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type RpcCode = (typeof RpcCode)[keyof typeof RpcCode];

/** Our codes, and the status of each, of a whole call or of an item. */
export const rpcCode = {
  /** A malformed request. `violations` name the fields. */
  INVALID_ARGUMENT: RpcCode.INVALID_ARGUMENT,
  /** Any authenticity failure of a ciphertext, token or context: always the same text, see {@link ciphertextRejected}. */
  CIPHERTEXT_REJECTED: RpcCode.INVALID_ARGUMENT,
  /** No valid credential. */
  UNAUTHENTICATED: RpcCode.UNAUTHENTICATED,
  /** A credential that was valid and has ended. Renew it, and connect or call again. */
  CREDENTIAL_EXPIRED: RpcCode.UNAUTHENTICATED,
  /** Wrong tenant or role; the same for a tenant that does not exist. */
  PERMISSION_DENIED: RpcCode.PERMISSION_DENIED,
  /** An id in an administrative request that does not exist. */
  NOT_FOUND: RpcCode.NOT_FOUND,
  /** The key's state forbids the operation: disabled, compromised, scheduled for destruction or destroyed. */
  KEY_UNUSABLE: RpcCode.FAILED_PRECONDITION,
  /** The provider refuses its key for good: disabled, pending deletion, access denied, not found. */
  PROVIDER_DENIED: RpcCode.FAILED_PRECONDITION,
  /** The clock of the service and a second one differ, and what was asked for depends on them. */
  CLOCKS_DISAGREE: RpcCode.FAILED_PRECONDITION,
  /** A compare-and-set was lost to another writer. Try again. */
  CONFLICT: RpcCode.ABORTED,
  /** The lease under which something was to be done has ended or has another holder. Nothing was changed. */
  LEASE_LOST: RpcCode.ABORTED,
  /** The request_id was used before with another body. */
  REQUEST_ID_REUSED: RpcCode.ALREADY_EXISTS,
  /** A message is larger than the transport takes. */
  MESSAGE_TOO_LARGE: RpcCode.RESOURCE_EXHAUSTED,
  /** More requests at once than the service holds in memory. Try again later. */
  OVERLOADED: RpcCode.RESOURCE_EXHAUSTED,
  /** The caller makes more calls than its limit. Try again when it may. */
  RATE_LIMITED: RpcCode.RESOURCE_EXHAUSTED,
  /** The keys of a token's issuer cannot be had now, so that nobody can tell whether it is good. Try again later. */
  ISSUER_UNAVAILABLE: RpcCode.UNAVAILABLE,
  /** The provider did not answer or cannot answer now. Try again later. */
  PROVIDER_UNAVAILABLE: RpcCode.UNAVAILABLE,
  /** The store cannot be read or written now. Try again later. */
  STORE_UNAVAILABLE: RpcCode.UNAVAILABLE,
  /** Uses of keys cannot be written to the audit trail now, so no key is used. Try again later. */
  AUDIT_UNAVAILABLE: RpcCode.UNAVAILABLE,
  /** The service is shutting down. Try another replica. */
  DRAINING: RpcCode.UNAVAILABLE,
  /** Nothing moved on a stream for too long. Open another. */
  IDLE: RpcCode.UNAVAILABLE,
  DEADLINE_EXCEEDED: RpcCode.DEADLINE_EXCEEDED,
  CANCELLED: RpcCode.CANCELLED,
  /** A stored record fails its own authentication. */
  DATA_LOSS: RpcCode.DATA_LOSS,
  /** The store is behind what its heads file noted: it was put back, or lost commits. */
  ROLLBACK_SUSPECTED: RpcCode.DATA_LOSS,
  /** The heads file is gone, damaged or another store's, so that nobody can tell whether the store was put back. */
  HEADS_MISSING: RpcCode.DATA_LOSS,
  UNIMPLEMENTED: RpcCode.UNIMPLEMENTED,
  /** A bug, and only a bug. */
  INTERNAL: RpcCode.INTERNAL,
} as const satisfies Readonly<Record<string, RpcCode>>;

export type KmsErrorCode = keyof typeof rpcCode;

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
