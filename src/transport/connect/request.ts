/**
 * Requests for an rpc by HTTP/1.1: of Connect, whose message is the body of a POST or in the query of a GET, and of
 * gRPC-Web, whose message stands in a frame.
 */
import { promisify } from "node:util";
import { brotliDecompress, gunzip } from "node:zlib";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { parseContentType } from "@connectrpc/connect/protocol-connect";
import { parseContentType as parseWebContentType } from "@connectrpc/connect/protocol-grpc-web";
import { invalidField, KmsError } from "../../errors.ts";
import { decompress } from "../decompress.ts";
import type { Exchange } from "../http/caller-context.ts";
import { maxMessageBytes } from "../limits.ts";
import { connectTimeoutMs, grpcTimeoutMs } from "../timeouts.ts";
import { acceptedEncodings, compressedFlag, headBytes, type Told } from "./library.ts";

export interface RpcRequest {
  /** Whether messages are binary, and not JSON. */
  binary: boolean;
  /** Whether it is for an rpc with messages both ways. */
  streams: boolean;
  /** Whether the message is compressed outside the body. */
  compressed?: boolean;
  /** Time that the caller gives, in milliseconds. Throws INVALID_ARGUMENT if that cannot be read. */
  timeoutMs(): number | undefined;
  /** The one message of a body, decompressed. Rejects with INVALID_ARGUMENT if there is none. */
  message(body: Buffer): Promise<Uint8Array>;
  told: Told;
}

/** Undefined for a request that no protocol knows: another verb or media type, or gRPC-Web's text in base64. */
export function rpcRequest(exchange: Exchange, query: URLSearchParams): RpcRequest | undefined {
  return exchange.request.method === "GET" ? connectGet(exchange, query) : postedRequest(exchange);
}

export function postedRequest(exchange: Exchange): RpcRequest | undefined {
  return exchange.request.method === "POST" ? (grpcWebPost(exchange) ?? connectPost(exchange)) : undefined;
}

/** A request that names no protocol, and is refused in JSON. */
export function plainRequest(exchange: Exchange): RpcRequest {
  return connectRequest(exchange, { binary: false, streams: false }, async (body) => body);
}

function connectPost(exchange: Exchange): RpcRequest | undefined {
  const { headers } = exchange.request;
  const type = parseContentType(headers["content-type"] ?? null);
  if (type === undefined) return undefined;
  const form = { binary: type.binary, streams: type.stream };
  return connectRequest(exchange, form, (body) => decompressed(body, headers["content-encoding"], exchange));
}

/** Undefined if the query names no encoding of messages. */
function connectGet(exchange: Exchange, query: URLSearchParams): RpcRequest | undefined {
  const encoding = query.get("encoding");
  if (encoding !== "proto" && encoding !== "json") return undefined;
  const compression = query.get("compression") ?? undefined;
  const message = async () => decompressed(messageIn(query), compression, exchange);
  const form = { binary: encoding === "proto", streams: false };
  return { ...connectRequest(exchange, form, message), compressed: compression !== undefined };
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

function connectRequest(
  { request: { headers } }: Exchange,
  { binary, streams }: Pick<RpcRequest, "binary" | "streams">,
  message: RpcRequest["message"],
): RpcRequest {
  const contentType = `application/${streams ? "connect+" : ""}${binary ? "proto" : "json"}`;
  return {
    binary,
    streams,
    timeoutMs: () => connectTimeoutMs(headers["connect-timeout-ms"]?.toString()),
    message,
    told: { contentType, framed: streams, accepts: ["accept-encoding", headers["accept-encoding"]?.toString()] },
  };
}

function grpcWebPost(exchange: Exchange): RpcRequest | undefined {
  const { headers } = exchange.request;
  const type = parseWebContentType(headers["content-type"] ?? null);
  if (type === undefined || type.text) return undefined;
  const encoding = headers["grpc-encoding"]?.toString();
  const contentType = `application/grpc-web+${type.binary ? "proto" : "json"}`;
  const accepts = ["grpc-accept-encoding", headers["grpc-accept-encoding"]?.toString()] as const;
  return {
    binary: type.binary,
    streams: false,
    timeoutMs: () => grpcTimeoutMs(headers["grpc-timeout"]?.toString()),
    async message(body) {
      const { flags, message } = onlyFrame(body);
      if (flags === 0) return message;
      if (decoderOf(encoding) === undefined) throw invalidField("request", namesNoCompression("grpc-encoding"));
      return decompressed(message, encoding, exchange);
    },
    told: { contentType, framed: true, accepts },
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

const decoders: ReadonlyMap<string, (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>> =
  new Map([
    ["gzip", promisify(gunzip)],
    ["br", promisify(brotliDecompress)],
  ]);

/** What is wrong with a message that its frame calls compressed, if the header says nothing of that. */
export function namesNoCompression(header: string): string {
  return `has a compressed message, and ${header} names no compression`;
}

/** A decoder of messages; undefined for none. Throws UNIMPLEMENTED for an encoding that is not known. */
export function decoderOf(encoding: string | undefined) {
  if (encoding === undefined || encoding === "" || encoding === "identity") return undefined;
  const unzip = decoders.get(encoding);
  if (!unzip) throw new KmsError("UNIMPLEMENTED", `the compression is not known: use ${acceptedEncodings} or none`);
  return (bytes: Uint8Array, wanted: () => boolean) => decompress(bytes, maxMessageBytes, wanted, unzip);
}

/** An empty message may come uncompressed whatever its encoding. */
async function decompressed(bytes: Buffer, encoding: string | undefined, { response }: Exchange): Promise<Buffer> {
  const decode = decoderOf(encoding);
  return decode === undefined || bytes.length === 0 ? bytes : decode(bytes, () => !response.destroyed);
}
