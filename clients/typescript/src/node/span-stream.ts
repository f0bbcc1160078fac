/** One SignSpans stream: batches out as bytes, results in, and every way for it to end as one error, or none. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import type { StatusObject } from "@grpc/grpc-js";
import { type SignMode, type SignSpansResponse, SignSpansRequestSchema, SignSpansResponseSchema } from "../messages.ts";
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
export async function openSpanStream(channel: GrpcChannel, { answered, ended }: StreamEvents): Promise<SpanStream> {
  const metadata = await channel.metadata();
  const call = channel.client.makeBidiStreamRequest<Uint8Array, SignSpansResponse>(
    path,
    (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    (bytes) => fromBinary(SignSpansResponseSchema, bytes),
    metadata,
  );
  call.on("data", answered);
  // The status tells of an error, too.
  call.on("error", () => {});
  call.on("status", (status: StatusObject) => ended(status.code === 0 ? undefined : errorOf(status)));
  return { send: (message) => void call.write(message), end: () => call.end(), cancel: () => call.cancel() };
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

/** How the service, or the network, may end a stream that is to be opened again, with what it did not answer. */
export function isPassing({ code, rawMessage }: ConnectError): boolean {
  if ([Code.Unavailable, Code.Aborted, Code.ResourceExhausted, Code.DeadlineExceeded].includes(code)) return true;
  // grpc-js tells of a connection that was cut by several codes, and of how by words alone.
  const mayBeCut = [Code.Canceled, Code.Unknown, Code.Internal].includes(code);
  return (
    mayBeCut &&
    (code === Code.Canceled ||
      /RST_STREAM|dropped|stream (ended|closed)|ECONN|EPIPE|GOAWAY|received from/i.test(rawMessage))
  );
}
