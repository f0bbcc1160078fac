/**
 * Tokens and data key blobs in the service's format, under the fake's key: `0x01 ‖ kind ‖ key_id (16) ‖ Cobblestone-256`, the header and the
 * canonical context in its context, the input key `HKDF-Expand-SHA-512(key, "fluo-kms/v1/" ‖ use, 32)`. A token is `fk1.` and base64url.
 */
import {
  chunkBytes,
  expand,
  openingChunks,
  prefixBytes,
  SealedFileError,
  sealingChunks,
  tagBytes,
} from "../node/cobblestone.ts";
import { invalidField, refusal } from "./refusals.ts";

export const keyId = "00112233445566778899aabbccddeeff";
const dataKey = Buffer.from("9374efee4579412084cc45c00ffbd3c5ed22a2b98ca98c1c760e46ab4cbfdf1d", "hex");

/** The longest plaintext, in bytes. */
export const maxValueBytes = 65_536;
const [maxContextPairs, maxContextBytes] = [16, 4_096];

type Use = "pii" | "data-key";
const inputKeys = { pii: inputKey("pii"), "data-key": inputKey("data-key") };
const headers = { pii: header(1), "data-key": header(2) };
const sealedChunkBytes = chunkBytes + tagBytes;

function inputKey(use: Use): Buffer {
  return expand(dataKey, Buffer.from(`fluo-kms/v1/${use}`), 32);
}

function header(kind: number): Buffer {
  return Buffer.concat([Buffer.of(1, kind), Buffer.from(keyId, "hex")]);
}

/** Returns what binds a ciphertext to tenant, field (empty for a data key) and pairs. Throws INVALID_ARGUMENT for pairs that are none. */
export function canonicalContext(tenantId: string, field: string, pairs: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(pairs);
  if (entries.length > maxContextPairs)
    throw invalidField("encryption_context", `at most ${maxContextPairs} pairs, not ${entries.length}`);
  if (!entries.flat().every((text) => text.isWellFormed()))
    throw invalidField("encryption_context", "must be valid UTF-8");
  const encoded = entries.map(([key, value]) => [Buffer.from(key), Buffer.from(value)] as const);
  if (encoded.flat().reduce((sum, { length }) => sum + length, 0) > maxContextBytes)
    throw invalidField("encryption_context", `keys and values are at most ${maxContextBytes} bytes together`);
  encoded.sort(([a], [b]) => Buffer.compare(a, b));
  return Buffer.concat([
    Buffer.from("fluo-kms/context/v1"),
    prefixed(Buffer.from(tenantId)),
    prefixed(Buffer.from(field)),
    uint32(encoded.length),
    ...encoded.flat().map(prefixed),
  ]);
}

function prefixed(bytes: Buffer): Buffer {
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function uint32(number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}

export function sealEnvelope(use: Use, context: Uint8Array, plaintext: Uint8Array): Buffer {
  const chunks = sealingChunks(inputKeys[use], Buffer.concat([headers[use], context]));
  const parts: Uint8Array[] = [headers[use], chunks.prefix];
  for (let at = 0; at <= plaintext.length; at += chunkBytes)
    parts.push(chunks.seal(plaintext.subarray(at, at + chunkBytes)));
  return Buffer.concat(parts);
}

/** Throws CIPHERTEXT_REJECTED for everything that `sealEnvelope` did not give for this context. */
export function openEnvelope(use: Use, context: Uint8Array, envelope: Uint8Array): Uint8Array {
  const own = headers[use];
  if (!own.equals(envelope.subarray(0, own.length))) throw rejected();
  const sealed = envelope.subarray(own.length);
  try {
    const chunks = openingChunks(inputKeys[use], Buffer.concat([own, context]), sealed.subarray(0, prefixBytes));
    const parts: Uint8Array[] = [];
    for (let at = prefixBytes, isLast = false; !isLast; at += sealedChunkBytes) {
      const chunk = sealed.subarray(at, at + sealedChunkBytes);
      isLast = chunk.length < sealedChunkBytes;
      parts.push(chunks.open(chunk));
    }
    return new Uint8Array(Buffer.concat(parts));
  } catch (error) {
    if (error instanceof SealedFileError) throw rejected();
    throw error;
  }
}

const prefix = "fk1.";

/** Prefixes that are kept for other tokens, and what for. */
const reserved: ReadonlyMap<string, string> = new Map([
  ["fl1.", "what a client library seals and opens by itself"],
  ["fh1.", "public-key sealing"],
  ["fp1.", "public-key sealing"],
  ["fb1.", "blind indexes"],
]);

export function sealToken(context: Uint8Array, value: Uint8Array): string {
  return prefix + sealEnvelope("pii", context, value).toString("base64url");
}

/** Throws CIPHERTEXT_REJECTED for what is no token of this context, and INVALID_ARGUMENT for one of another kind that is reserved. */
export function openToken(context: Uint8Array, token: string): Uint8Array {
  const purpose = reserved.get(token.slice(0, prefix.length));
  if (purpose !== undefined) throw reservedToken(`${token.slice(0, prefix.length)} is for ${purpose}`);
  if (!token.startsWith(prefix)) throw rejected();
  const envelope = Buffer.from(token.slice(prefix.length), "base64url");
  if (prefix + envelope.toString("base64url") !== token) throw rejected();
  if (envelope[0] === 1 && envelope[1] === 3) throw reservedToken("kind 3 of fk1. is for tokens of subjects");
  return openEnvelope("pii", context, envelope);
}

function rejected() {
  return refusal("CIPHERTEXT_REJECTED", "ciphertext rejected");
}

function reservedToken(what: string) {
  return refusal("INVALID_ARGUMENT", `${what}; the service opens what EncryptPii gives`);
}
