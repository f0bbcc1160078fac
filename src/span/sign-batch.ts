/** A batch in individual mode, from bytes to bytes: a signature for each span, as signSpan makes it. */
import { signatureBytes } from "../crypto/ed25519-contract.ts";
import { readBatch } from "./batch.ts";
import { type RefusedSpan, readBatchSpans } from "./batch-spans.ts";
import { buildStatement, formatSignedAt, preAuthenticated } from "./statement.ts";
import { statementTemplate } from "./statement-template.ts";
import { endBytes, maxMessageBytes, refusalBytes, signatureResult, writeEnd, writeRefusal } from "./span-results.ts";

export interface BatchSigner {
  tenant: string;
  keyId: string;
  key: { signInto(signature: Uint8Array, message: Uint8Array): void };
  requestId: string;
  signedAtMs: number;
}

export interface SignedBatch {
  /** SignSpansResponses on the wire, each under 1 MiB, the last one with batch_done. */
  messages: Uint8Array[];
  signed: number;
  refused: number;
}

/** INVALID_ARGUMENT for a batch that is refused as a whole. Each message is written in `out`, of `maxMessageBytes`, and copied. */
export function signBatch(bytes: Uint8Array, by: BatchSigner, out: Buffer): SignedBatch {
  const { tenant, keyId, key, requestId } = by;
  const signedAt = formatSignedAt(by.signedAtMs);
  const message = statementTemplate((span) => preAuthenticated(buildStatement({ ...span, tenant, keyId, signedAt })));
  const result = signatureResult(keyId, by.signedAtMs);
  const signature = new Uint8Array(signatureBytes);
  const messages: Uint8Array[] = [];
  const limit = maxMessageBytes - endBytes({ requestId, checkpoint: "" });
  let [at, signed, refused] = [0, 0, 0];

  function makeRoom(size: number): void {
    if (at + size <= limit) return;
    messages.push(new Uint8Array(out.subarray(0, writeEnd(out, at, { requestId }))));
    at = 0;
  }

  for (const span of readBatchSpans(bytes, readBatch(bytes))) {
    if (isRefused(span)) {
      makeRoom(refusalBytes(span));
      at = writeRefusal(out, at, span);
      refused += 1;
    } else {
      message.write(span);
      key.signInto(signature, message.bytes);
      makeRoom(result.bytes.length);
      out.set(result.bytes, at);
      out.set(signature, at + result.signatureAt);
      at += result.bytes.length;
      signed += 1;
    }
  }
  messages.push(new Uint8Array(out.subarray(0, writeEnd(out, at, { requestId, checkpoint: "" }))));
  return { messages, signed, refused };
}

function isRefused(span: object): span is RefusedSpan {
  return "field" in span;
}
