/** Requests of Connect, by POST and GET and of its streams, and of gRPC-Web, with headers right and wrong. */
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import type { DescMethod } from "@bufbuild/protobuf";
import type { Random } from "../crash/random.ts";
import { framed, timeouts } from "./grpc-requests.ts";
import { type Content, type FuzzRequest, pathOf } from "./requests.ts";

const mediaTypes = [
  ...["application/proto", "application/json", "application/json; charset=utf-8", "application/json; charset=latin1"],
  ...["application/connect+proto", "application/connect+json", "application/grpc", "application/grpc-web-text"],
  ...["application/grpc-web+json", "text/plain", "", "APPLICATION/JSON", "application/json,application/proto"],
];
const encodings = ["gzip", "br", "deflate", "identity", "zstd", ""];
const compressions = { gzip: gzipSync, br: brotliCompressSync, deflate: deflateSync } as const;

export function connectRequest(method: DescMethod, content: Content, random: Random): FuzzRequest {
  const binary = random.chance(0.5);
  const headers: Record<string, string> = { "content-type": binary ? "application/proto" : "application/json" };
  if (random.chance(0.06)) headers["content-type"] = random.pick(mediaTypes)!;
  if (random.chance(0.06))
    headers["connect-timeout-ms"] = random.pick(["0", "1", "50", "9999999999", "99999999999", "x", "-1", "1.5"])!;
  const encoding = random.chance(0.15) ? random.pick(encodings)! : undefined;
  if (encoding !== undefined) headers["content-encoding"] = encoding;
  const plain = binary ? content.binary : content.json;
  return http(`Connect, ${binary ? "binary" : "JSON"}`, {
    verb: random.chance(0.02) ? random.pick(["PUT", "OPTIONS", "HEAD", "PATCH", "DELETE"])! : "POST",
    path: pathOf(method),
    headers: withOthers(headers, random),
    body: random.chance(0.85) ? compressed(plain, encoding) : plain,
  });
}

export function connectGetRequest(method: DescMethod, content: Content, random: Random): FuzzRequest {
  const binary = random.chance(0.5);
  const compression = random.chance(0.2) ? random.pick(encodings)! : undefined;
  const message = compressed(binary ? content.binary : content.json, compression);
  const query = new URLSearchParams({ connect: "v1", encoding: binary ? "proto" : "json" });
  if (compression !== undefined) query.set("compression", compression);
  if (random.chance(0.9)) query.set("base64", "1");
  const text = Buffer.from(message).toString(random.chance(0.5) ? "base64url" : "base64");
  query.set("message", query.has("base64") && random.chance(0.95) ? text : Buffer.from(message).toString());
  if (random.chance(0.05)) query.delete(random.pick(["connect", "encoding", "message"])!);
  if (random.chance(0.03)) query.set("encoding", "xml");
  const path = `${pathOf(method)}?${query}`.slice(0, maxTarget);
  return http("Connect, GET", { verb: "GET", path, headers: withOthers({}, random), body: undefined });
}

/** Well below the limit of all headers together, which is tried by requests of their own. */
const maxTarget = 12_000;

export function grpcWebRequest(method: DescMethod, content: Content, random: Random): FuzzRequest {
  const binary = random.chance(0.7);
  const headers: Record<string, string> = { "content-type": `application/grpc-web+${binary ? "proto" : "json"}` };
  if (random.chance(0.03)) headers["content-type"] = random.pick(mediaTypes)!;
  if (random.chance(0.08)) headers["grpc-timeout"] = random.pick(timeouts)!;
  const encoding = random.chance(0.15) ? random.pick(encodings)! : undefined;
  if (encoding !== undefined) headers["grpc-encoding"] = encoding;
  const body = framed(binary ? content.binary : content.json, encoding, random);
  return http("gRPC-Web", { verb: "POST", path: pathOf(method), headers: withOthers(headers, random), body });
}

/** Over HTTP/2. */
export function connectStreamRequest(
  { path, contents, binary }: { path: string; contents: Uint8Array[]; binary: boolean },
  random: Random,
): FuzzRequest {
  const headers: Record<string, string> = { "content-type": `application/connect+${binary ? "proto" : "json"}` };
  if (random.chance(0.03)) headers["content-type"] = random.pick(mediaTypes)!;
  const encoding = random.chance(0.15) ? random.pick(encodings)! : undefined;
  if (encoding !== undefined) headers["connect-content-encoding"] = encoding;
  if (random.chance(0.15)) headers["connect-accept-encoding"] = random.pick(encodings)!;
  if (random.chance(0.08))
    headers["connect-timeout-ms"] = random.pick(["0", "1", "50", "9999999999", "x", "-1", "1.5", ""])!;
  const all = withOthers(headers, random);
  const body = Buffer.concat(contents.map((content) => framed(content, encoding, random)));
  return {
    by: "grpc",
    transport: "Connect, streams",
    what: `Connect ${path} ${JSON.stringify(all)} ${body.toString("hex")}`,
    path,
    headers: all,
    body: random.chance(0.05) ? body.subarray(0, random.below(body.length + 1)) : body,
    endless: false,
  };
}

function withOthers(headers: Record<string, string>, random: Random): Record<string, string> {
  const others: Record<string, string>[] = [
    { "accept-encoding": random.pick(encodings)! },
    { "grpc-accept-encoding": random.pick(encodings)! },
    { "connect-protocol-version": random.pick(["1", "2", "x"])! },
    { origin: random.pick(["null", "http://evil.example"])! },
    { traceparent: "00-zz" },
    { "x-fuzz": "caf\u00e9" },
  ];
  return random.chance(0.15) ? { ...headers, ...random.pick(others) } : headers;
}

function compressed(bytes: Uint8Array, encoding: string | undefined): Uint8Array {
  const compress = compressions[encoding as keyof typeof compressions];
  return compress ? compress(bytes) : bytes;
}

function http(
  transport: string,
  request: { verb: string; path: string; headers: Record<string, string>; body: Uint8Array | undefined },
): FuzzRequest {
  const { verb, path, headers, body } = request;
  const what = `${verb} ${path} ${JSON.stringify(headers)} ${Buffer.from(body ?? []).toString("hex")}`;
  return { by: "http", transport, what, ...request };
}
