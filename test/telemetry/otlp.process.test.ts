/** The service's own telemetry over OTLP, as the standard OTEL_* variables turn it on. */
import { randomBytes } from "node:crypto";
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import * as grpc from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { SignSpansRequestSchema } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { Resource, Span } from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { type Collector, type Export, startCollector } from "../otel/collector.ts";
import { postRpc } from "../support/api-fixture.ts";
import { atExit } from "../support/cli-fixture.ts";
import { grpcClient } from "../support/running-service.ts";
import { type ServiceProcess, startProcess } from "../support/service-process.ts";

const headerOf = ({ traceId, parentSpanId }: { traceId: Buffer; parentSpanId: Buffer }) =>
  `00-${traceId.toString("hex")}-${parentSpanId.toString("hex")}-01`;
const anyParent = headerOf({ traceId: randomBytes(16), parentSpanId: randomBytes(8) });
const serverKind = 2;

let collector: Collector | undefined;

afterEach(async () => {
  await collector?.close();
  collector = undefined;
});

async function startExporting(env: Record<string, string>, finished: (end: () => void) => void = onTestFinished) {
  const started = await startCollector();
  const settings = {
    OTEL_EXPORTER_OTLP_ENDPOINT: started.endpoint,
    OTEL_METRIC_EXPORT_INTERVAL: "100",
    OTEL_METRIC_EXPORT_TIMEOUT: "100",
    OTEL_BSP_SCHEDULE_DELAY: "20",
    ...env,
  };
  const service = await startProcess(settings, { finished });
  return { ...service, collector: started };
}

const to = (exports: readonly Export[], path: string) => exports.filter((each) => each.path === path);

function resourceSpansIn(exports: readonly Export[]) {
  return to(exports, "/v1/traces").flatMap(({ body }) => fromBinary(SignSpansRequestSchema, body).resourceSpans);
}

function spansIn(exports: readonly Export[]): Span[] {
  return resourceSpansIn(exports).flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
}

/** The submessages at a path of field numbers: there is no generated code for metrics here. */
function at(body: Uint8Array, [number, ...rest]: readonly number[]): Uint8Array[] {
  if (number === undefined) return [body];
  const found: Uint8Array[] = [];
  const reader = new BinaryReader(body);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === number && wireType === WireType.LengthDelimited) found.push(...at(reader.bytes(), rest));
    else reader.skip(wireType);
  }
  return found;
}

/** ExportMetricsServiceRequest.resource_metrics.scope_metrics.metrics.name. */
function metricNamesIn(exports: readonly Export[]): string[] {
  return to(exports, "/v1/metrics").flatMap(({ body }) =>
    at(body, [1, 2, 2, 1]).map((name) => Buffer.from(name).toString()),
  );
}

function attributesOf({ attributes }: Pick<Resource, "attributes">): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value?.value.value]));
}

async function callWithParent(target: string, traceparent = anyParent): Promise<void> {
  const client = grpcClient(target);
  const metadata = new grpc.Metadata();
  metadata.set("traceparent", traceparent);
  await client.raw("status", new Uint8Array(), {}, metadata);
  client.close();
}

