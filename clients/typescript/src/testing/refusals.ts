/** How the service refuses, by reason: its status, when to try again, and the pushback that gRPC's retries heed. */
import { create, type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../messages.ts";

interface Refusal {
  /** Status of the call. */
  code: Code;
  /** Delay of RetryInfo, in milliseconds; absent if trying again is no use. */
  retryMs?: number;
  /** Value of the trailer `grpc-retry-pushback-ms`. */
  pushback?: string;
}

/** All refusals of the service, by the reason of their ErrorInfo. */
export const refusals = {
  INVALID_ARGUMENT: { code: Code.InvalidArgument },
  CIPHERTEXT_REJECTED: { code: Code.InvalidArgument },
  UNAUTHENTICATED: { code: Code.Unauthenticated },
  CREDENTIAL_EXPIRED: { code: Code.Unauthenticated },
  PERMISSION_DENIED: { code: Code.PermissionDenied },
  NOT_FOUND: { code: Code.NotFound },
  KEY_UNUSABLE: { code: Code.FailedPrecondition },
  PROVIDER_DENIED: { code: Code.FailedPrecondition },
  CLOCKS_DISAGREE: { code: Code.FailedPrecondition },
  CONFLICT: { code: Code.Aborted },
  LEASE_LOST: { code: Code.Aborted },
  REQUEST_ID_REUSED: { code: Code.AlreadyExists },
  MESSAGE_TOO_LARGE: { code: Code.ResourceExhausted, pushback: "-1" },
  OVERLOADED: { code: Code.ResourceExhausted, retryMs: 500, pushback: "500" },
  RATE_LIMITED: { code: Code.ResourceExhausted, retryMs: 1000, pushback: "1000" },
  ISSUER_UNAVAILABLE: { code: Code.Unavailable, retryMs: 5000 },
  PROVIDER_UNAVAILABLE: { code: Code.Unavailable, retryMs: 1000 },
  STORE_UNAVAILABLE: { code: Code.Unavailable, retryMs: 1000 },
  AUDIT_UNAVAILABLE: { code: Code.Unavailable, retryMs: 1000 },
  DRAINING: { code: Code.Unavailable, retryMs: 100 },
  IDLE: { code: Code.Unavailable, retryMs: 100 },
  DEADLINE_EXCEEDED: { code: Code.DeadlineExceeded },
  CANCELLED: { code: Code.Canceled },
  DATA_LOSS: { code: Code.DataLoss },
  ROLLBACK_SUSPECTED: { code: Code.DataLoss },
  HEADS_MISSING: { code: Code.DataLoss },
  UNIMPLEMENTED: { code: Code.Unimplemented },
  INTERNAL: { code: Code.Internal },
} as const satisfies Record<string, Refusal>;

export type FakeReason = keyof typeof refusals;

/** Calls that the fake serves. */
export const rpcs = [
  ...(["GenerateDataKey", "DecryptDataKey", "EncryptPii", "DecryptPii", "SignSpan", "VerifySpan"] as const),
];

export type FakeRpc = (typeof rpcs)[number];

/** Returns the error as a client gets it from the service. */
export function refusal(
  reason: FakeReason,
  message: string,
  violations: readonly { field: string; description: string }[] = [],
): ConnectError {
  const { code, retryMs, pushback }: Refusal = refusals[reason];
  const trailer: HeadersInit = pushback === undefined ? {} : { "grpc-retry-pushback-ms": pushback };
  const error = new ConnectError(message, code, trailer);
  error.details = [detail(ErrorInfoSchema, create(ErrorInfoSchema, { reason, domain: "kms.fluo.dev" }))];
  if (violations.length > 0)
    error.details.push(
      detail(BadRequestSchema, create(BadRequestSchema, { fieldViolations: violations.map((each) => ({ ...each })) })),
    );
  if (retryMs !== undefined) {
    const retryDelay = { seconds: BigInt(Math.floor(retryMs / 1_000)), nanos: (retryMs % 1_000) * 1_000_000 };
    error.details.push(detail(RetryInfoSchema, create(RetryInfoSchema, { retryDelay })));
  }
  return error;
}

/** Returns INVALID_ARGUMENT for one field. */
export function invalidField(field: string, description: string): ConnectError {
  return refusal("INVALID_ARGUMENT", `${field}: ${description}`, [{ field, description }]);
}

function detail<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>) {
  return { type: schema.typeName, value: toBinary(schema, message) };
}
