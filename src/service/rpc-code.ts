/** Which canonical status each of our codes is: for whole calls (transport/error-status.ts) and for single items. */
import { create } from "@bufbuild/protobuf";
import { type ItemError, ItemErrorSchema } from "../../gen/ts/fluo/kms/v1/item_error_pb.ts";
import { KmsError, type KmsErrorCode } from "../errors.ts";

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

/** An item's error. What is not a KmsError is a bug and is thrown on, so that the whole call reports it. */
export function itemError(error: unknown, field: string): ItemError {
  if (!(error instanceof KmsError) || error.code === "INTERNAL") throw error;
  return create(ItemErrorSchema, { code: rpcCode[error.code], field, message: error.message });
}
