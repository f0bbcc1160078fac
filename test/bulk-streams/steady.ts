/** A well-behaved caller: batches one behind the other for as long as it is told to, every answer checked, some verified. */
import { randomInt } from "node:crypto";
import { SignMode, type SignSpansResponse } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { GrpcClient } from "../support/running-service.ts";
import { signedOf, withProof, withSignature } from "../support/span-batches.ts";
import { openStream, type SpanClient } from "../support/stream-client.ts";
import { type BatchShape, encodedBatch, spans } from "./batches.ts";

export interface SteadyOptions {
  target: string;
  kms: GrpcClient;
  /** Names its batches. */
  name: string;
  tenantId: string;
  mode: SignMode;
  /** Of the n-th batch. */
  spansIn(n: number): number;
  /** Sends while this is true. */
  goOn(): boolean;
}

export interface SteadyResult {
  batches: number;
  spans: number;
  verified: number;
  /** Between two answers, at most. */
  longestMs: number;
}

/** One span of every so many batches is verified. */
const verifyEvery = 20;

/** Rejects where an answer is not as it should be. */
export async function steady(options: SteadyOptions): Promise<SteadyResult> {
  const { target, name, tenantId, mode, spansIn, goOn } = options;
  const stream = openStream(target);
  const sent: BatchShape[] = [];

  async function sendOn(): Promise<void> {
    for (let n = 0; goOn(); n += 1) {
      // A log remembers those that have a name; some have none.
      const requestId = n % 3 === 0 ? "" : `${name}-${n}`;
      const shape = { tenantId, mode, requestId, count: spansIn(n) };
      sent.push(shape);
      await stream.send(encodedBatch(shape));
    }
    stream.halfClose();
  }

  try {
    // A stream that fails takes no more: then only its reader tells.
    const sending = sendOn();
    const result = await readAll(stream, sent, options);
    await sending;
    check(result.batches === sent.length, `${result.batches} of ${sent.length} batches were answered`);
    return result;
  } finally {
    stream.close();
  }
}

async function readAll(
  stream: SpanClient,
  sent: readonly BatchShape[],
  { kms, mode }: Pick<SteadyOptions, "kms" | "mode">,
): Promise<SteadyResult> {
  const result: SteadyResult = { batches: 0, spans: 0, verified: 0, longestMs: 0 };
  let pieces: SignSpansResponse[] = [];
  let lastIndex = -1n;
  let lastMs = performance.now();
  for (let each = await stream.nextResponse(); each !== undefined; each = await stream.nextResponse()) {
    const nowMs = performance.now();
    result.longestMs = Math.max(result.longestMs, nowMs - lastMs);
    lastMs = nowMs;
    pieces.push(each);
    if (!each.batchDone) continue;
    const shape = sent[result.batches];
    check(shape !== undefined, "an answer to nothing");
    const signed = signedOf(...pieces);
    check(each.requestId === shape.requestId, `batch ${shape.requestId} is answered as ${each.requestId}`);
    check(signed.length === shape.count, `${signed.length} answers for ${shape.count} spans`);
    if (mode === SignMode.LOG) lastIndex = inOrder(signed, lastIndex);
    if (result.batches % verifyEvery === 0) {
      await verify(kms, shape, signed);
      result.verified += 1;
    }
    result.batches += 1;
    result.spans += shape.count;
    pieces = [];
  }
  return result;
}

/** The places of a batch are one behind the other, and behind those of the batch before. */
function inOrder(signed: ReturnType<typeof signedOf>, last: bigint): bigint {
  const first = signed[0]!.leafIndex!;
  check(first > last, `index ${first} comes after ${last}`);
  for (const [at, { leafIndex }] of signed.entries()) check(leafIndex === first + BigInt(at), "a batch has a gap");
  return first + BigInt(signed.length - 1);
}

async function verify(kms: GrpcClient, { tenantId, mode, count }: BatchShape, signed: ReturnType<typeof signedOf>) {
  const at = randomInt(count);
  const evidence = mode === SignMode.LOG ? withProof : withSignature;
  const span = evidence(spans[at]!, tenantId, signed[at]!);
  const { verified, reason } = await kms.verifySpan({ tenantId, span });
  check(verified, `span ${at} of ${tenantId} does not verify: reason ${reason}`);
}

export function check(holds: boolean, problem: string): asserts holds {
  if (!holds) throw new Error(problem);
}
