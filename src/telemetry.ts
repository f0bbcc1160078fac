/**
 * The service's instruments, under the names and buckets that dashboards and alerts use, in Prometheus form and, where an
 * OTLP endpoint is configured, by OTLP too. No instrument has a tenant label: cardinality and privacy.
 * What a hot path counts anyway (cache hits, keys) is observed at export time, so that it costs nothing a call.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Histogram, type Meter, metrics, type Tracer, trace } from "@opentelemetry/api";
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { detectResources, envDetector, type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  InstrumentType,
  type IMetricReader,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";

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

/** What is read when metrics are exported. */
export interface Observed {
  caches(): {
    keyType: string;
    hits: number;
    misses: number;
    evictions: number;
    size: number;
    loads: Readonly<Record<string, number>>;
  }[];
  /** As of the last look at the store. */
  keys(): { purpose: string; state: string; count: number }[];
  oldestActiveAt(): Date | undefined;
  lastRotationAt(): Date | undefined;
  destructionRequests(): number;
  /** Bytes of the store's log, if it has one. */
  logBytes?: (() => number) | undefined;
  /** How often each limit of calls, and of connections, has acted. */
  limits: Readonly<Record<"calls" | "connections", () => Readonly<Record<string, number>>>>;
  connections: {
    open(): { protocol: string; state: string; count: number }[];
    /** Streams that clients have reset. */
    resets(): number;
  };
  /** Delays of the event loop in the last half minute, by quantile. */
  loopLag(): { quantile: number; seconds: number }[];
  /** The examination of the store. */
  integrity(): { percent: number; findings: readonly unknown[]; finishedAt: Date | undefined };
  breakers(): { name: string; state: "closed" | "open" | "half-open" }[];
  /** Of every provider key in use, those of tenants with them. */
  providerKeyConditions(): ("answering" | "unavailable" | "denied")[];
  /** Age of the heads file, since it was as the store is, and writes of it that failed. Undefined if none is kept. */
  heads?: () => { ageMs: number; failures: number } | undefined;
  /** Undefined where nobody is authenticated. */
  authentication?: ObservedAuthentication | undefined;
  /** End of the service's own certificate; undefined without TLS. */
  certificateExpiresAt?: (() => Date) | undefined;
}

/** A policy in force, and what it let in. */
export interface ObservedAuthentication {
  policy(): {
    sha256: string;
    rules: number;
    since: Date;
    reloadFailures: number;
    rememberedTokens: number;
    /** Time since the keys of an issuer were loaded; before that, since it was named. */
    issuers: readonly { name: string; ageMs: number }[];
    crlUntilMs: number | undefined;
  };
  calls(): { kind: string; outcome: string; count: number }[];
}

export interface Telemetry {
  instruments: Instruments;
  /** Undefined unless spans are exported: then no call pays for them. */
  tracer: Tracer | undefined;
  observe(observed: Observed): void;
  servePrometheus(request: IncomingMessage, response: ServerResponse): void;
  /** Exports what is left. Rejects when it is not taken, at the latest after three seconds. */
  shutdown(): Promise<void>;
}

export type Instruments = ReturnType<typeof createInstruments>;

/** A counter with one attribute of few values: counting is an addition, and the sums are read when metrics are exported. */
export interface Tally<Value extends string> {
  add(count: number, value: Value): void;
}

const boundaries = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
const lastExportMs = 3_000;
const conditions = ["answering", "unavailable", "denied"] as const;
const breakerValue = { closed: 0, open: 1, "half-open": 2 } as const;

