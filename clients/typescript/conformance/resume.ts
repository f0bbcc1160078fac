/** One SpanSigner through a network that breaks. */
import { equal } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { type KeyValue, KeyValueSchema, type ResourceSpans, ResourceSpansSchema } from "@fluo/kms/messages";
import { createSpanSigner, type SpanResult } from "@fluo/kms/node";
import { newChecks } from "./checks.ts";
import { exportOf } from "./signed-spans.ts";
import { base64, grpcKms, type World } from "./world.ts";

export async function resume(world: World): Promise<number> {
  const { tenant, batches, spansPerBatch, out } = world;
  const kms = grpcKms(world);
  const { check, end } = newChecks();
  const signer = createSpanSigner(kms, { tenantId: tenant });
  const made = Array.from({ length: batches }, (_, i) => batchNumber(i, spansPerBatch));
  const answers: Promise<SpanResult[]>[] = [];
  for (const batch of made) answers.push((await signer.sign([batch])).results);
  const leafIndices: number[] = [];
  for (const [i, batch] of made.entries())
    await check(`batch ${i}`, async () => {
      const results = await answers[i]!;
      equal(results.length, spansPerBatch);
      for (const [j, span] of batch.scopeSpans[0]!.spans.entries()) {
        const result = results[j]!;
        if (!("attributes" in result)) throw new Error(`span ${j}: ${result.message}`);
        span.attributes.push(...result.attributes.map(attribute));
        leafIndices.push(Number(result.leafIndex));
      }
    });
  await signer.close();
  kms.close();
  writeFileSync(out, JSON.stringify({ leafIndices, spans: base64(exportOf(...made)) }));
  return end();
}

function batchNumber(batch: number, spans: number): ResourceSpans {
  return create(ResourceSpansSchema, {
    scopeSpans: [
      {
        scope: { name: "resume" },
        spans: Array.from({ length: spans }, (_, i) => ({
          traceId: randomBytes(16),
          spanId: randomBytes(8),
          name: `r-${batch}-${i}`,
        })),
      },
    ],
  });
}

function attribute([key, value]: readonly [string, string]): KeyValue {
  return create(KeyValueSchema, { key, value: { value: { case: "stringValue", value } } });
}
