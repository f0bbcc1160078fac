/** The service's telemetry: metrics in Prometheus' form, and by OTLP, with traces, if an endpoint is configured. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Meter, metrics, type Tracer, trace } from "@opentelemetry/api";
import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { detectResources, envDetector, type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  InstrumentType,
  type IMetricReader,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import type { Time } from "../runtime/time.ts";
import { createInstruments, type Instruments } from "./instruments.ts";

export interface TelemetrySettings {
  version: string;
  otlp: {
    traces: boolean;
    metrics: boolean;
    protocol: "http/protobuf" | "http/json" | "grpc";
    metricIntervalMs: number;
    metricTimeoutMs: number;
  };
}

export interface Telemetry {
  instruments: Instruments;
  /** Makes what is observed at export time: see metrics/start.ts. */
  meter: Meter;
  /** Undefined unless spans are exported: then no call pays for them. */
  tracer: Tracer | undefined;
  servePrometheus(request: IncomingMessage, response: ServerResponse): void;
  /** Exports what is left. Rejects when it is not taken, at the latest after three seconds. */
  shutdown(): Promise<void>;
}

const lastExportMs = 3_000;

export async function startTelemetry({ version, otlp }: TelemetrySettings, time: Time): Promise<Telemetry> {
  const prometheus = new PrometheusExporter({ preventServerStart: true });
  collectInTurn(prometheus);
  const readers: IMetricReader[] = [prometheus];
  if (otlp.metrics) readers.push(await otlpReader(otlp));
  readers.forEach(forgetGoneSeries);
  // Of the detectors only that of OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES: another publishes the command line.
  const detected = detectResources({ detectors: [envDetector] });
  const resource = resourceFromAttributes({
    "service.name": "fluo-kms",
    "service.version": version,
    "service.instance.id": randomUUID(),
  }).merge(detected);
  const sdk = otlp.traces ? await startTracing(readers, resource) : undefined;
  const provider = sdk ? metrics.getMeterProvider() : new MeterProvider({ readers, resource });
  const meter = provider.getMeter("fluo-kms", version);
  return {
    instruments: createInstruments(meter),
    meter,
    tracer: sdk && trace.getTracer("fluo-kms", version),
    servePrometheus: (_request, response) => void servePrometheus(prometheus, response),
    shutdown: () => inTime(sdk ? sdk.shutdown() : (provider as MeterProvider).shutdown(), time),
  };
}

const serializer = new PrometheusSerializer(undefined, false, undefined, true, true);

/** Sends the metrics with their length, which the exporter's own handler leaves out of what answers HEAD. */
async function servePrometheus(reader: IMetricReader, response: ServerResponse): Promise<void> {
  const [status, text] = await reader
    .collect()
    .then(({ resourceMetrics }) => [200, serializer.serialize(resourceMetrics)] as const)
    .catch((error) => [500, `# failed to collect metrics: ${error}`] as const);
  response.statusCode = status;
  response.setHeader("content-type", "text/plain");
  response.setHeader("content-length", Buffer.byteLength(text));
  response.end(text);
}

/**
 * Has a reader export of an observed gauge what is observed now. By default the SDK keeps the last value of each series for
 * ever, and so the hash of a policy that is in force no more. With two readers, each collection fills both: an export may
 * hold what was observed for the other just before.
 */
function forgetGoneSeries(reader: IMetricReader): void {
  const others = reader.selectAggregationTemporality.bind(reader);
  reader.selectAggregationTemporality = (instrument) =>
    instrument === InstrumentType.OBSERVABLE_GAUGE ? AggregationTemporality.DELTA : others(instrument);
}

/** Collects once at a time: a gauge is observed for the first of two, and the other would be left without. */
function collectInTurn(reader: IMetricReader): void {
  const collect = reader.collect.bind(reader);
  let last: Promise<unknown> = Promise.resolve();
  reader.collect = (options) => {
    const next = last.then(() => collect(options));
    last = next.catch(() => {});
    return next;
  };
}

/** The exporters try again for ten seconds, which a process that is told to stop does not have. */
async function inTime(exported: Promise<void>, time: Time): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = time.after(lastExportMs, () => reject(new Error("the last export took too long"))).ref();
  await Promise.race([exported, late]).finally(() => time.clear(timer));
}

/** The SDK reads the other OTEL_* variables by itself. */
async function startTracing(metricReaders: IMetricReader[], resource: Resource) {
  const { NodeSDK } = await import("@opentelemetry/sdk-node");
  const sdk = new NodeSDK({ metricReaders, resource, autoDetectResources: false, logRecordProcessors: [] });
  sdk.start();
  return sdk;
}

async function otlpReader({
  protocol,
  metricIntervalMs,
  metricTimeoutMs,
}: TelemetrySettings["otlp"]): Promise<IMetricReader> {
  const { OTLPMetricExporter } =
    protocol === "grpc"
      ? await import("@opentelemetry/exporter-metrics-otlp-grpc")
      : protocol === "http/json"
        ? await import("@opentelemetry/exporter-metrics-otlp-http")
        : await import("@opentelemetry/exporter-metrics-otlp-proto");
  return new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter(),
    exportIntervalMillis: metricIntervalMs,
    exportTimeoutMillis: metricTimeoutMs,
  });
}
