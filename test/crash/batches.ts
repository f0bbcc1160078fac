/** Batches of spans for the log of a tenant, several on a stream: none waits for the answer to the one before. */
import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { type SignedSpan, SignMode } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { type Span, SpanSchema } from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { batchOf, signedOf } from "../support/span-batches.ts";
import { openStream } from "../support/stream-client.ts";
import type { Attempt, Load, Tenant } from "./driver.ts";
import type { Ledger, LoggedBatch } from "./ledger.ts";
import type { Random } from "./random.ts";
import type { CrashClient } from "./service.ts";
import { deadline } from "./uses.ts";

export interface BatchesParts {
  random: Random;
  ledger: Ledger;
  attempt: Attempt;
  problem(what: string): void;
  epoch: number;
}

export interface Batches {
  append(load: Load, tenant: Tenant): Promise<void>;
  /** Sends a batch again, as often as it is asked, and writes down its answer. Undefined where no key may sign. */
  resend(client: CrashClient, batch: LoggedBatch): Promise<readonly SignedSpan[] | undefined>;
}

const mostBatches = 3;
const mostSpans = 30;
/** So that some cross from a tile of 256 to the next. */
const manySpans = 300;

export function batchesOf({ random, ledger, attempt, problem, epoch }: BatchesParts): Batches {
  let lastBatch = 0;

  function begin(tenantId: string): LoggedBatch {
    lastBatch += 1;
    const count = random.chance(0.1) ? manySpans : 1 + random.below(mostSpans);
    const spans = Array.from({ length: count }, () => newSpan(random));
    const asked = { tenantId, begunAt: performance.now(), endedAt: undefined };
    const batch: LoggedBatch = { ...asked, requestId: `b${epoch}-${lastBatch}`, spans, answer: undefined };
    ledger.batches.push(batch);
    return batch;
  }

  return {
    async append(load, tenant) {
      const batches = Array.from({ length: 1 + random.below(mostBatches) }, () => begin(tenant.id));
      const outcome = await attempt(load, `SignSpans of ${tenant.id}`, () => send(load.client, batches));
      if (outcome?.refused === undefined) return;
      const [first] = batches.filter(({ answer }) => answer === undefined);
      const refusal = { tenantId: tenant.id, purpose: "signing" as const, keyId: undefined };
      if (outcome.refused === status.FAILED_PRECONDITION) {
        ledger.refusals.push({ ...refusal, begunAt: first!.begunAt, endedAt: performance.now() });
      } else problem(`SignSpans of ${tenant.id} answered ABORTED`);
    },

    async resend(client, batch) {
      batch.begunAt = performance.now();
      try {
        await send(client, [batch]);
        return batch.answer!.signed;
      } catch (error) {
        if ((error as { code?: number }).code === status.FAILED_PRECONDITION) return undefined;
        throw error;
      }
    },
  };
}

/** Writes down each answer when it is whole. */
async function send(client: CrashClient, batches: readonly LoggedBatch[]): Promise<void> {
  const stream = openStream(client.target, deadline());
  try {
    for (const { tenantId, requestId, spans } of batches) {
      await stream.send(batchOf([...spans], { tenantId, requestId, mode: SignMode.LOG }));
    }
    stream.halfClose();
    for (const batch of batches) {
      const signed: SignedSpan[] = [];
      let checkpoint: string | undefined;
      while (checkpoint === undefined) {
        const response = await stream.nextResponse();
        if (response?.requestId !== batch.requestId) throw new Error(`an answer is to ${response?.requestId}`);
        signed.push(...signedOf(response));
        if (response.batchDone) checkpoint = response.checkpoint;
      }
      Object.assign(batch, { answer: { signed, checkpoint }, endedAt: performance.now() });
    }
  } finally {
    stream.close();
  }
}

function newSpan(random: Random): Span {
  return create(SpanSchema, {
    traceId: random.bytes(16),
    spanId: random.bytes(8),
    name: `step ${random.below(1000)}`,
  });
}
