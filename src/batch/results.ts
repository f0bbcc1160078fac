/**
 * What became of each span of a batch: SignSpansResponses on the wire, written by hand. Field numbers are those of signing.proto and
 * item_error.proto. Functions that write return the offset behind it.
 */
import { signatureBytes } from "../crypto/ed25519-contract.ts";
import type { RefusedSpan } from "./spans.ts";
import {
  maxVarintBytes,
  shortHead,
  varintBytes,
  writeHead,
  writeShortHead,
  writeShortText,
  writeText,
  writeTimestamp,
  writeVarint,
} from "../encoding/wire-writer.ts";

/** Each message is below 1 MiB. */
export const maxAnswerBytes = 1024 * 1024 - 1;

const responseTag = { results: 0x0a, checkpoint: 0x12, batchDone: 0x18, requestId: 0x22 } as const;
export const resultTag = { signed: 0x0a, error: 0x12 } as const;
export const signedTag = {
  signature: 0x0a,
  keyId: 0x12,
  signedAt: 0x1a,
  leafIndex: 0x20,
  proof: 0x2a,
  attributes: 0x32,
} as const;
const errorTag = { code: 0x08, field: 0x12, message: 0x1a } as const;

/** google.rpc.Code */
const invalidArgument = 3;

export const maxTimestampBytes = shortHead + 2 * (1 + maxVarintBytes);
/** Tag and length of anything that fits into a message. */
export const maxHead = 1 + 3;

/** What ends a message of a batch. */
export interface ResponseEnd {
  requestId: string;
  /** Of the last message alone: the checkpoint, "" in individual mode. */
  checkpoint?: string;
}

/** An upper bound of what `writeEnd` writes. */
export function endBytes({ requestId, checkpoint = "" }: ResponseEnd): number {
  return 2 * maxHead + Buffer.byteLength(checkpoint) + 2 + requestId.length;
}

export function writeEnd(out: Buffer, at: number, { requestId, checkpoint }: ResponseEnd): number {
  let end = at;
  if (checkpoint) {
    end = writeHead(out, end, responseTag.checkpoint, Buffer.byteLength(checkpoint));
    end += out.write(checkpoint, end, "utf8");
  }
  if (checkpoint !== undefined) end = writeVarintField(out, end, responseTag.batchDone, 1);
  return requestId === "" ? end : writeText(out, end, responseTag.requestId, requestId);
}

/** Results of individual mode: all but the signature is the same for all spans of a batch. */
export interface SignatureResult {
  /** Bytes of a result. */
  length: number;
  /** Returns the offset behind it. */
  write(out: Buffer, at: number, signature: Buffer): number;
}

export function signatureResult(keyId: string, signedAtMs: number): SignatureResult {
  const signed = Buffer.alloc(shortHead + signatureBytes + shortHead + keyId.length + maxTimestampBytes);
  let end = writeShortHead(signed, 0, signedTag.signature, signatureBytes) + signatureBytes;
  end = writeShortText(signed, end, signedTag.keyId, keyId);
  end = writeTimestamp(signed, end, signedTag.signedAt, signedAtMs);
  const bytes = signedResult(signed.subarray(0, end));
  const signatureAt = bytes.length - end + shortHead;
  return {
    length: bytes.length,
    write(out, at, signature) {
      out.set(bytes, at);
      out.set(signature, at + signatureAt);
      return at + bytes.length;
    },
  };
}

/** The result of a span that was signed, which ends with these fields of its SignedSpan. */
export function signedResult(fields: Uint8Array): Buffer {
  const bytes = Buffer.alloc(2 * maxHead + fields.length);
  const start = writeResultHead(bytes, 0, resultTag.signed, fields.length);
  bytes.set(fields, start);
  return bytes.subarray(0, start + fields.length);
}

/** The time of signing, as a field of each result of log mode. */
export function signedAtField(signedAtMs: number): Uint8Array {
  const out = Buffer.alloc(maxTimestampBytes);
  return out.subarray(0, writeTimestamp(out, 0, signedTag.signedAt, signedAtMs));
}

/** An upper bound of what `writeProofHead` writes, and the proof behind it. */
export function proofResultBytes(signedAt: Uint8Array, proofBytes: number): number {
  return 3 * maxHead + signedAt.length + 1 + maxVarintBytes + proofBytes;
}

/** A result of log mode as far as its proof, which is the rest of it. */
export function writeProofHead(
  out: Buffer,
  at: number,
  signedAt: Uint8Array,
  leafIndex: number,
  proofBytes: number,
): number {
  const signedBytes = signedAt.length + indexBytes(leafIndex) + 1 + varintBytes(proofBytes) + proofBytes;
  const start = writeResultHead(out, at, resultTag.signed, signedBytes);
  out.set(signedAt, start);
  const end = writeLeafIndex(out, start + signedAt.length, leafIndex);
  return writeHead(out, end, signedTag.proof, proofBytes);
}

/** Bytes that `writeLeafIndex` writes. */
export function indexBytes(leafIndex: number): number {
  return 1 + varintBytes(leafIndex);
}

export function writeLeafIndex(out: Buffer, at: number, leafIndex: number): number {
  return writeVarintField(out, at, signedTag.leafIndex, leafIndex);
}

/** An upper bound of what `writeRefusal` writes. */
export function refusalBytes({ field, message }: RefusedSpan): number {
  return 4 * maxHead + 2 + Buffer.byteLength(field) + Buffer.byteLength(message);
}

export function writeRefusal(out: Buffer, at: number, { field, message }: RefusedSpan): number {
  const [fieldBytes, messageBytes] = [Buffer.byteLength(field), Buffer.byteLength(message)];
  const errorBytes = 2 + 1 + varintBytes(fieldBytes) + fieldBytes + 1 + varintBytes(messageBytes) + messageBytes;
  let end = writeResultHead(out, at, resultTag.error, errorBytes);
  end = writeVarintField(out, end, errorTag.code, invalidArgument);
  end = writeHead(out, end, errorTag.field, fieldBytes);
  end += out.write(field, end, "utf8");
  end = writeHead(out, end, errorTag.message, messageBytes);
  return end + out.write(message, end, "utf8");
}

/** The heads of a SpanResult in its response, and of its one field. */
export function writeResultHead(out: Buffer, at: number, fieldTag: number, fieldBytes: number): number {
  const start = writeHead(out, at, responseTag.results, 1 + varintBytes(fieldBytes) + fieldBytes);
  return writeHead(out, start, fieldTag, fieldBytes);
}

function writeVarintField(out: Buffer, at: number, fieldTag: number, value: number): number {
  out[at] = fieldTag;
  return writeVarint(out, at + 1, value);
}
