/** One SignSpans stream: batches out as bytes, results in, and every way for it to end as one error, or none. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import type { StatusObject } from "@grpc/grpc-js";
import { detailsOf } from "../error-details.ts";
import { type SignMode, SignSpansRequestSchema, type SignSpansResponse, SignSpansResponseSchema } from "../messages.ts";
import { errorOf } from "./grpc-error.ts";
import type { GrpcChannel } from "./grpc-transport.ts";

/** What became of one span: the attributes to put on it, with its index in log mode; or why it was not signed. */
export type SpanResult =
  | { attributes: readonly (readonly [key: string, value: string])[]; leafIndex: bigint | undefined }
  | SpanRefusal;

export interface SpanRefusal {
  /** A gRPC status. */
  code: Code;
  /** Path of the field that is wrong, as in "span.attributes[3].key"; may be empty. */
  field: string;
  message: string;
}

export interface StreamEvents {
  answered(response: SignSpansResponse): void;
  /** Called when the service sends what is no SignSpansResponse. */
  unreadable(error: unknown): void;
  /** Called once, as the last. Undefined where the service ended the stream well. */
  ended(error: ConnectError | undefined): void;
}

export interface SpanStream {
  send(message: Uint8Array): void;
  /** The service answers what it has, and ends the stream. */
  end(): void;
  cancel(): void;
}

const path = "/fluo.kms.v1.KmsService/SignSpans";

/** The token is asked for now: credentials count when a stream opens. Rejects where there is none. */
export async function openSpanStream(channel: GrpcChannel, events: StreamEvents): Promise<SpanStream> {
  const metadata = await channel.metadata();
  // Read here: for grpc-js a response that cannot be read is an INTERNAL like that of a broken connection.
  const call = channel.client.makeBidiStreamRequest<Uint8Array, Uint8Array>(
    path,
    (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    (bytes) => bytes,
    metadata,
  );
  call.on("data", (bytes: Uint8Array) => {
    let response: SignSpansResponse;
    try {
      response = fromBinary(SignSpansResponseSchema, bytes);
    } catch (error) {
      events.unreadable(error);
      return;
    }
    events.answered(response);
  });
  const cancel = () => call.cancel();
  channel.closed.addEventListener("abort", cancel);
  // The status tells of an error, too.
  call.on("error", () => {});
  call.on("status", (status: StatusObject) => {
    channel.closed.removeEventListener("abort", cancel);
    events.ended(status.code === 0 ? undefined : errorOf(status));
  });
  return { send: (message) => void call.write(message), end: () => call.end(), cancel };
}

/** A batch as the service takes it: the spans as they are encoded, and the other fields behind them. */
export function batchMessage(
  resourceSpans: Uint8Array,
  terms: { tenantId: string; mode: SignMode; requestId: string },
): Uint8Array {
  const rest = create(SignSpansRequestSchema, { ...terms, withAttributes: true });
  return Buffer.concat([resourceSpans, toBinary(SignSpansRequestSchema, rest)]);
}

export function resultsOf({ results }: SignSpansResponse): SpanResult[] {
  return results.map(({ result }): SpanResult => {
    if (result.case !== "signed") {
      const { code = Code.Internal, field = "", message = "the service gave no result" } = result.value ?? {};
      return { code, field, message };
    }
    const { attributes, leafIndex } = result.value;
    return {
      attributes: attributes.map(({ key, value }) => [
        key,
        value?.value.case === "stringValue" ? value.value.value : "",
      ]),
      leafIndex,
    };
  });
}

/**
 * Whether a stream that ended so is to be opened again, with what it did not answer. The service says by RetryInfo that it wants to be asked
 * again, and by a negative pushback (gRFC A6) that it does not. Each of its other errors has an ErrorInfo: one without was made where a
 * connection broke, here or in a proxy, for which grpc-js has no status of its own.
 */
export function isPassing(error: ConnectError): boolean {
  const { reason, retryAfterMs } = detailsOf(error);
  const pushback = error.metadata.get(pushbackTrailer);
  if (pushback !== null && !/^\d+$/.test(pushback)) return false;
  if (retryAfterMs !== undefined || passing.includes(error.code)) return true;
  return reason === undefined && ofConnections.includes(error.code);
}

const pushbackTrailer = "grpc-retry-pushback-ms";
const passing: readonly Code[] = [Code.Unavailable, Code.Aborted, Code.DeadlineExceeded, Code.Canceled];
/** Statuses that grpc-js gives to resets of a stream, beside UNAVAILABLE and CANCELLED. */
const ofConnections: readonly Code[] = [Code.Internal, Code.Unknown, Code.ResourceExhausted];
