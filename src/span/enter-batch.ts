/** A batch in log mode, before it has a place: a log's entry and leaf hash for each span. */
import { createHash, hash } from "node:crypto";
import { readBatch } from "./batch.ts";
import { type RefusedSpan, readBatchSpans } from "./batch-spans.ts";
import { buildLogStatement } from "./log-statement.ts";
import { hashBytes } from "./merkle.ts";
import { formatSignedAt } from "./statement.ts";
import { statementTemplate } from "./statement-template.ts";
import type { Extent } from "./wire.ts";

/** A batch as entries of a log, before it has a place there. */
export interface LogBatch {
  /** How many spans it has, those that were refused too. */
  spans: number;
  /** Leaf hashes, 32 bytes each, of the spans that were not refused. */
  leaves: Uint8Array;
  /** Their entries: each as a big-endian length of two bytes and its bytes. */
  entries: Uint8Array;
  refused: readonly RefusedSpan[];
  signedAtMs: number;
  requestId: string;
  /** Hex SHA-256 of the batch's ResourceSpans on the wire; "" where it has no request id. */
  digest: string;
}

export interface Entering {
  tenant: string;
  requestId: string;
  signedAtMs: number;
}

/** INVALID_ARGUMENT for a batch that is refused as a whole. */
export function enterBatch(bytes: Uint8Array, { tenant, requestId, signedAtMs }: Entering): LogBatch {
  const batch = readBatch(bytes);
  const signedAt = formatSignedAt(signedAtMs);
  // RFC 6962, 2.1: a leaf is the hash of 0x00 and the entry.
  const leaf = statementTemplate((span) => `\0${buildLogStatement({ ...span, tenant, signedAt })}`);
  const entryBytes = leaf.bytes.length - 1;
  let leaves = Buffer.allocUnsafeSlow(hashBytes * firstRoom);
  let entries = Buffer.allocUnsafeSlow((lengthBytes + entryBytes) * firstRoom);
  const refused: RefusedSpan[] = [];
  let count = 0;
  for (const span of readBatchSpans(bytes, batch)) {
    if ("field" in span) {
      refused.push(span);
      continue;
    }
    leaf.write(span);
    if (count * hashBytes === leaves.length) [leaves, entries] = [doubled(leaves), doubled(entries)];
    leaves.write(hash("sha256", leaf.bytes, "latin1"), count * hashBytes, hashBytes, "latin1");
    const at = entries.writeUInt16BE(entryBytes, count * (lengthBytes + entryBytes));
    leaf.bytes.copy(entries, at, 1);
    count += 1;
  }
  return {
    spans: count + refused.length,
    leaves: sharedBytes(leaves.subarray(0, count * hashBytes)),
    entries: sharedBytes(entries.subarray(0, count * (lengthBytes + entryBytes))),
    refused,
    signedAtMs,
    requestId,
    digest: requestId === "" ? "" : batchDigest(bytes, batch.resourceSpans),
  };
}

/** Memory that goes from thread to thread as it is: copied or given away, it would be garbage in each of them. */
function sharedBytes(bytes: Uint8Array): Uint8Array {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return shared;
}

const lengthBytes = 2;
/** Spans for which there is room at first. */
const firstRoom = 128;

function doubled(full: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
  const roomy = Buffer.allocUnsafeSlow(2 * full.length);
  roomy.set(full);
  return roomy;
}

/** Of each ResourceSpans its length and its bytes: whatever is beside them in the message is not the batch's. */
function batchDigest(bytes: Uint8Array, resourceSpans: readonly Extent[]): string {
  const digest = createHash("sha256");
  const length = Buffer.alloc(4);
  for (const { start, end } of resourceSpans) {
    length.writeUInt32BE(end - start);
    digest.update(length).update(bytes.subarray(start, end));
  }
  return digest.digest("hex");
}
