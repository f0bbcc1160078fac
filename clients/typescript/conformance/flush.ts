/** What is delivered once the SDK's own flush, or its shutdown, returns: a program that ends soon has no more time than that. */
import { writeFileSync } from "node:fs";
import { SignMode } from "@fluo/kms/messages";
import { createSigningExporter } from "@fluo/kms/node";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, type ReadableSpan, TracerProvider } from "@opentelemetry/sdk-trace";
import { print } from "./checks.ts";
import { grpcKms, type World } from "./world.ts";

export async function flush(world: World): Promise<number> {
  const { tenant, mode, spans, queue, batch, processorQueue, exportTimeoutMs, shutdownMs, how, out } = world;
  const kms = grpcKms(world);
  const exporter = createSigningExporter<ReadableSpan>(kms, new OTLPTraceExporter({ url: world.backend }), {
    tenantId: tenant,
    mode: SignMode[mode],
    queue,
    timeoutMs: exportTimeoutMs,
  });
  const processor = new BatchSpanProcessor({
    exporter,
    maxExportBatchSize: batch,
    maxQueueSize: processorQueue,
    exportTimeoutMillis: exportTimeoutMs,
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": "typescript" }),
    spanProcessors: [exporter.batchProcessor(processor)],
  });
  const tracer = provider.getTracer("conformance");
  for (let i = 0; i < spans; i += 1) tracer.startSpan(`s-${i}`).end();

  const ended = how === "flush" ? provider.forceFlush() : provider.shutdown();
  const ok = await ended.then(
    () => true,
    () => false,
  );
  writeFileSync(out, JSON.stringify({ ended: spans, delivered: exporter.stats().delivered, ok }));
  await exporter.shutdown(shutdownMs);
  await provider.shutdown();
  kms.close();
  print("1 passed, 0 failed");
  return 0;
}
