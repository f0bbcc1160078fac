/** What an error of the service says beside its code, whichever client it came through. */
import { fromBinary } from "@bufbuild/protobuf";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema, StatusSchema } from "./messages.ts";

export interface ErrorDetails {
  /** The service's stable word for it, as in "CIPHERTEXT_REJECTED". */
  reason: string | undefined;
  /** The fields that are wrong, with what is wrong about each; empty where none is named. */
  fields: readonly { field: string; description: string }[];
  /** After how many milliseconds to try again. */
  retryAfterMs: number | undefined;
}

/**
 * The ErrorInfo, BadRequest and RetryInfo details of a ConnectError, or of a ServiceError of `@grpc/grpc-js`. Never throws; of any other
 * value, and of details that cannot be read, there are none.
 */
export function detailsOf(error: unknown): ErrorDetails {
  const details: {
    reason: string | undefined;
    fields: ErrorDetails["fields"][number][];
    retryAfterMs: number | undefined;
  } = {
    reason: undefined,
    fields: [],
    retryAfterMs: undefined,
  };
  try {
    const [info, request, retry] = error instanceof ConnectError ? ofConnect(error) : ofGrpc(error);
    details.reason = info.at(0)?.reason;
    for (const { fieldViolations } of request)
      details.fields.push(...fieldViolations.map(({ field, description }) => ({ field, description })));
    const delay = retry.at(0)?.retryDelay;
    if (delay !== undefined) details.retryAfterMs = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
  } catch {} // of what cannot be read, what was read before it counts
  return details;
}

function ofConnect(error: ConnectError) {
  return [
    error.findDetails(ErrorInfoSchema),
    error.findDetails(BadRequestSchema),
    error.findDetails(RetryInfoSchema),
  ] as const;
}

function ofGrpc(error: unknown) {
  const { metadata } = (error ?? {}) as { metadata?: { get?: (name: string) => unknown[] } };
  const [encoded] = metadata?.get?.("grpc-status-details-bin") ?? [];
  const details: Any[] = encoded instanceof Uint8Array ? fromBinary(StatusSchema, encoded).details : [];
  return [
    details.flatMap((each) => anyUnpack(each, ErrorInfoSchema) ?? []),
    details.flatMap((each) => anyUnpack(each, BadRequestSchema) ?? []),
    details.flatMap((each) => anyUnpack(each, RetryInfoSchema) ?? []),
  ] as const;
}
