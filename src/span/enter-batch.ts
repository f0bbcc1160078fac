/** A batch in log mode, before it has a place: a log's entry and leaf hash for each span. */
import { createHash } from "node:crypto";
import { readBatch } from "./batch.ts";
import { type RefusedSpan, readBatchSpans } from "./batch-spans.ts";
import { buildLogStatement } from "./log-statement.ts";
import { leafHash } from "./merkle.ts";
import { formatSignedAt } from "./statement.ts";
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
  const leaves: Uint8Array[] = [];
  const entries: Uint8Array[] = [];
  const refused: RefusedSpan[] = [];
  for (const span of readBatchSpans(bytes, batch)) {
    if ("field" in span) {
      refused.push(span);
      continue;
    }
    const entry = Buffer.from(buildLogStatement({ ...span, tenant, signedAt }));
    const length = Buffer.alloc(2);
    length.writeUInt16BE(entry.length);
    entries.push(length, entry);
    leaves.push(leafHash(entry));
  }
  return {
    spans: leaves.length + refused.length,
    leaves: ownBytes(leaves),
    entries: ownBytes(entries),
    refused,
    signedAtMs,
    requestId,
    digest: requestId === "" ? "" : batchDigest(bytes, batch.resourceSpans),
  };
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

function ownBytes(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces));
}
