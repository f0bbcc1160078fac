/** Requests over HTTP/2: frames, headers, compression and timeouts of gRPC, right and wrong. */
import { deflateSync, gzipSync } from "node:zlib";
import type { Random } from "../crash/random.ts";
import { frame } from "../support/raw-stream.ts";
import type { FuzzRequest } from "./requests.ts";

export const timeouts = [
  "1n",
  "500u",
  "1m",
  "50m",
  "5S",
  "1H",
  "99999999H",
  "soon",
  "",
  "5",
  "S5",
  "5s",
  "123456789S",
  "-1S",
  "1S,2S",
];
const mediaTypes = [
  "application/grpc+proto",
  "application/grpc+json",
  "application/grpcx",
  "application/json",
  "",
  "text/plain",
];
const encodings = ["gzip", "deflate", "identity", "zstd", "br", "gzip, gzip", ""];
const junk: [string, string][] = [
  ["x-fuzz", "hunter2"],
  ["x-fuzz-bin", "AQID"],
  ["x-fuzz-bin", "!!! no base64"],
  ["x-fuzz", "caf\u00e9"],
  ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
  ["traceparent", "00-zz"],
  ["tracestate", "=".repeat(600)],
  ["baggage", "a=%zz,%%"],
  ["grpc-accept-encoding", "none"],
  ["grpc-status", "0"],
  ["user-agent", "x".repeat(2000)],
];

export function grpcRequest({ path, contents }: { path: string; contents: Uint8Array[] }, random: Random): FuzzRequest {
  const headers: Record<string, string> = { "content-type": "application/grpc", te: "trailers" };
  const encoding = random.chance(0.15) ? random.pick(encodings) : undefined;
  if (encoding !== undefined) headers["grpc-encoding"] = encoding;
  if (random.chance(0.08)) headers["grpc-timeout"] = random.pick(timeouts)!;
  if (random.chance(0.04)) headers["content-type"] = random.pick(mediaTypes)!;
  if (random.chance(0.15)) Object.assign(headers, Object.fromEntries([random.pick(junk)!]));
  const asked = random.chance(0.03)
    ? random.pick([`${path}x`, `${path}?a`, `/${path}`, "/", path.toUpperCase()])!
    : path;
  const body = Buffer.concat(contents.map((content) => framed(content, encoding, random)));
  return {
    by: "grpc",
    transport: asked.endsWith("/SignSpans") ? "gRPC, streams" : "gRPC, unary",
    what: `gRPC ${asked} ${JSON.stringify(headers)} ${body.toString("hex")}`,
    path: asked,
    headers,
    body: random.chance(0.05) ? body.subarray(0, random.below(body.length + 1)) : body,
    endless: asked.endsWith("/Watch"),
  };
}

/** One message, mostly as it should be, as it is or compressed as its call says. */
export function framed(content: Uint8Array, encoding: string | undefined, random: Random): Buffer {
  const compress = encoding === "gzip" ? gzipSync : encoding === "deflate" ? deflateSync : undefined;
  if (random.chance(0.04)) return Buffer.of();
  if (random.chance(0.04)) return Buffer.concat([frame(content), frame(content)]);
  if (random.chance(0.04)) return frame(content, random.pick([0, content.length + 1, 2 ** 32 - 1, 5_000_000])!);
  if (random.chance(0.04)) return frame(content, content.length, random.pick([1, 2, 0x80, 0xff])!);
  return compress && random.chance(0.8) ? frame(compress(content), undefined, 1) : frame(content);
}
