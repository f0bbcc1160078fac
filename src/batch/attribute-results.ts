/**
 * Results of SignSpans that carry the attributes to put on each span, on the wire. The attributes are those that a caller would make of the
 * plain form. Field numbers are those of signing.proto and span.proto.
 */
import { signatureBytes } from "../crypto/ed25519-contract.ts";
import type { ProofWriter } from "../tlog/proof-writer.ts";
import { integrityKeys } from "../otlp/integrity-attributes.ts";
import { integrityAttributes, type Signer } from "../attestation/sign-statement.ts";
import {
  indexBytes,
  maxHead,
  maxTimestampBytes,
  resultTag,
  type SignatureResult,
  signedAtField,
  signedResult,
  signedTag,
  writeLeafIndex,
  writeResultHead,
} from "./results.ts";
import { formatSignedAt } from "../attestation/statement.ts";
import { logProofAlgorithm } from "../tlog/inclusion-proof.ts";
import { varintBytes, writeHead, writeText, writeTimestamp } from "../encoding/wire-writer.ts";

const keyValueTag = { key: 0x0a, value: 0x12 } as const;
const stringValueTag = 0x0a;

/** Results of individual mode with attributes: all but the signature is the same for all spans of a batch. */
export function signatureAttributesResult(by: Pick<Signer, "tenant" | "keyId">, signedAtMs: number): SignatureResult {
  const blank = { signature: new Uint8Array(signatureBytes), signedAt: formatSignedAt(signedAtMs) };
  const attributes = integrityAttributes(blank, by);
  const size = attributes.reduce((sum, [key, value]) => sum + attributeBytes(key, value.length), maxTimestampBytes);
  const signed = Buffer.alloc(size);
  let end = writeTimestamp(signed, 0, signedTag.signedAt, signedAtMs);
  for (const attribute of attributes) end = writeAttribute(signed, end, signedTag.attributes, attribute);
  const bytes = signedResult(signed.subarray(0, end));
  const valueAt = bytes.indexOf(Buffer.from(blank.signature).toString("base64"));
  return {
    length: bytes.length,
    write(out, at, signature) {
      out.set(bytes, at);
      out.write(signature.toString("base64"), at + valueAt, "latin1");
      return at + bytes.length;
    },
  };
}

/** The results of a batch in log mode, one after the other. */
export interface ProofResults {
  /** Upper bound of the bytes of the result of the span with this leaf index, which `write` then writes. */
  measure(index: number): number;
  /** Returns the offset behind it. */
  write(at: number): number;
}

/** Results of log mode with attributes. `proofs` writes to the beginning of `proof`, and the results go to `out`. */
export function proofAttributesResults(
  { tenant, signedAtMs }: { tenant: string; signedAtMs: number },
  { proofs, proof, out }: { proofs: ProofWriter; proof: Buffer; out: Buffer },
): ProofResults {
  const signedAt = signedAtField(signedAtMs);
  const algorithm = attributesField([[integrityKeys.algorithm, logProofAlgorithm]]);
  const tail = attributesField([
    [integrityKeys.tenant, tenant],
    [integrityKeys.signedAt, formatSignedAt(signedAtMs)],
  ]);
  const fixed = signedAt.length + algorithm.length + tail.length;
  let leaf = 0;
  let signedBytes = 0;
  return {
    measure(index) {
      leaf = index;
      const valueLength = 4 * Math.ceil(proofs.measure(index) / 3);
      signedBytes = fixed + indexBytes(index) + attributeBytes(integrityKeys.value, valueLength);
      return 2 * maxHead + signedBytes;
    },
    write(start) {
      const value = proof.toString("base64", 0, proofs.write(0));
      let at = writeResultHead(out, start, resultTag.signed, signedBytes);
      out.set(signedAt, at);
      at = writeLeafIndex(out, at + signedAt.length, leaf);
      out.set(algorithm, at);
      at = writeAttribute(out, at + algorithm.length, signedTag.attributes, [integrityKeys.value, value]);
      out.set(tail, at);
      return at + tail.length;
    },
  };
}

function attributesField(attributes: readonly (readonly [string, string])[]): Buffer {
  const out = Buffer.alloc(attributes.reduce((sum, [key, value]) => sum + attributeBytes(key, value.length), 0));
  let at = 0;
  for (const attribute of attributes) at = writeAttribute(out, at, signedTag.attributes, attribute);
  return out;
}

/** Bytes that `writeAttribute` writes. */
export function attributeBytes(key: string, valueLength: number): number {
  return fieldBytes(fieldBytes(key.length) + fieldBytes(fieldBytes(valueLength)));
}

/** Writes a KeyValue of a string, both in ASCII, as a field of its message. Returns the offset behind it. */
export function writeAttribute(
  out: Buffer,
  at: number,
  fieldTag: number,
  [key, value]: readonly [string, string],
): number {
  const anyBytes = fieldBytes(value.length);
  let end = writeHead(out, at, fieldTag, fieldBytes(key.length) + fieldBytes(anyBytes));
  end = writeText(out, end, keyValueTag.key, key);
  end = writeHead(out, end, keyValueTag.value, anyBytes);
  return writeText(out, end, stringValueTag, value);
}

/** Bytes of a field with its head. */
function fieldBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}
