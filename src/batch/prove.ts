/** A batch in log mode, once it has a place: the proof of each span's entry, message by message. */
import { type ProofResults, proofAttributesResults } from "./attribute-results.ts";
import type { LogBatch } from "./enter.ts";
import { type ProofWriter, proofWriter } from "../tlog/proof-writer.ts";
import type { NewNodes } from "../tlog/merkle.ts";
import {
  endBytes,
  maxAnswerBytes,
  proofResultBytes,
  refusalBytes,
  signedAtField,
  writeEnd,
  writeProofHead,
  writeRefusal,
} from "./results.ts";
import { maxProofBytes, tlogProofText } from "../tlog/inclusion-proof.ts";

/** Where a batch came to lie. */
export interface LogPosition {
  /** Of the batch's first entry. */
  firstIndex: number;
  /** What proves the entries: the growth that they were part of; or, of a batch that was stored before, the path of each, from the leaf up. */
  siblings: NewNodes | readonly Uint8Array[];
  /** The signed note of the tree in which they are proven. */
  checkpoint: string;
}

/** What of a batch is needed to give its results. */
export interface ProvenBatch extends Pick<LogBatch, "spans" | "refused" | "signedAtMs" | "requestId"> {
  /** Given if results have the attributes to put on this tenant's spans, in place of proofs. */
  attributesFor?: { tenant: string } | undefined;
}

export interface ProvenSlice {
  /** A SignSpansResponse on the wire, under 1 MiB. */
  message: Uint8Array;
  /** The span at which the next one begins; undefined after the last one, which has batch_done and the checkpoint. */
  next: number | undefined;
}

/** The results of the spans from `fromSpan` on, as many as one message holds. It is written in `out`, of `maxAnswerBytes`, and copied. */
export function proveBatch(batch: ProvenBatch, place: LogPosition, fromSpan: number, out: Buffer): ProvenSlice {
  const { refused, requestId } = batch;
  const { firstIndex, checkpoint } = place;
  const results = resultsOf(batch, place, out);
  const limit = maxAnswerBytes - endBytes({ requestId, checkpoint });
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
      const index = firstIndex + span - nextRefused;
      if (at + results.measure(index) > limit) return taken(span);
      at = results.write(at);
    }
  }
  return taken(undefined);

  function taken(next: number | undefined): ProvenSlice {
    const end = writeEnd(out, at, next === undefined ? { requestId, checkpoint } : { requestId });
    return { message: new Uint8Array(out.subarray(0, end)), next };
  }
}

function resultsOf({ signedAtMs, attributesFor }: ProvenBatch, place: LogPosition, out: Buffer): ProofResults {
  if (attributesFor === undefined) return proofResults(proofsOf(place, out), signedAtMs, out);
  const proof = Buffer.allocUnsafe(maxProofBytes(place.checkpoint));
  return proofAttributesResults({ ...attributesFor, signedAtMs }, { proofs: proofsOf(place, proof), proof, out });
}

/** The plain form. `proofs` writes in `out`, too. */
function proofResults(proofs: ProofWriter, signedAtMs: number, out: Buffer): ProofResults {
  const signedAt = signedAtField(signedAtMs);
  let leaf = 0;
  let proofBytes = 0;
  return {
    measure(index) {
      leaf = index;
      proofBytes = proofs.measure(index);
      return proofResultBytes(signedAt, proofBytes);
    },
    write: (at) => proofs.write(writeProofHead(out, at, signedAt, leaf, proofBytes)),
  };
}

function proofsOf({ siblings, firstIndex, checkpoint }: LogPosition, out: Buffer): ProofWriter {
  if ("nodes" in siblings) return proofWriter(siblings, checkpoint, out);
  let proof = Buffer.alloc(0);
  return {
    measure(index) {
      proof = Buffer.from(tlogProofText({ index, path: siblings[index - firstIndex]!, checkpoint }));
      return proof.length;
    },
    write(at) {
      out.set(proof, at);
      return at + proof.length;
    },
  };
}
