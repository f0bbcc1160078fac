/** Compression of messages by HTTP/1.1: what Connect and gRPC-Web name in headers, and of Connect's GET in the query. */
import { promisify } from "node:util";
import { brotliCompress, brotliDecompress, gunzip, gzip } from "node:zlib";
import { KmsError } from "../../errors.ts";
import { decompress } from "../decompress.ts";
import { maxMessageBytes } from "../limits.ts";
import type { Exchange } from "./caller-context.ts";

interface Encoding {
  compress(bytes: Uint8Array): Promise<Buffer>;
  decompress(bytes: Uint8Array, options: { maxOutputLength: number }): Promise<Buffer>;
}

const encodings: ReadonlyMap<string, Encoding> = new Map([
  ["gzip", { compress: promisify(gzip), decompress: promisify(gunzip) }],
  ["br", { compress: promisify(brotliCompress), decompress: promisify(brotliDecompress) }],
]);

/** As headers name those that a message may have. */
export const acceptedEncodings = [...encodings.keys()].join(",");
/** A smaller answer is not worth it. */
const compressedFromBytes = 1024;

/** UNIMPLEMENTED for an encoding that is not known. Nothing is compressed to nothing. */
export async function decoded(bytes: Buffer, name: string | undefined, { response }: Exchange): Promise<Buffer> {
  if (name === undefined || name === "" || name === "identity") return bytes;
  const encoding = encodings.get(name);
  if (!encoding) throw new KmsError("UNIMPLEMENTED", `the compression is not known: use ${acceptedEncodings} or none`);
  if (bytes.length === 0) return bytes;
  return decompress(bytes, maxMessageBytes, () => !response.destroyed, encoding.decompress);
}

/** In the first of the accepted encodings that is known; undefined where there is none, or it is not worth it. */
export async function encoded(bytes: Uint8Array, accepted = ""): Promise<{ name: string; bytes: Buffer } | undefined> {
  if (bytes.length < compressedFromBytes) return undefined;
  for (const name of accepted.split(",").map((each) => each.trim())) {
    const encoding = encodings.get(name);
    if (encoding) return { name, bytes: await encoding.compress(bytes) };
  }
  return undefined;
}