/** One service for all, which exports all the time: each test looks at what came since it began, or by its own trace. */
describe("while it runs, a service with an OTLP endpoint", () => {
  let service: ServiceProcess & { collector: Collector };
  beforeAll(async () => {
    service = await startExporting({ OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test" }, atExit);
  });
  afterAll(async () => {
    await service?.end();
    await service?.collector.close();
  });

  it("exports one SERVER span a call, joined to the caller's trace", async () => {
    const trace = { traceId: randomBytes(16), parentSpanId: randomBytes(8) };
    const traceparent = headerOf(trace);
    await callWithParent(service.grpc, traceparent);
    const ask = (method: string) => postRpc(service.http, method, {}, { traceparent });
    expect((await ask("Status")).status).toBe(200);
    // Spans leave in order: once this one has come, no other of the two calls will.
    expect((await ask("GetPublicKeys")).status).toBe(400);
    const spans = () => spansIn(service.collector.exports).filter((span) => trace.traceId.equals(span.traceId));
    await service.collector.until(() => spans().some(({ name }) => name.endsWith("/GetPublicKeys")));
    const ofStatus = spans().filter(({ name }) => name === "fluo.kms.v1.KmsService/Status");
    expect([ofStatus.length, spans().length]).toEqual([2, 3]);
    for (const span of ofStatus) {
      expect(span.kind).toBe(serverKind);
      expect(trace.parentSpanId.equals(span.parentSpanId)).toBe(true);
      expect(span.endTimeUnixNano).toBeGreaterThanOrEqual(span.startTimeUnixNano);
    }
  });

  it("says how a call failed, and no value of it", async () => {
    expect((await postRpc(service.http, "GetPublicKeys", { tenantId: "NOT A TENANT" })).status).toBe(400);
    const failed = () => spansIn(service.collector.exports).find(({ parentSpanId }) => parentSpanId.length === 0);
    await service.collector.until(() => failed() !== undefined);
    const span = failed()!;
    expect(span.name).toBe("fluo.kms.v1.KmsService/GetPublicKeys");
    expect(attributesOf(span)).toMatchObject({ "rpc.response.status_code": "INVALID_ARGUMENT" });
    // The caller's mistake is no error of the service, as the conventions for RPC spans have it.
    expect(span.status?.code ?? 0).toBe(0);
    expect(Buffer.concat(service.collector.exports.map(({ body }) => body)).includes("NOT A TENANT")).toBe(false);
  });

  it("exports metrics, under the names that Prometheus sees", async () => {
    await callWithParent(service.grpc);
    const names = [
      "kms_cache_hit_total",
      "kms_cache_size",
      "kms_cache_loads_total",
      "kms_provider_call_seconds",
      "kms_provider_requests_total",
      "kms_rotation_success_total",
      "kms_spans_signed_total",
      "circuit_breaker_state",
      "rpc_server_call_duration_seconds",
    ];
    await service.collector.until((exports) => names.every((name) => metricNamesIn(exports).includes(name)));
    const prometheus = await (await fetch(`${service.http}/q/metrics`)).text();
    for (const name of names) expect(prometheus).toMatch(new RegExp(`^# TYPE ${name} `, "m"));
  });

  it("speaks protobuf, and names the service, its version and what OTEL_RESOURCE_ATTRIBUTES says, and no command line", async () => {
    await callWithParent(service.grpc);
    const paths = ["/v1/traces", "/v1/metrics"];
    await service.collector.until((exports) => paths.every((path) => to(exports, path).length > 0));
    const { exports } = service.collector;
    for (const { path, headers } of exports) {
      expect(paths).toContain(path);
      expect(headers["content-type"]).toBe("application/x-protobuf");
    }
    const resource = attributesOf(resourceSpansIn(exports)[0]!.resource!);
    expect(resource).toMatchObject({
      "service.name": "fluo-kms",
      "service.version": expect.stringMatching(/^\d+\.\d+\.\d+/),
      "deployment.environment.name": "test",
    });
    expect(Object.keys(resource).filter((key) => /^(process|host)\./.test(key))).toEqual([]);
    // ExportMetricsServiceRequest.resource_metrics.resource.attributes.key.
    expect(resource["service.instance.id"]).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    const keys = at(to(exports, "/v1/metrics")[0]!.body, [1, 1, 1, 1]).map((key) => Buffer.from(key).toString());
    expect(keys.toSorted()).toEqual(Object.keys(resource).toSorted());
    expect(Buffer.concat(exports.map(({ body }) => body)).includes("main.js")).toBe(false);
  });
});

describe("with an OTLP endpoint", () => {
  it("exports what is left when it stops", async () => {
    const service = await startExporting({
      OTEL_BSP_SCHEDULE_DELAY: "3600000",
      OTEL_METRIC_EXPORT_INTERVAL: "3600000",
    });
    collector = service.collector;
    await callWithParent(service.grpc);
    service.child.kill("SIGTERM");
    expect(await service.ended).toEqual({ code: 0, err: "" });
    expect(spansIn(service.collector.exports)).toHaveLength(1);
    expect(metricNamesIn(service.collector.exports)).toContain("rpc_server_call_duration_seconds");
  });

  it("names it likewise in metrics alone", async () => {
    const started = await startCollector();
    collector = started;
    const service = await startProcess({
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${started.endpoint}/v1/metrics`,
      OTEL_SERVICE_NAME: "other",
      OTEL_RESOURCE_ATTRIBUTES: "service.instance.id=pod-1",
    });
    service.child.kill("SIGTERM");
    expect(await service.ended).toEqual({ code: 0, err: "" });
    const values = at(to(started.exports, "/v1/metrics")[0]!.body, [1, 1, 1, 2, 1]);
    expect(values.map((value) => Buffer.from(value).toString())).toEqual(expect.arrayContaining(["other", "pod-1"]));
  });

  it("exports only the signal whose endpoint is given", async () => {
    const started = await startCollector();
    collector = started;
    const service = await startProcess({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${started.endpoint}/v1/traces` });
    await callWithParent(service.grpc);
    service.child.kill("SIGTERM");
    expect(await service.ended).toEqual({ code: 0, err: "" });
    expect(started.exports.map(({ path }) => path)).toEqual(["/v1/traces"]);
  });
});

describe("connections that are tried", () => {
  const attempts = (err: string) => err.split("\n").filter((line) => line.includes("attempting to connect"));

  /** What Node says about sockets while the service starts, answers a call and stops. */
  async function socketsWith(env: Record<string, string>): Promise<string> {
    const service = await startProcess({ NODE_DEBUG: "net", OTEL_METRIC_EXPORT_INTERVAL: "10", ...env });
    await callWithParent(service.grpc);
    service.child.kill("SIGTERM");
    const { code, err } = await service.ended;
    expect(code).toBe(0);
    expect(err).toContain("bind to 127.0.0.1");
    return err;
  }

  // Otherwise the SDK would export to its default addresses, ports 4317 and 4318 of localhost.
  it.each<[string, Record<string, string>]>([
    ["no variable", {}],
    ["an empty endpoint", { OTEL_EXPORTER_OTLP_ENDPOINT: "" }],
    ["the SDK disabled", { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9", OTEL_SDK_DISABLED: "true" }],
  ])("%s: none", async (_what, env) => {
    expect(attempts(await socketsWith(env))).toEqual([]);
  });

  it("an endpoint: to it alone", async () => {
    const started = await startCollector();
    collector = started;
    const tried = attempts(await socketsWith({ OTEL_EXPORTER_OTLP_ENDPOINT: started.endpoint }));
    expect(tried.length).toBeGreaterThan(0);
    expect(tried.filter((line) => !line.includes(new URL(started.endpoint).host))).toEqual([]);
  });
});
