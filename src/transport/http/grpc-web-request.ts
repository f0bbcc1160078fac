/** Requests of gRPC-Web: a message behind a head of five bytes; what ends the call is another such frame, behind the answer. */
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  parseContentType,
  setTrailerStatus,
  trailerFlag,
  trailerSerialize,
} from "@connectrpc/connect/protocol-grpc-web";
import { invalidField, type KmsError } from "../../errors.ts";
import type { Exchange } from "./caller-context.ts";
import { decoded, encoded } from "./content-encoding.ts";
import { bytesReply } from "./route.ts";
import type { RpcRequest } from "./rpc-request.ts";
import { pushbackOf, toConnectError } from "../error-status.ts";
import { grpcTimeoutMs } from "../timeouts.ts";

const headBytes = 5;
const compressedFlag = 1;

/** Undefined where the media type is not gRPC-Web's, or is its text in base64, which is not served. */
export function grpcWebPost(exchange: Exchange): RpcRequest | undefined {
  const { headers } = exchange.request;
  const type = parseContentType(headers["content-type"] ?? null);
  if (type === undefined || type.text) return undefined;
  const encoding = headers["grpc-encoding"]?.toString();
  const contentType = `application/grpc-web+${type.binary ? "proto" : "json"}`;
  return {
    binary: type.binary,
    timeoutMs: () => grpcTimeoutMs(headers["grpc-timeout"]?.toString()),
    async message(body) {
      const { flags, message } = onlyFrame(body);
      return decoded(message, flags === compressedFlag ? (encoding ?? "identity") : undefined, exchange);
    },
    async answer(bytes) {
      const shorter = await encoded(bytes, headers["grpc-accept-encoding"]?.toString());
      const frame = shorter ? encodeEnvelope(compressedFlag, shorter.bytes) : encodeEnvelope(0, bytes);
      return bytesReply(contentType, Buffer.concat([frame, end()]), shorter && { "grpc-encoding": shorter.name });
    },
    refusal: (error) => bytesReply(contentType, end(error)),
  };
}

function onlyFrame(body: Buffer): { flags: number; message: Buffer } {
  const flags = body[0];
  const whole = body.length >= headBytes && body.readUInt32BE(1) === body.length - headBytes;
  if (!whole || flags === undefined || flags > compressedFlag) {
    throw invalidField("request", "is not one message of gRPC-Web: a flag, a length in four bytes and as many bytes");
  }
  return { flags, message: body.subarray(headBytes) };
}

function end(error?: KmsError): Uint8Array {
  const trailer = new Headers(error && pushbackOf(error));
  return encodeEnvelope(trailerFlag, trailerSerialize(setTrailerStatus(trailer, error && toConnectError(error))));
}