export async function startTelemetry({ version, otlp }: TelemetrySettings): Promise<Telemetry> {
  const prometheus = new PrometheusExporter({
    preventServerStart: true,
    withoutScopeInfo: true,
    withoutTargetInfo: true,
  });
  const readers: IMetricReader[] = [prometheus];
  if (otlp.metrics) readers.push(await otlpReader(otlp));
  readers.forEach(forgetGoneSeries);
  // Of the detectors only that of OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES: another publishes the command line.
  const detected = detectResources({ detectors: [envDetector] });
  const resource = resourceFromAttributes({ "service.name": "fluo-kms", "service.version": version }).merge(detected);
  const sdk = otlp.traces ? await startTracing(readers, resource) : undefined;
  const provider = sdk ? metrics.getMeterProvider() : new MeterProvider({ readers, resource });
  const meter = provider.getMeter("fluo-kms", version);
  return {
    instruments: createInstruments(meter),
    tracer: sdk && trace.getTracer("fluo-kms", version),
    observe: (observed) => observeState(meter, observed),
    servePrometheus: (request, response) => prometheus.getMetricsRequestHandler(request, response),
    shutdown: () => inTime(sdk ? sdk.shutdown() : (provider as MeterProvider).shutdown()),
  };
}

/**
 * Has a reader export of an observed gauge what is observed now: cumulative, the SDK keeps the last value of each series
 * for ever, and so the hash of a policy that is in force no more.
 */
function forgetGoneSeries(reader: IMetricReader): void {
  const others = reader.selectAggregationTemporality.bind(reader);
  reader.selectAggregationTemporality = (instrument) =>
    instrument === InstrumentType.OBSERVABLE_GAUGE ? AggregationTemporality.DELTA : others(instrument);
}

/** The exporters try again for ten seconds, which a process that is told to stop does not have. */
async function inTime(exported: Promise<void>): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("the last export took too long")), lastExportMs);
  await Promise.race([exported, late]).finally(() => clearTimeout(timer));
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

function createInstruments(meter: Meter) {
  const seconds = (name: string, description: string): Histogram =>
    meter.createHistogram(name, { description, unit: "s", advice: { explicitBucketBoundaries: boundaries } });
  const counter = (name: string, description: string) => meter.createCounter(name, { description });
  const rotationSuccess = counter("kms_rotation_success_total", "Keys rotated");
  const rotationFailures = counter("kms_rotation_failures_total", "Rotations that failed");
  const auditRows = counter("kms_audit_rows_total", "Rows written to the audit trail for uses and refusals");
  const dataLoss = counter(
    "kms_data_loss_total",
    "Stored records that failed their authentication when they were used",
  );
  rotationSuccess.add(0);
  rotationFailures.add(0);
  auditRows.add(0);
  dataLoss.add(0);
  const providerRequests = counter(
    "kms_provider_requests_total",
    "Requests to the provider by operation, each attempt of a call by itself: what it charges for",
  );
  for (const operation of ["generate_data_key", "encrypt", "decrypt", "describe", "inspect"]) {
    providerRequests.add(0, { operation });
  }
  return {
    errors: counter("kms_errors_total", "Calls that failed, by operation and status"),
    retrieveSigningKey: seconds("kms_retrieve_signing_key_seconds", "Time to get a signing key, cached or not"),
    retrieveEncryptionKey: seconds(
      "kms_retrieve_encryption_key_seconds",
      "Time to get an encryption key, cached or not",
    ),
    providerCall: seconds("kms_provider_call_seconds", "Calls to the provider by operation and outcome"),
    providerRequests,
    providerLies: counter("kms_provider_lies_total", "Lies in which a provider was caught, by kind"),
    rotationDuration: seconds("kms_rotation_duration_seconds", "Time to rotate one key"),
    rotationSuccess,
    rotationFailures,
    spansSigned: tally(meter, "kms_spans_signed_total", {
      description: "Spans signed, by mode",
      attribute: "mode",
      values: ["individual", "log"],
    }),
    piiFields: tally(meter, "kms_pii_fields_total", {
      description: "PII fields by operation",
      attribute: "operation",
      values: ["encrypt", "decrypt", "re_encrypt"],
    }),
    auditRows,
    dataLoss,
    callDuration: seconds("rpc_server_call_duration_seconds", "Calls answered, by method and status"),
  };
}

/** Records each rotation that was tried. */
export function rotationRecorder({ rotationDuration, rotationSuccess, rotationFailures }: Instruments) {
  return (outcome: "success" | "failure", seconds: number): void => {
    rotationDuration.record(seconds);
    (outcome === "success" ? rotationSuccess : rotationFailures).add(1);
  };
}

