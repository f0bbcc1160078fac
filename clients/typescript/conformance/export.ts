/** Spans of the SDK through its batch processor and the signing exporter, while networks break. */
import { writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { SignMode } from "@fluo/kms/messages";
import { createSigningExporter } from "@fluo/kms/node";
import { SpanStatusCode, type Tracer } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, type ReadableSpan, TracerProvider } from "@opentelemetry/sdk-trace";
import { print } from "./checks.ts";
import { grpcKms, type World } from "./world.ts";

export async function exportSpans(world: World): Promise<number> {
  const { tenant, mode, queue, exportTimeoutMs, batch, processorQueue, warmUp = 0, plain, shutdownMs, out } = world;
  const kms = grpcKms(world);
  const told: Record<string, number> = {};
  const whyLast: Record<string, string> = {};
  const delegate = new OTLPTraceExporter({ url: world.backend });
  const signing = createSigningExporter<ReadableSpan>(kms, delegate, {
    tenantId: tenant,
    mode: SignMode[mode],
    queue,
    timeoutMs: exportTimeoutMs,
    onLost(cause, spans, why) {
      told[cause] = (told[cause] ?? 0) + spans.length;
      whyLast[cause] = why;
      print(`LOST ${cause} ${spans.length}`);
    },
  });
  const processor = new BatchSpanProcessor({
    exporter: plain ? delegate : signing,
    maxExportBatchSize: batch,
    maxQueueSize: processorQueue,
    exportTimeoutMillis: exportTimeoutMs,
    scheduledDelayMillis: 200,
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": "typescript" }),
    spanProcessors: [processor],
  });
  // Losses are counted by the exporter; the processor tells of them once more.
  const flush = () => provider.forceFlush().catch(() => {});
  const tracer = provider.getTracer("conformance");
  for (let i = 0; i < warmUp; i += 1) endSpan(tracer, `w-${i}`);
  await flush();
  if (!plain) await signing.forceFlush();

  const before = process.cpuUsage();
  await endSpans(tracer, world);
  print(`ENDED ${world.spans}`);
  await flush();
  // A flush may have waited for fewer than there were.
  await flush();
  const { user, system } = process.cpuUsage(before);
  const measured = { ended: warmUp + world.spans, cpuMicrosPerSpan: (user + system) / world.spans };
  const undelivered = plain ? undefined : await signing.shutdown(shutdownMs);
  await provider.shutdown().catch(() => {});
  kms.close();
  writeFileSync(
    out,
    JSON.stringify({ ...measured, ...(plain ? {} : { ...signing.stats(), told, why: whyLast, undelivered }) }),
  );
  // What was lost is for the figures to say.
  print("1 passed, 0 failed");
  return 0;
}

async function endSpans(tracer: Tracer, { spans, ratePerSecond }: World): Promise<void> {
  const startedAt = performance.now();
  for (let i = 0; i < spans; i += 1) {
    endSpan(tracer, `s-${i}`);
    const dueMs = ratePerSecond === null ? 0 : ((i + 1) * 1_000) / ratePerSecond - (performance.now() - startedAt);
    if (dueMs > 5) await delay(dueMs);
    else if (i % 100 === 99) await delay(0);
  }
}

function endSpan(tracer: Tracer, name: string): void {
  const span = tracer.startSpan(name, {
    attributes: {
      text: "é",
      yes: true,
      whole: 5,
      fraction: 0.25,
      texts: ["a", "b"],
      truths: [true, false],
      numbers: [1, 2],
      fractions: [0.5, 1.5],
    },
  });
  span.addEvent("decided", { score: 1 });
  span.setStatus({ code: SpanStatusCode.OK });
  span.end();
}
