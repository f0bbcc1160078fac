/**
 * Responses of Connect and gRPC-Web by the handlers of @connectrpc/connect-node: media types, statuses, trailers, frames
 * and compression. The handlers get nothing of a request but its media type and the encodings that it accepts, with an
 * empty message in place of its own: what a client sends is read strictly before, and refused as on gRPC. The library
 * would call a request that it cannot read `internal`, after it has decompressed it.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import {
  createConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
  type MethodImpl,
} from "@connectrpc/connect";
import {
  createAsyncIterable,
  encodeEnvelope,
  type UniversalHandler,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import type { KmsError } from "../../errors.ts";
import { pushbackOf, retryAfterOf, toConnectError } from "../error-status.ts";
import { maxMessageBytes, tooLarge } from "../limits.ts";

/** What a handler is told of a request. */
export interface Told {
  readonly contentType: string;
  /** The header by which the protocol names encodings of responses, and its value. */
  readonly accepts?: readonly [name: string, value: string | undefined];
  /** Whether a message stands in a frame. */
  readonly framed: boolean;
}

/** Makes the response for what `outcome` returns or throws: a message, or the messages of a stream; or a ConnectError. */
export type Respond = (told: Told, outcome: () => unknown) => Promise<UniversalServerResponse>;

export interface Responders {
  of(method: DescMethod): Respond;
  /** A response that is an error, of which all methods have the same. It is never compressed: not every client of gRPC-Web reads trailers that are. */
  refuse(told: Told, error: KmsError): Promise<UniversalServerResponse>;
}

/** The one stage of every handler: what the call came to, or its messages as they are made. */
const outcomeKey = createContextKey<() => unknown>(() => {
  throw new Error("a call came past the service");
});

/** Encodings of messages that are known, as headers name them. */
export const acceptedEncodings = "gzip,br";

const acceptCompression = [compressionGzip, compressionBrotli].map((compression) => ({
  ...compression,
  compress(bytes: Uint8Array) {
    checkSize(bytes.length);
    return compression.compress(bytes);
  },
}));

export function createResponders(methods: readonly DescMethod[]): Responders {
  const router = createConnectRouter({ grpc: false, acceptCompression });
  for (const method of methods) {
    const give = (_empty: unknown, { values }: HandlerContext) => values.get(outcomeKey)();
    router.rpc(method, give as MethodImpl<DescMethod>);
  }
  const handlers = new Map(router.handlers.map((handler) => [handler.method, handler]));
  const [unary, stream] = [true, false].map((isUnary) =>
    router.handlers.find(({ method }) => (method.methodKind === "unary") === isUnary),
  );
  return {
    of: (method) => (told, outcome) => respond(handlers.get(method)!, told, outcome),
    refuse({ contentType, framed }, error) {
      const handler = contentType.startsWith("application/connect+") ? stream! : unary!;
      const metadata = framed ? pushbackOf(error) : retryAfterOf(error);
      return respond(handler, { contentType, framed }, () => {
        throw toConnectError(error, metadata);
      });
    },
  };
}

const emptyBinary = new Uint8Array();
const emptyJson = Buffer.from("{}");

function respond(handler: UniversalHandler, { contentType, accepts, framed }: Told, outcome: () => unknown) {
  const header = new Headers({ "content-type": contentType });
  if (accepts?.[1] !== undefined) header.set(accepts[0], accepts[1]);
  const message = contentType.endsWith("json") ? emptyJson : emptyBinary;
  return handler({
    httpVersion: "2.0",
    method: "POST", // as which a GET is answered, too
    url: "http://service/",
    header,
    body: createAsyncIterable([framed ? encodeEnvelope(0, message) : message]),
    signal: new AbortController().signal,
    contextValues: createContextValues().set(outcomeKey, outcome),
  });
}

export const compressedFlag = 1;
/** Bytes before a message in a frame: its flags, and its length. */
export const headBytes = 5;

/** The body of a unary response. Throws MESSAGE_TOO_LARGE. */
export async function wholeBody({ body }: UniversalServerResponse, { framed }: Told): Promise<Uint8Array> {
  const [message, ...trailers] = await Array.fromAsync(body!);
  checkSize(message!.length - (framed ? headBytes : 0));
  return trailers.length === 0 ? message! : Buffer.concat([message!, ...trailers]);
}

function checkSize(bytes: number): void {
  if (bytes > maxMessageBytes) throw tooLarge(maxMessageBytes);
}
