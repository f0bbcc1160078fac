/**
 * SignSpanResponse in wire bytes, written by hand: the generic encoder costs as much as the rest of the call but the
 * signature. Field numbers are those of signing.proto; every length but the statement's is below 128, so one byte.
 */
import { integrityAttributes, type SignedSpan, type Signer } from "../span/sign.ts";

const tag = { statement: 0x0a, signature: 0x12, keyId: 0x1a, signedAt: 0x22, attributes: 0x2a } as const;
const timestampTag = { seconds: 0x08, nanos: 0x10 } as const;
const keyValueTag = { key: 0x0a, value: 0x12 } as const;
const stringValueTag = 0x0a;

/** Tag and one length byte. */
const head = 2;
const maxVarintBytes = 10;

export function encodeSignSpanResponse(signed: SignedSpan, by: Signer, signedAtMs: number): Uint8Array {
  const { statement, signature } = signed;
  const attributes = integrityAttributes(signed, by);
  let size = head + maxVarintBytes + statement.length + head + signature.length + head + by.keyId.length;
  size += head + 2 * (1 + maxVarintBytes);
  for (const [key, value] of attributes) size += 4 * head + key.length + value.length;
  const out = Buffer.allocUnsafe(size);

  out[0] = tag.statement;
  let at = writeVarint(out, 1, statement.length);
  out.set(statement, at);
  at += statement.length;
  at = writeHead(out, at, tag.signature, signature.length);
  out.set(signature, at);
  at += signature.length;
  at = writeText(out, at, tag.keyId, by.keyId);
  at = writeTimestamp(out, at, signedAtMs);
  for (const [key, value] of attributes) {
    at = writeHead(out, at, tag.attributes, 3 * head + key.length + value.length);
    at = writeText(out, at, keyValueTag.key, key);
    at = writeHead(out, at, keyValueTag.value, head + value.length);
    at = writeText(out, at, stringValueTag, value);
  }
  return out.subarray(0, at);
}

function writeHead(out: Buffer, at: number, fieldTag: number, length: number): number {
  out[at] = fieldTag;
  out[at + 1] = length;
  return at + head;
}

/** ASCII: ids, names and times of our own. */
function writeText(out: Buffer, at: number, fieldTag: number, text: string): number {
  return writeHead(out, at, fieldTag, text.length) + out.write(text, at + head, "latin1");
}

function writeTimestamp(out: Buffer, at: number, ms: number): number {
  const start = at + head;
  out[start] = timestampTag.seconds;
  let end = writeVarint(out, start + 1, Math.floor(ms / 1000));
  const nanos = (ms % 1000) * 1_000_000;
  if (nanos > 0) {
    out[end] = timestampTag.nanos;
    end = writeVarint(out, end + 1, nanos);
  }
  writeHead(out, at, tag.signedAt, end - start);
  return end;
}

/** Returns the offset behind the varint. Seconds pass 32 bits in 2106, so no bit operators on the whole. */
function writeVarint(out: Buffer, at: number, value: number): number {
  let rest = value;
  let end = at;
  while (rest >= 128) {
    out[end++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  out[end++] = rest;
  return end;
}
