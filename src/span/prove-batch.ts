/** A batch in log mode, once it has a place: the proof of each span's entry, message by message. */
import type { LogBatch } from "./enter-batch.ts";
import { inclusionPath, inclusionProof } from "./inclusion.ts";
import type { Growth } from "./merkle.ts";
import {
  endBytes,
  maxMessageBytes,
  proofResultBytes,
  refusalBytes,
  signedAtField,
  writeEnd,
  writeProofHead,
  writeRefusal,
} from "./span-results.ts";

/** Where a batch came to lie. */
export interface LogPlace {
  /** Of the batch's first entry. */
  firstIndex: number;
  /** What proves the entries: the growth that they were part of; or, of a batch that was stored before, the path of each, from the leaf up. */
  siblings: Growth | readonly Uint8Array[];
  /** The signed note of the tree in which they are proven. */
  checkpoint: string;
}

/** What of a batch is needed to give its results. */
export type ProvenBatch = Pick<LogBatch, "spans" | "refused" | "signedAtMs" | "requestId">;

export interface ProvenSlice {
  /** A SignSpansResponse on the wire, under 1 MiB. */
  message: Uint8Array;
  /** The span at which the next one begins; undefined after the last one, which has batch_done and the checkpoint. */
  next: number | undefined;
}

/** The results of the spans from `fromSpan` on, as many as one message holds. */
export function proveBatch(batch: ProvenBatch, place: LogPlace, fromSpan: number): ProvenSlice {
  const { refused, requestId } = batch;
  const { firstIndex, checkpoint } = place;
  const signedAt = signedAtField(batch.signedAtMs);
  const out = Buffer.allocUnsafeSlow(maxMessageBytes);
  const limit = maxMessageBytes - endBytes({ requestId, checkpoint });
  let nextRefused = refused.findIndex(({ at }) => at >= fromSpan);
  if (nextRefused === -1) nextRefused = refused.length;
  let at = 0;
  for (let span = fromSpan; span < batch.spans; span += 1) {
    const refusal = refused[nextRefused];
    if (refusal?.at === span) {
      if (at + refusalBytes(refusal) > limit) return taken(span);
      at = writeRefusal(out, at, refusal);
      nextRefused += 1;
    } else {
      const entry = span - nextRefused;
      const index = firstIndex + entry;
      const proof = Buffer.from(inclusionProof(index, pathOf(place, entry), checkpoint));
      if (at + proofResultBytes(signedAt, proof.length) > limit) return taken(span);
      at = writeProofHead(out, at, signedAt, index, proof.length);
      out.set(proof, at);
      at += proof.length;
    }
  }
  return taken(undefined);

  function taken(next: number | undefined): ProvenSlice {
    const end = writeEnd(out, at, next === undefined ? { requestId, checkpoint } : { requestId });
    return { message: new Uint8Array(out.subarray(0, end)), next };
  }
}

function pathOf({ siblings, firstIndex }: LogPlace, entry: number): Uint8Array {
  return "nodes" in siblings ? inclusionPath(siblings, firstIndex + entry) : siblings[entry]!;
}
