/**
 * One span as the OpenTelemetry SDK makes it and its own exporter writes it: with everything that the SDK can put on a span, its resource
 * and its scope. A SignSpansRequest is wire-compatible with the export.
 */
import { fromBinary } from "@bufbuild/protobuf";
import {
  createTraceState,
  type Link,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { type SignSpansRequest, SignSpansRequestSchema } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { InstrumentationScope, Resource, Span } from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { startCollector } from "./collector.ts";

export interface ExportedSpan {
  /** The body of the export. */
  body: Uint8Array;
  request: SignSpansRequest;
  span: Span;
  resource: Resource;
  scope: InstrumentationScope;
}

/** Every type of value, and of each the one that is easiest to take for none. */
const primitives = { text: "accepted", empty: "", yes: true, no: false, count: 42, below: -7, zero: 0, ratio: 0.25 };
const lists = {
  texts: ["b", "a", "", "é\u{1F600}"],
  truths: [true, false],
  counts: [3, 1, 0, -1],
  ratios: [1.5, -2.25, 1e-7],
  nothing: [],
};
const nested = { bytes: Uint8Array.of(0, 255, 16), map: { z: [1, { deep: "" }], a: false, none: {} }, missing: null };

export async function exportSpan(): Promise<ExportedSpan> {
  const collector = await startCollector();
  const exporter = new OTLPTraceExporter({ url: `${collector.endpoint}/v1/traces` });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ "service.name": "loans", ...primitives, ...lists }),
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
  });
  const tracer = provider.getTracer("loans.decisions", "2.1.0", {
    schemaUrl: "https://opentelemetry.io/schemas/1.37.0",
  });
  giveAttributes(tracer, { channel: "web", ...primitives, ...lists });
  makeSpan(tracer);
  await provider.shutdown();
  await collector.close();

  const [exported] = collector.exports;
  const request = fromBinary(SignSpansRequestSchema, exported!.body);
  const [resourceSpans] = request.resourceSpans;
  const [scopeSpans] = resourceSpans!.scopeSpans;
  const [span] = scopeSpans!.spans;
  return { body: exported!.body, request, span: span!, resource: resourceSpans!.resource!, scope: scopeSpans!.scope! };
}

/** The SDK has no option for a scope's attributes yet; its exporter writes them. */
function giveAttributes(tracer: Tracer, attributes: Record<string, unknown>): void {
  Object.assign((tracer as unknown as { instrumentationScope: object }).instrumentationScope, { attributes });
}

function makeSpan(tracer: Tracer): void {
  const remote: SpanContext = {
    traceId: "5b8efff798038103d269b633813fc60c",
    spanId: "eee19b7ec3c1b174",
    traceFlags: TraceFlags.SAMPLED,
    traceState: createTraceState("fluo=1,other=2"),
    isRemote: true,
  };
  const links: Link[] = [
    { context: { ...remote, spanId: "00f067aa0ba902b7" }, attributes: { reason: "retry", ...primitives, ...lists } },
    {
      context: { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b8", traceFlags: TraceFlags.NONE },
    },
  ];
  const parent = trace.setSpanContext(ROOT_CONTEXT, remote);
  const span = tracer.startSpan("decide loan", { kind: SpanKind.SERVER, startTime: [1_700_000_000, 1], links }, parent);
  span.setAttributes({ ...primitives, ...lists });
  for (const [key, value] of Object.entries(nested)) span.setAttribute(key, value as never);
  span.addEvent("scored", { ...primitives, ...lists }, [1_700_000_000, 2]);
  span.addEvent("decided", [1_700_000_000, 3]);
  span.recordException(new TypeError("no income given"), [1_700_000_000, 4]);
  span.setStatus({ code: SpanStatusCode.ERROR, message: "declined" });
  span.end([1_700_000_001, 5]);
}