interface TallyOptions<Value> {
  description: string;
  attribute: string;
  values: readonly Value[];
}

function tally<Value extends string>(
  meter: Meter,
  name: string,
  { description, attribute, values }: TallyOptions<Value>,
): Tally<Value> {
  const sums = Object.fromEntries(values.map((value) => [value, 0])) as Record<Value, number>;
  meter.createObservableCounter(name, { description }).addCallback((result) => {
    for (const value of values) result.observe(sums[value], { [attribute]: value });
  });
  return {
    add(count, value) {
      sums[value] += count;
    },
  };
}

function observeState(meter: Meter, observed: Observed): void {
  const cacheCounter = (name: string, description: string, pick: "hits" | "misses" | "evictions") =>
    meter.createObservableCounter(name, { description }).addCallback((result) => {
      for (const cache of observed.caches()) result.observe(cache[pick], { key_type: cache.keyType });
    });
  cacheCounter("kms_cache_hit_total", "Key lookups answered from the cache", "hits");
  cacheCounter("kms_cache_miss_total", "Key lookups not answered from the cache", "misses");
  cacheCounter("kms_cache_evictions_total", "Keys dropped from the cache before their time", "evictions");
  meter
    .createObservableCounter("kms_cache_loads_total", { description: "Keys that were loaded, by why" })
    .addCallback((result) => {
      for (const { keyType, loads } of observed.caches()) {
        for (const [reason, count] of Object.entries(loads)) result.observe(count, { key_type: keyType, reason });
      }
    });
  const gauge = (name: string, description: string, unit?: string) =>
    meter.createObservableGauge(name, unit === undefined ? { description } : { description, unit });
  gauge("kms_cache_size", "Keys in the cache").addCallback((result) => {
    for (const cache of observed.caches()) result.observe(cache.size, { key_type: cache.keyType });
  });
  gauge("kms_keys", "Keys by purpose and state").addCallback((result) => {
    for (const { purpose, state, count } of observed.keys()) result.observe(count, { purpose, state });
  });
  gauge("kms_destruction_requests", "Keys whose destruction waits for a second caller").addCallback((result) => {
    result.observe(observed.destructionRequests());
  });
  const { logBytes } = observed;
  if (logBytes) {
    const size = gauge("kms_sqlite_log_bytes", "Bytes of the write-ahead log of the SQLite store");
    size.addCallback((result) => result.observe(logBytes()));
  }
  gauge("kms_oldest_active_key_age_seconds", "Age of the oldest active key", "s").addCallback((result) => {
    const oldest = observed.oldestActiveAt();
    result.observe(oldest ? (Date.now() - oldest.getTime()) / 1000 : 0);
  });
  gauge("kms_last_rotation_timestamp_seconds", "When a key was last rotated; 0 for never", "s").addCallback(
    (result) => {
      result.observe((observed.lastRotationAt()?.getTime() ?? 0) / 1000);
    },
  );
  gauge(
    "kms_integrity_progress_ratio",
    "How much of the store the pass that runs has examined; 1 if none runs",
  ).addCallback((result) => result.observe(observed.integrity().percent / 100));
  gauge("kms_integrity_findings", "What the last pass over the store found damaged").addCallback((result) => {
    result.observe(observed.integrity().findings.length);
  });
  gauge(
    "kms_integrity_finished_timestamp_seconds",
    "When a pass over the store last ended; 0 for never",
    "s",
  ).addCallback((result) => result.observe((observed.integrity().finishedAt?.getTime() ?? 0) / 1000));
  observeConnections(meter, observed);
  gauge("kms_provider_keys", "Provider keys by what is known of them").addCallback((result) => {
    const seen = observed.providerKeyConditions();
    for (const condition of conditions) {
      result.observe(seen.filter((each) => each === condition).length, { condition });
    }
  });
  gauge("circuit_breaker_state", "0 closed, 1 open, 2 half-open").addCallback((result) => {
    for (const { name, state } of observed.breakers()) result.observe(breakerValue[state], { name });
  });
  if (observed.heads?.() !== undefined) observeHeads(meter, observed.heads);
  const { authentication, certificateExpiresAt } = observed;
  if (authentication) observeAuthentication(meter, authentication);
  if (certificateExpiresAt) {
    const expiry = gauge("kms_tls_certificate_expiry_timestamp_seconds", "When the service's certificate ends", "s");
    expiry.addCallback((result) => result.observe(certificateExpiresAt().getTime() / 1000));
  }
}

