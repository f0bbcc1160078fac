/** A batch in log mode, before it has a place: a log's entry and leaf hash for each span. */
import { createHash } from "node:crypto";
import { readBatch } from "./request.ts";
import { findSpans, type RefusedSpan, readSpans } from "./spans.ts";
import { writeDigest } from "../crypto/sha256.ts";
import { type EntryRun, packRuns } from "../tlog/entry-run.ts";
import { buildLogStatement } from "../attestation/log-entry.ts";
import { ownMemory } from "../runtime/detach.ts";
import { hashBytes, leafPrefix } from "../tlog/merkle.ts";
import { formatSignedAt } from "../attestation/statement.ts";
import { aboutSpanBytes, blankSpan, type StatementForm, statementForm } from "./statement-template.ts";
import type { Extent } from "../encoding/wire-reader.ts";

/** A batch as entries of a log, before it has a place there. */
export interface LogBatch {
  /** How many spans it has, those that were refused too. */
  spans: number;
  /** Leaf hashes, 32 bytes each, of the spans that were not refused. */
  leaves: Uint8Array;
  /** Their entries, a packed run. */
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
  const found = findSpans(bytes, batch);
  const leaf = leafForm(tenant, signedAtMs);
  const leaves = Buffer.allocUnsafeSlow(found.count * hashBytes);
  const shown = Buffer.allocUnsafe(found.count * aboutSpanBytes);
  const refused: RefusedSpan[] = [];
  let count = 0;
  readSpans(found, {
    span(about) {
      leaf.fill(about);
      writeDigest(leaves, count * hashBytes, leaf.bytes);
      shown.set(about, count * aboutSpanBytes);
      count += 1;
    },
    refused: (span) => refused.push(span),
  });
  return {
    spans: found.count,
    leaves: ownMemory(leaves.subarray(0, count * hashBytes)),
    entries: packRuns([entriesOf(leaf, count, shown.subarray(0, count * aboutSpanBytes))]),
    refused,
    signedAtMs,
    requestId,
    digest: requestId === "" ? "" : batchDigest(bytes, batch.resourceSpans),
  };
}

/** What is hashed for a leaf: RFC 6962's prefix and the entry. */
function leafForm(tenant: string, signedAtMs: number): StatementForm {
  const signedAt = formatSignedAt(signedAtMs);
  return statementForm(leafPrefix + buildLogStatement({ ...blankSpan, tenant, signedAt }));
}

/** A leaf's bytes behind the prefix. */
function entriesOf({ bytes, places }: StatementForm, count: number, shown: Uint8Array): EntryRun {
  const before = leafPrefix.length;
  const inEntry = places.map((place) => ({ ...place, at: place.at - before }));
  return { form: bytes.subarray(before), places: inEntry, count, shown };
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
