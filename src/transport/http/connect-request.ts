/** Requests of the Connect protocol: the message is the body of a POST or in the query of a GET, and errors are JSON. */
import { base64Decode } from "@bufbuild/protobuf/wire";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  endStreamFlag,
  endStreamToJson,
  errorToJson,
  parseContentType,
} from "@connectrpc/connect/protocol-connect";
import { invalidField, type KmsError } from "../../errors.ts";
import type { Exchange } from "./caller-context.ts";
import { acceptedEncodings, decoded, encoded } from "./content-encoding.ts";
import { bytesReply, jsonReply, type Reply } from "./route.ts";
import type { RpcRequest } from "./rpc-request.ts";
import { retryAfterOf, toConnectError } from "../error-status.ts";
import { connectTimeoutMs } from "../timeouts.ts";

/** Undefined where the media type is not Connect's. */
export function connectPost(exchange: Exchange): RpcRequest | undefined {
  const { headers } = exchange.request;
  const type = parseContentType(headers["content-type"] ?? null);
  if (type === undefined) return undefined;
  if (type.stream) return streamRequest(type.binary);
  return unaryRequest(exchange, type.binary, (body) => decoded(body, headers["content-encoding"], exchange));
}

/** Undefined where the query names no encoding of messages. */
export function connectGet(exchange: Exchange, query: URLSearchParams): RpcRequest | undefined {
  const encoding = query.get("encoding");
  if (encoding !== "proto" && encoding !== "json") return undefined;
  const compression = query.get("compression") ?? undefined;
  const message = async () => decoded(messageIn(query), compression, exchange);
  return { ...unaryRequest(exchange, encoding === "proto", message), compressed: compression !== undefined };
}

/** For what names no protocol, so that it is told something too. */
export function plainRequest(exchange: Exchange): RpcRequest {
  return unaryRequest(exchange, false, async (body) => body);
}

function messageIn(query: URLSearchParams): Buffer {
  const message = query.get("message") ?? "";
  if (query.get("base64") !== "1") return Buffer.from(message);
  try {
    return Buffer.from(base64Decode(message));
  } catch {
    throw invalidField("message", "is not base64");
  }
}

function unaryRequest({ request }: Exchange, binary: boolean, message: RpcRequest["message"]): RpcRequest {
  const { headers } = request;
  return {
    binary,
    unary: true,
    timeoutMs: () => connectTimeoutMs(headers["connect-timeout-ms"]?.toString()),
    message,
    async answer(bytes) {
      const contentType = binary ? "application/proto" : "application/json";
      const shorter = await encoded(bytes, headers["accept-encoding"]?.toString());
      if (shorter === undefined) return bytesReply(contentType, bytes);
      return bytesReply(contentType, shorter.bytes, { "content-encoding": shorter.name });
    },
    refusal,
  };
}

function refusal(error: KmsError): Reply {
  const connectError = toConnectError(error);
  const reply = jsonReply(errorToJson(connectError, undefined), codeToHttpStatus(connectError.code));
  Object.assign(reply.headers, retryAfterOf(error));
  if (error.code === "UNIMPLEMENTED") reply.headers["accept-encoding"] = acceptedEncodings;
  return reply;
}

/** No stream is served: what is answered is the end of one. */
function streamRequest(binary: boolean): RpcRequest {
  const contentType = `application/connect+${binary ? "proto" : "json"}`;
  return {
    binary,
    unary: false,
    timeoutMs: () => undefined,
    message: async (body) => body,
    answer: async (bytes) => bytesReply(contentType, encodeEnvelope(0, bytes)),
    refusal(error) {
      const end = endStreamToJson(new Headers(), toConnectError(error), undefined);
      return bytesReply(contentType, encodeEnvelope(endStreamFlag, Buffer.from(JSON.stringify(end))));
    },
  };
}
