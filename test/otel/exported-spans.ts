/** Many spans as a service makes them, exported by the OpenTelemetry SDK: traces of a request with its database calls and its decision. */
import { fromBinary, toJson } from "@bufbuild/protobuf";
import { SpanKind, SpanStatusCode, type Tracer, trace, ROOT_CONTEXT } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { SignSpansRequestSchema } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { startCollector } from "./collector.ts";

/** The bodies of the exports, which one behind the other are one export. */
export async function exportSpans(count: number): Promise<Uint8Array[]> {
  const collector = await startCollector();
  const exporter = new OTLPTraceExporter({ url: `${collector.endpoint}/v1/traces` });
  const processor = new BatchSpanProcessor({ exporter, maxQueueSize: count, maxExportBatchSize: Math.min(count, 512) });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      "service.name": "loans",
      "service.version": "1.4.2",
      "host.name": "loans-7d9f",
    }),
    spanProcessors: [processor],
  });
  const tracers = ["loans.http", "loans.db", "loans.decisions"].map((name) => provider.getTracer(name, "2.1.0"));
  for (let n = 0; n < count; n += tracers.length) makeTrace(tracers, n, Math.min(tracers.length, count - n));
  await provider.forceFlush();
  await provider.shutdown();
  await collector.close();
  return collector.exports.map(({ body }) => body);
}

function makeTrace([http, db, decisions]: readonly Tracer[], n: number, spans: number): void {
  const root = http!.startSpan("POST /loans/{id}/decision", { kind: SpanKind.SERVER });
  root.setAttributes({
    "http.request.method": "POST",
    "url.path": `/loans/${n}/decision`,
    "http.response.status_code": 200,
  });
  const within = trace.setSpan(ROOT_CONTEXT, root);
  if (spans > 1) {
    const query = db!.startSpan("SELECT loans", { kind: SpanKind.CLIENT }, within);
    query.setAttributes({ "db.system.name": "postgresql", "db.namespace": "loans", "db.response.returned_rows": 1 });
    query.end();
  }
  if (spans > 2) {
    const decision = decisions!.startSpan("decide loan", {}, within);
    decision.setAttributes({ "loan.id": n, "loan.score": 0.25 + (n % 7) / 10, "loan.approved": n % 3 > 0 });
    decision.addEvent("scored", { model: "v7", reasons: ["income", "history"] });
    if (n % 5 === 0) decision.setStatus({ code: SpanStatusCode.ERROR, message: "no income given" });
    decision.end();
  }
  root.end();
}

/** The forms in which such an export may lie in a file. */
export function exportForms(
  bodies: readonly Uint8Array[],
): Record<"protobuf" | "JSON" | "base64" | "lines", Uint8Array> {
  const documents = bodies.map((body) => toJson(SignSpansRequestSchema, fromBinary(SignSpansRequestSchema, body)));
  const whole = { resourceSpans: documents.flatMap((each) => (each as { resourceSpans: unknown[] }).resourceSpans) };
  const inHex = (json: unknown, indent?: number) =>
    Buffer.from(
      JSON.stringify(
        json,
        (name, value) => (/(?:trace|span)Id$/i.test(name) ? Buffer.from(value, "base64").toString("hex") : value),
        indent,
      ),
    );
  return {
    protobuf: Buffer.concat(bodies),
    JSON: inHex(whole, 2),
    base64: Buffer.from(JSON.stringify(whole)),
    lines: Buffer.concat(documents.map((each) => Buffer.concat([inHex(each), Buffer.from("\n")]))),
  };
}
