/** Which canonical status each of our codes is, for whole calls (transport/error-status.ts) and items; and whose fault it is. */
import { create } from "@bufbuild/protobuf";
import { type ItemError, ItemErrorSchema } from "../../gen/ts/fluo/kms/v1/item_error_pb.ts";
import { KmsError, type KmsErrorCode } from "../errors.ts";
import type { errorCodes, Outcome } from "../telemetry/instruments.ts";

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
} as const satisfies Record<(typeof errorCodes)[number], number>;

export type RpcCode = (typeof RpcCode)[keyof typeof RpcCode];

export const rpcCode: Readonly<Record<KmsErrorCode, RpcCode>> = {
  INVALID_ARGUMENT: RpcCode.INVALID_ARGUMENT,
  CIPHERTEXT_REJECTED: RpcCode.INVALID_ARGUMENT,
  UNAUTHENTICATED: RpcCode.UNAUTHENTICATED,
  CREDENTIAL_EXPIRED: RpcCode.UNAUTHENTICATED,
  PERMISSION_DENIED: RpcCode.PERMISSION_DENIED,
  NOT_FOUND: RpcCode.NOT_FOUND,
  KEY_UNUSABLE: RpcCode.FAILED_PRECONDITION,
  PROVIDER_DENIED: RpcCode.FAILED_PRECONDITION,
  CLOCKS_DISAGREE: RpcCode.FAILED_PRECONDITION,
  CONFLICT: RpcCode.ABORTED,
  LEASE_LOST: RpcCode.ABORTED,
  REQUEST_ID_REUSED: RpcCode.ALREADY_EXISTS,
  MESSAGE_TOO_LARGE: RpcCode.RESOURCE_EXHAUSTED,
  OVERLOADED: RpcCode.RESOURCE_EXHAUSTED,
  RATE_LIMITED: RpcCode.RESOURCE_EXHAUSTED,
  ISSUER_UNAVAILABLE: RpcCode.UNAVAILABLE,
  PROVIDER_UNAVAILABLE: RpcCode.UNAVAILABLE,
  STORE_UNAVAILABLE: RpcCode.UNAVAILABLE,
  AUDIT_UNAVAILABLE: RpcCode.UNAVAILABLE,
  DRAINING: RpcCode.UNAVAILABLE,
  IDLE: RpcCode.UNAVAILABLE,
  DEADLINE_EXCEEDED: RpcCode.DEADLINE_EXCEEDED,
  CANCELLED: RpcCode.CANCELLED,
  DATA_LOSS: RpcCode.DATA_LOSS,
  ROLLBACK_SUSPECTED: RpcCode.DATA_LOSS,
  HEADS_MISSING: RpcCode.DATA_LOSS,
  UNIMPLEMENTED: RpcCode.UNIMPLEMENTED,
  INTERNAL: RpcCode.INTERNAL,
};

type Fault = Exclude<Outcome, "ok">;

/** Whose fault a failed call is. A deadline is the caller's choice, unless the service had time enough. */
const faults: Readonly<Record<KmsErrorCode, Fault | "deadline">> = {
  INVALID_ARGUMENT: "caller_fault",
  CIPHERTEXT_REJECTED: "caller_fault",
  UNAUTHENTICATED: "caller_fault",
  CREDENTIAL_EXPIRED: "lifecycle",
  PERMISSION_DENIED: "caller_fault",
  NOT_FOUND: "caller_fault",
  KEY_UNUSABLE: "caller_fault",
  // A tenant may disable a key of its own; the service's own key has an alert of its own.
  PROVIDER_DENIED: "caller_fault",
  CLOCKS_DISAGREE: "caller_fault",
  CONFLICT: "caller_fault",
  LEASE_LOST: "caller_fault",
  REQUEST_ID_REUSED: "caller_fault",
  MESSAGE_TOO_LARGE: "caller_fault",
  OVERLOADED: "server_fault",
  RATE_LIMITED: "caller_fault",
  // Anybody can name a key that an issuer has not; an issuer that is away has an alert of its own.
  ISSUER_UNAVAILABLE: "caller_fault",
  PROVIDER_UNAVAILABLE: "server_fault",
  STORE_UNAVAILABLE: "server_fault",
  AUDIT_UNAVAILABLE: "server_fault",
  DRAINING: "lifecycle",
  IDLE: "lifecycle",
  DEADLINE_EXCEEDED: "deadline",
  CANCELLED: "lifecycle",
  DATA_LOSS: "server_fault",
  ROLLBACK_SUSPECTED: "server_fault",
  HEADS_MISSING: "server_fault",
  UNIMPLEMENTED: "caller_fault",
  INTERNAL: "server_fault",
};

/** Seconds after which a unary call should have been answered, whatever its deadline. */
const enoughSeconds = 1.1; // callers give a whole second, and timers are late

/**
 * Tells whose fault a failed call is. A provider key of the tenant's own that does not answer is the tenant's affair. A
 * stream lasts as long as its caller wants, so that its deadline is the caller's.
 */
export function outcomeOf(
  { code, tenantsAffair }: Pick<KmsError, "code" | "tenantsAffair">,
  { seconds, isStream }: { seconds: number; isStream: boolean },
): Fault {
  if (tenantsAffair) return "caller_fault";
  const fault = faults[code];
  if (fault !== "deadline") return fault;
  if (isStream) return "lifecycle";
  return seconds > enoughSeconds ? "server_fault" : "caller_fault";
}

/** An item's error. What is not a KmsError is a bug and is thrown on, so that the whole call reports it. */
export function itemError(error: unknown, field: string): ItemError {
  if (!(error instanceof KmsError) || error.code === "INTERNAL") throw error;
  return create(ItemErrorSchema, { code: rpcCode[error.code], field, message: error.message });
}
