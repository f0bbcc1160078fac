/**
 * SignSpanResponse in wire bytes, written by hand: the generic encoder costs as much as the rest of the call but the
 * signature. Field numbers are those of signing.proto; every length but the statement's is below 128, so one byte.
 */
import { integrityAttributes, type SignedSpan, type Signer } from "../span/sign.ts";
import {
  maxVarintBytes,
  shortHead,
  writeBytes,
  writeShortHead,
  writeShortText,
  writeTimestamp,
} from "../span/wire-writer.ts";

const tag = { statement: 0x0a, signature: 0x12, keyId: 0x1a, signedAt: 0x22, attributes: 0x2a } as const;
const keyValueTag = { key: 0x0a, value: 0x12 } as const;
const stringValueTag = 0x0a;

export function encodeSignSpanResponse(signed: SignedSpan, by: Signer, signedAtMs: number): Uint8Array {
  const { statement, signature } = signed;
  const attributes = integrityAttributes(signed, by);
  let size = shortHead + maxVarintBytes + statement.length + shortHead + signature.length + shortHead + by.keyId.length;
  size += shortHead + 2 * (1 + maxVarintBytes);
  for (const [key, value] of attributes) size += 4 * shortHead + key.length + value.length;
  const out = Buffer.allocUnsafe(size);

  let at = writeBytes(out, 0, tag.statement, statement);
  at = writeBytes(out, at, tag.signature, signature);
  at = writeShortText(out, at, tag.keyId, by.keyId);
  at = writeTimestamp(out, at, tag.signedAt, signedAtMs);
  for (const [key, value] of attributes) {
    at = writeShortHead(out, at, tag.attributes, 3 * shortHead + key.length + value.length);
    at = writeShortText(out, at, keyValueTag.key, key);
    at = writeShortHead(out, at, keyValueTag.value, shortHead + value.length);
    at = writeShortText(out, at, stringValueTag, value);
  }
  return out.subarray(0, at);
}
