/** OpenTelemetry as every service sets it up, and the exporter that signs around the one that exports. */
import type { Tracer } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, type ReadableSpan, TracerProvider } from "@opentelemetry/sdk-trace";
import { createSigningExporter, type GrpcKms } from "@fluo/kms/node";

export interface Tracing {
  tracer: Tracer;
  /** Exports what there is, and gives how many spans were not delivered. */
  stop(): Promise<number>;
}

export function startTracing(kms: GrpcKms, { tenantId, endpoint }: { tenantId: string; endpoint: string }): Tracing {
  const exporter = createSigningExporter<ReadableSpan>(kms, new OTLPTraceExporter({ url: endpoint }), { tenantId });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": "loans" }),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  });
  return {
    tracer: provider.getTracer("loans.decisions"),
    async stop() {
      await provider.forceFlush();
      const notDelivered = await exporter.shutdown(10_000);
      await provider.shutdown();
      return notDelivered;
    },
  };
}
