/**
 * KmsError to gRPC status and google.rpc details, for both transports, and whose fault each is. What is not a KmsError is a bug: INTERNAL.
 */
import { create, type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { Metadata, type StatusObject } from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/ts/google/rpc/status_pb.ts";
import { KmsError, type KmsErrorCode, RpcCode, rpcCode } from "../errors.ts";
import type { Outcome } from "../telemetry/instruments.ts";

/** Domain of the ErrorInfo detail. */
export const errorDomain = "kms.fluo.dev";

/** How long to wait before trying again; absent where trying again is no use. */
export const retryDelayMs: Partial<Record<KmsErrorCode, number>> = {
  PROVIDER_UNAVAILABLE: 1000,
  STORE_UNAVAILABLE: 1000,
  AUDIT_UNAVAILABLE: 1000,
  DRAINING: 100,
  IDLE: 100,
  OVERLOADED: 500,
  ISSUER_UNAVAILABLE: 5000,
};

interface Detail<Desc extends DescMessage = DescMessage> {
  desc: Desc;
  value: MessageShape<Desc>;
}

/** A bug's own text may hold anything, so it stays in the log. */
export function toKmsError(error: unknown): KmsError {
  if (error instanceof KmsError) return error;
  return new KmsError("INTERNAL", "internal error: see the log of the service", { cause: error });
}

function details(error: KmsError): Detail[] {
  const list: Detail[] = [
    {
      desc: ErrorInfoSchema,
      value: create(ErrorInfoSchema, { reason: error.code, domain: errorDomain, metadata: error.metadata }),
    },
  ];
  if (error.violations.length > 0) {
    list.push({ desc: BadRequestSchema, value: create(BadRequestSchema, { fieldViolations: [...error.violations] }) });
  }
  const delayMs = retryMs(error);
  if (delayMs !== undefined) {
    const retryDelay = { seconds: BigInt(Math.floor(delayMs / 1000)), nanos: (delayMs % 1000) * 1_000_000 };
    list.push({ desc: RetryInfoSchema, value: create(RetryInfoSchema, { retryDelay }) });
  }
  return list;
}

/** Undefined if trying again is no use. Whole, because clocks count in fractions and nanoseconds are whole. */
function retryMs({ code, retryAfterMs = retryDelayMs[code] }: KmsError): number | undefined {
  return retryAfterMs === undefined ? undefined : Math.ceil(retryAfterMs);
}

/**
 * Metadata by which gRPC clients learn when to try again, if their retry policy names RESOURCE_EXHAUSTED (gRFC A6): the figure of RetryInfo,
 * or -1 if waiting does not mend the error. Empty for other statuses.
 */
export function pushbackOf(error: KmsError): Readonly<Record<string, string>> {
  if (rpcCode[error.code] !== RpcCode.RESOURCE_EXHAUSTED) return {};
  return { "grpc-retry-pushback-ms": String(retryMs(error) ?? -1) };
}

/** For grpc-js: details travel in grpc-status-details-bin. */
export function toGrpcStatus(error: KmsError): Partial<StatusObject> {
  const code = rpcCode[error.code];
  const status = create(StatusSchema, {
    code,
    message: error.message,
    details: details(error).map(({ desc, value }) => anyPack(desc, value)),
  });
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, status)));
  for (const [name, value] of Object.entries(pushbackOf(error))) metadata.set(name, value);
  return { code, details: error.message, metadata };
}

/** For Connect and gRPC-Web. */
export function toConnectError(error: KmsError, metadata?: Readonly<Record<string, string>>): ConnectError {
  const code = rpcCode[error.code] as number as Code;
  return new ConnectError(error.message, code, metadata, details(error));
}

const httpStatus: Partial<Record<number, number>> = {
  [Code.InvalidArgument]: 400,
  [Code.Unauthenticated]: 401,
  [Code.PermissionDenied]: 403,
  [Code.NotFound]: 404,
  [Code.Aborted]: 409,
  [Code.AlreadyExists]: 409,
  [Code.FailedPrecondition]: 412,
  [Code.ResourceExhausted]: 429,
  [Code.Canceled]: 499,
  [Code.Unavailable]: 503,
  [Code.DeadlineExceeded]: 504,
};

/** Answer of the HTTP paths: status, JSON body, and in whole seconds when to try again. */
export function toHttpError(error: KmsError): { status: number; headers: Record<string, string>; body: unknown } {
  const code = rpcCode[error.code];
  return {
    status: httpStatus[code] ?? 500,
    headers: retryAfterOf(error),
    body: { code: error.code, message: error.message, fields: error.violations },
  };
}

/** The header that says in whole seconds when to try again; empty if that is no use. */
export function retryAfterOf(error: KmsError): Record<string, string> {
  const delayMs = retryMs(error);
  return delayMs === undefined ? {} : { "retry-after": String(Math.ceil(delayMs / 1000)) };
}

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