function observeConnections(meter: Meter, { limits, connections, loopLag }: Observed): void {
  const counter = (name: string, description: string) => meter.createObservableCounter(name, { description });
  counter("kms_limited_total", "Times a limit of calls made somebody wait, by limit").addCallback((result) => {
    for (const [limit, count] of Object.entries(limits.calls())) result.observe(count, { limit });
  });
  counter("kms_connections_closed_total", "Connections closed by a limit").addCallback((result) => {
    for (const [limit, count] of Object.entries(limits.connections())) result.observe(count, { limit });
  });
  counter("kms_stream_resets_total", "Streams that clients reset").addCallback((result) => {
    result.observe(connections.resets());
  });
  const open = meter.createObservableGauge("kms_connections", { description: "Open connections" });
  open.addCallback((result) => {
    for (const { count, ...attributes } of connections.open()) result.observe(count, attributes);
  });
  const lag = { description: "Delay of the event loop in the last half minute, by quantile", unit: "s" };
  meter.createObservableGauge("nodejs_eventloop_lag_seconds", lag).addCallback((result) => {
    for (const { quantile, seconds } of loopLag()) result.observe(seconds, { quantile: String(quantile) });
  });
}

function observeHeads(meter: Meter, heads: NonNullable<Observed["heads"]>): void {
  const age = { description: "Time since the heads file was as the store is", unit: "s" };
  meter.createObservableGauge("kms_heads_file_age_seconds", age).addCallback((result) => {
    result.observe((heads()?.ageMs ?? 0) / 1000);
  });
  const failures = { description: "Writes of the heads file that failed" };
  meter.createObservableCounter("kms_heads_file_failures_total", failures).addCallback((result) => {
    result.observe(heads()?.failures ?? 0);
  });
}

/** Left out where nobody is authenticated: a policy that was loaded at 0 would look like one that is 56 years old. */
function observeAuthentication(meter: Meter, { policy, calls }: ObservedAuthentication): void {
  const gauge = (name: string, description: string, unit?: string) =>
    meter.createObservableGauge(name, unit === undefined ? { description } : { description, unit });
  const counter = (name: string, description: string) => meter.createObservableCounter(name, { description });
  gauge("kms_policy_info", "1 for the policy in force").addCallback((result) => {
    result.observe(1, { sha256: policy().sha256 });
  });
  gauge("kms_policy_loaded_timestamp_seconds", "When the policy was put into force", "s").addCallback((result) => {
    result.observe(policy().since.getTime() / 1000);
  });
  gauge("kms_policy_rules", "Rules of the policy").addCallback((result) => result.observe(policy().rules));
  counter("kms_policy_reload_failures_total", "Policies that were not put into force").addCallback((result) => {
    result.observe(policy().reloadFailures);
  });
  counter("kms_auth_total", "Calls by what their callers show and whether they are let in").addCallback((result) => {
    for (const { count, ...attributes } of calls()) result.observe(count, attributes);
  });
  gauge("kms_token_cache_size", "Tokens that are remembered").addCallback((result) => {
    result.observe(policy().rememberedTokens);
  });
  gauge("kms_jwks_age_seconds", "Time since the keys of an issuer were loaded", "s").addCallback((result) => {
    for (const { name, ageMs } of policy().issuers) result.observe(ageMs / 1000, { issuer: name });
  });
  gauge("kms_crl_next_update_timestamp_seconds", "When the first revocation list is due", "s").addCallback((result) => {
    const { crlUntilMs } = policy();
    if (crlUntilMs !== undefined) result.observe(crlUntilMs / 1000);
  });
}
