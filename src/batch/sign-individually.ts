/** A batch in individual mode, from bytes to bytes: a signature for each span, as signSpan makes it. */
import { signatureBytes } from "../crypto/ed25519-contract.ts";
import { readBatch } from "./request.ts";
import { findSpans, readSpans } from "./spans.ts";
import { signatureAttributesResult } from "./attribute-results.ts";
import { endBytes, maxAnswerBytes, refusalBytes, signatureResult, writeEnd, writeRefusal } from "./results.ts";
import { buildStatement, formatSignedAt, preAuthenticationHeader } from "../attestation/statement.ts";
import { blankSpan, type StatementForm, statementForm } from "./statement-template.ts";

export interface BatchSigner {
  tenant: string;
  keyId: string;
  key: { signInto(signature: Uint8Array, message: Uint8Array): void };
  requestId: string;
  signedAtMs: number;
  /** Whether results have the attributes to put on each span, in place of signature and key. */
  withAttributes?: boolean;
}

export interface SignedBatch {
  /** SignSpansResponses on the wire, each under 1 MiB, the last one with batch_done. */
  messages: Uint8Array[];
  signed: number;
  refused: number;
}

/** INVALID_ARGUMENT for a batch that is refused as a whole. Each message is written in `out`, of `maxAnswerBytes`, and copied. */
export function signBatch(bytes: Uint8Array, by: BatchSigner, out: Buffer): SignedBatch {
  const { key, requestId } = by;
  const found = findSpans(bytes, readBatch(bytes));
  const message = messageForm(by);
  const result = by.withAttributes
    ? signatureAttributesResult(by, by.signedAtMs)
    : signatureResult(by.keyId, by.signedAtMs);
  const signature = Buffer.alloc(signatureBytes);
  const messages: Uint8Array[] = [];
  const limit = maxAnswerBytes - endBytes({ requestId, checkpoint: "" });
  let at = 0;
  let refused = 0;

  function makeRoom(size: number): void {
    if (at + size <= limit) return;
    messages.push(new Uint8Array(out.subarray(0, writeEnd(out, at, { requestId }))));
    at = 0;
  }

  readSpans(found, {
    span(about) {
      message.fill(about);
      key.signInto(signature, message.bytes);
      makeRoom(result.length);
      at = result.write(out, at, signature);
    },
    refused(span) {
      makeRoom(refusalBytes(span));
      at = writeRefusal(out, at, span);
      refused += 1;
    },
  });
  messages.push(new Uint8Array(out.subarray(0, writeEnd(out, at, { requestId, checkpoint: "" }))));
  return { messages, signed: found.count - refused, refused };
}

/** What is signed: the pre-authentication encoding of a statement. */
function messageForm({ tenant, keyId, signedAtMs }: BatchSigner): StatementForm {
  const text = buildStatement({ ...blankSpan, tenant, keyId, signedAt: formatSignedAt(signedAtMs) });
  return statementForm(preAuthenticationHeader(text) + text);
}
