/**
 * SignSpanResponse in wire bytes, written by hand: the generic encoder costs as much as the rest of the call but the
 * signature. Field numbers are those of signing.proto; every length but the statement's is below 128, so one byte.
 */
import { attributeBytes, writeAttribute } from "../../batch/attribute-results.ts";
import { integrityAttributes, type SignedSpan, type Signer } from "../../attestation/sign-statement.ts";
import { maxVarintBytes, shortHead, writeBytes, writeShortText, writeTimestamp } from "../../encoding/wire-writer.ts";

const tag = { statement: 0x0a, signature: 0x12, keyId: 0x1a, signedAt: 0x22, attributes: 0x2a } as const;

export function encodeSignSpanResponse(signed: SignedSpan, by: Signer, signedAtMs: number): Uint8Array {
  const { statement, signature } = signed;
  const attributes = integrityAttributes(signed, by);
  let size = shortHead + maxVarintBytes + statement.length + shortHead + signature.length + shortHead + by.keyId.length;
  size += shortHead + 2 * (1 + maxVarintBytes);
  for (const [key, value] of attributes) size += attributeBytes(key, value.length);
  const out = Buffer.allocUnsafe(size);

  let at = writeBytes(out, 0, tag.statement, statement);
  at = writeBytes(out, at, tag.signature, signature);
  at = writeShortText(out, at, tag.keyId, by.keyId);
  at = writeTimestamp(out, at, tag.signedAt, signedAtMs);
  for (const attribute of attributes) at = writeAttribute(out, at, tag.attributes, attribute);
  return out.subarray(0, at);
}
