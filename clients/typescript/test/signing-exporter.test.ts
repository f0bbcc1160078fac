/** The signing exporter under the real SDK, on a running service and backends that fail. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers/promises";
import { Metadata, status } from "@grpc/grpc-js";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, type ReadableSpan, TracerProvider } from "@opentelemetry/sdk-trace";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { KmsError } from "../../../src/errors.ts";
import { toGrpcStatus } from "../../../src/transport/error-status.ts";
import { type RunningService, startService } from "../../../test/support/running-service.ts";
import { createGrpcKms } from "../src/node/grpc-kms.ts";
import type { SdkExporter } from "../src/node/otel.ts";
import { createSigningExporter, type SigningExporterOptions } from "../src/node/signing-exporter.ts";
import { type KeySet, parseKeySet, type Verdict, verifyExport } from "../src/verify.ts";
import { type CutProxy, startCutProxy } from "./cut-proxy.ts";

let service: RunningService;
let proxy: CutProxy;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

/** A backend that keeps what it is sent, and answers with `status` and `body`. OpenTelemetry's exporter itself does not repeat a 503. */
async function startBackend() {
  const bodies: Buffer[] = [];
  const backend = { bodies, status: 200, body: "", url: "" };
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    bodies.push(Buffer.concat(parts));
    const headers = { "content-type": "application/x-protobuf", "retry-after": "3600" };
    response.writeHead(backend.status, headers).end(backend.body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    await once(server.close(), "close");
  });
  backend.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`;
  return backend;
}

async function begin(
  options: Omit<SigningExporterOptions<ReadableSpan>, "tenantId" | "tenant"> = {},
  delegate?: SdkExporter<ReadableSpan>,
) {
  proxy = await startCutProxy(() => `127.0.0.1:${service.grpcPort}`);
  const backend = await startBackend();
  const kms = createGrpcKms({ target: proxy.address, insecure: true });
  const lines: string[] = [];
  const lost: [cause: string, spans: number, why: string][] = [];
  const sent = delegate ?? new OTLPTraceExporter({ url: backend.url });
  const exporter = createSigningExporter<ReadableSpan>(kms, sent, {
    tenantId: "exported",
    log: (line: string) => void lines.push(line),
    timeoutMs: 60_000,
    onLost: (cause, spans, why) => void lost.push([cause, spans.length, why]),
    ...options,
  });
  const processor = new BatchSpanProcessor({
    exporter,
    maxExportBatchSize: 100,
    maxQueueSize: 10_000,
    exportTimeoutMillis: 120_000,
  });
  const provider = new TracerProvider({ spanProcessors: [processor] });
  const tracer = provider.getTracer("tests");
  onTestFinished(async () => {
    await exporter.shutdown(0);
    await provider.shutdown().catch(() => {});
    kms.close();
    await proxy.stop();
  });
  const end = (count: number, attributes: Record<string, string | string[]> = {}) => {
    for (let i = 0; i < count; i += 1) tracer.startSpan(`s-${i}`, { attributes: { list: ["a"], ...attributes } }).end();
  };
  return { backend, exporter, provider, processor, end, lines, lost };
}

const nothingWaits = { waitingSpans: 0, waitingBytes: 0 };

async function keySet(): Promise<KeySet> {
  return parseKeySet(await (await fetch(`${service.url}/api/kms/tenants/exported/jwks.json`)).text());
}

async function verdictsOf(bodies: readonly Buffer[]): Promise<Verdict[]> {
  const keys = await keySet();
  return (await Promise.all(bodies.map((body) => verifyExport(keys, body)))).flat();
}

describe.each([
  ["with its queue", {}],
  ["without a queue", { queue: null }],
])("%s", (_, queue) => {
  it("delivers every span signed, once", async () => {
    const { backend, exporter, provider, end, lost } = await begin(queue);
    end(450);
    await provider.forceFlush();
    expect(await exporter.shutdown(60_000)).toBe(0);
    const verdicts = await verdictsOf(backend.bodies);
    expect(verdicts.filter(({ verified }) => verified)).toHaveLength(450);
    expect(new Set(verdicts.map(({ leafIndex }) => leafIndex)).size).toBe(450);
    expect(exporter.stats()).toEqual({ ...nothingWaits, delivered: 450, refused: 0, lost: {} });
    expect(lost).toEqual([]);
  });

  it("delivers all where the network to the service is cut and comes back", async () => {
    const { backend, provider, exporter, end } = await begin(queue);
    end(300);
    const flushed = provider.forceFlush();
    proxy.cut();
    proxy.setOpen(false);
    setTimeout(() => proxy.setOpen(true), 400);
    await flushed;
    await exporter.forceFlush();
    const verdicts = await verdictsOf(backend.bodies);
    expect(verdicts.filter(({ verified }) => verified)).toHaveLength(300);
    expect(new Set(verdicts.map(({ leafIndex }) => leafIndex)).size).toBe(300);
  });

  it("repeats what the backend did not take, the same to the byte", async () => {
    const { backend, provider, exporter, end } = await begin(queue);
    backend.status = 503;
    end(50);
    const flushed = provider.forceFlush();
    await expect.poll(() => backend.bodies.length).toBeGreaterThan(2);
    backend.status = 200;
    await flushed;
    await exporter.forceFlush();
    expect(new Set(backend.bodies.map((body) => body.toString("base64"))).size).toBe(1);
    expect((await verdictsOf(backend.bodies.slice(-1))).every(({ verified }) => verified)).toBe(true);
    expect(exporter.stats().delivered).toBe(50);
  });
});

describe("the SDK's batch processor of the exporter", () => {
  async function beginFlushing(options: Parameters<typeof begin>[0] = {}, delegate?: SdkExporter<ReadableSpan>) {
    const begun = await begin({ timeoutMs: 60_000, ...options }, delegate);
    const provider = new TracerProvider({ spanProcessors: [begun.exporter.batchProcessor(begun.processor)] });
    const tracer = provider.getTracer("tests");
    const end = (count: number) => {
      for (let i = 0; i < count; i += 1) tracer.startSpan(`s-${i}`).end();
    };
    return { ...begun, provider, end };
  }

  it.each([
    ["forceFlush", {}],
    ["forceFlush", { queue: null }],
    ["shutdown", {}],
    ["shutdown", { queue: null }],
  ] as const)("has delivered all when %s returns, with %o", async (how, options) => {
    const { backend, exporter, provider, end } = await beginFlushing(options);
    end(450);
    await provider[how]();
    expect(exporter.stats()).toEqual({ ...nothingWaits, delivered: 450, refused: 0, lost: {} });
    expect((await verdictsOf(backend.bodies)).filter(({ verified }) => verified)).toHaveLength(450);
  });

  it("waits for what was handed on before the flush, and for nothing after it", async () => {
    const given: (() => void)[] = [];
    const slow: SdkExporter<ReadableSpan> = {
      export: (_, resultCallback) => void given.push(() => resultCallback({ code: 0 })),
      shutdown: async () => {},
    };
    const { exporter, provider, end } = await beginFlushing({}, slow);
    end(100); // a whole batch, which the processor exports by itself
    await expect.poll(() => given.length).toBe(1);
    const flushed = provider.forceFlush();
    await setImmediate(); // the flush has handed on what there was
    end(100);
    await expect.poll(() => exporter.stats().waitingSpans).toBe(200);
    given[0]!();
    await flushed;
    expect(exporter.stats()).toMatchObject({ delivered: 100, waitingSpans: 100 });
    await expect.poll(() => given.length).toBe(2);
    given[1]!();
  });

  it("rejects a flush that is not done in its time, and delivers all the same", async () => {
    const { exporter, provider, end } = await beginFlushing({ timeoutMs: 50 });
    proxy.setOpen(false);
    end(10);
    await expect(provider.forceFlush()).rejects.toEqual([
      expect.objectContaining({ message: expect.stringMatching(/10 spans .* 50 ms/) }),
    ]);
    proxy.setOpen(true);
    await exporter.forceFlush();
    expect(exporter.stats().delivered).toBe(10);
  });

  it("rejects a flush whose spans are lost, and no flush after it", async () => {
    const { backend, provider, end } = await beginFlushing();
    backend.status = 400;
    end(10);
    await expect(provider.forceFlush()).rejects.toEqual([
      expect.objectContaining({ message: expect.stringMatching(/10 spans were lost/) }),
    ]);
    backend.status = 200;
    end(10);
    await provider.forceFlush();
  });

  it("rejects a shutdown that leaves spans behind, and has shut the exporter down", async () => {
    const { exporter, provider, end } = await beginFlushing({ timeoutMs: 50 });
    proxy.setOpen(false);
    end(10);
    await expect(provider.shutdown()).rejects.toThrow(/10 spans were lost/);
    expect(exporter.stats().lost).toEqual({ shutdown: 10 });
  });
});

describe("a shutdown of the SDK's provider with its processor as it is", () => {
  it.each([{}, { queue: null }])("delivers all that service and backend take in time, with %o", async (options) => {
    const { backend, exporter, provider, end } = await begin(options);
    end(450);
    await provider.shutdown();
    expect(exporter.stats()).toEqual({ ...nothingWaits, delivered: 450, refused: 0, lost: {} });
    expect((await verdictsOf(backend.bodies)).filter(({ verified }) => verified)).toHaveLength(450);
  });
});

describe("an exporter", () => {
  it("is shut down at the end of the block that uses it, once all is delivered", async () => {
    const { exporter, provider, end } = await begin();
    end(20);
    await provider.forceFlush();
    {
      await using used = exporter;
      expect(used.stats().delivered).toBe(0);
    }
    expect(exporter.stats()).toEqual({ ...nothingWaits, delivered: 20, refused: 0, lost: {} });
  });

  it("takes its tenant by the former name too, not by both, and not without one", () => {
    const kms = createGrpcKms({ target: "127.0.0.1:1", insecure: true });
    onTestFinished(() => kms.close());
    const delegate = failingOnce(new Error());
    expect(() => createSigningExporter(kms, delegate, { tenant: "acme" })).not.toThrow();
    const [both, none] = [{ tenantId: "acme", tenant: "acme" }, {}];
    expect(() => createSigningExporter(kms, delegate, both as never)).toThrow(TypeError);
    expect(() => createSigningExporter(kms, delegate, none as never)).toThrow(TypeError);
  });
});

describe("spans that are refused", () => {
  const reserved = { "audit.integrity.fluo.other": "x" };

  it("go on unsigned and say why", async () => {
    const { backend, provider, exporter, end, lines } = await begin();
    end(2);
    end(1, reserved);
    await provider.forceFlush();
    await exporter.forceFlush();
    expect(exporter.stats()).toEqual({ ...nothingWaits, delivered: 3, refused: 1, lost: {} });
    expect(Buffer.concat(backend.bodies).includes("fluo.kms.unsigned.reason")).toBe(true);
    expect(lines.some((line) => line.includes("was not signed"))).toBe(true);
    expect((await verdictsOf(backend.bodies)).filter(({ verified }) => verified)).toHaveLength(2);
  });

  it("do not go on where they are to be dropped", async () => {
    const { backend, provider, exporter, end, lost } = await begin({ onRefused: "drop" });
    end(1);
    end(1, reserved);
    await provider.forceFlush();
    await exporter.forceFlush();
    expect(exporter.stats()).toEqual({ ...nothingWaits, delivered: 1, refused: 1, lost: { rejected: 1 } });
    expect(lost).toEqual([["rejected", 1, expect.stringContaining("audit.integrity")]]);
    expect(await verdictsOf(backend.bodies)).toHaveLength(1);
  });
});

/** A delegate that fails once, with this error, and then takes what it is given. */
function failingOnce(error: Error): SdkExporter<ReadableSpan> {
  let calls = 0;
  return {
    export: (_, resultCallback) => resultCallback(calls++ === 0 ? { code: 1, error } : { code: 0 }),
    shutdown: async () => {},
  };
}

describe("a batch that the backend refuses", () => {
  it("for good is dropped with what the backend says, and the next goes on", async () => {
    const { backend, provider, exporter, end, lost, lines } = await begin();
    [backend.status, backend.body] = [400, "no such\nfield"];
    end(50);
    await provider.forceFlush();
    await exporter.forceFlush();
    backend.status = 200;
    end(20);
    await provider.forceFlush();
    await exporter.forceFlush();
    expect(exporter.stats()).toEqual({ ...nothingWaits, delivered: 20, refused: 0, lost: { rejected: 50 } });
    expect(lost).toEqual([["rejected", 50, "400 Bad Request: no such field"]]);
    expect(lines).toEqual(["fluo-kms: 50 spans are lost (rejected): 400 Bad Request: no such field"]);
    expect(backend.bodies).toHaveLength(2);
  });

  const { CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED } = status;
  const passing = [CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS];
  const statusError = (code: number, metadata = new Metadata()) =>
    Object.assign(new Error(`${code} no`), { code, details: "no", metadata });
  /** Has RetryInfo. */
  const { metadata: retryInfo } = toGrpcStatus(new KmsError("DRAINING", "not now"));
  it.each([
    ...Array.from({ length: UNAUTHENTICATED }, (_, i) => [statusError(i + 1), passing.includes(i + 1)] as const),
    [statusError(status.RESOURCE_EXHAUSTED, retryInfo), true] as const,
    ...[429, 502, 503, 504].map((code) => [statusError(code), true] as const),
    ...[401, 404, 413, 500].map((code) => [statusError(code), false] as const),
    [new Error("no code"), true] as const,
    [Object.assign(new Error("reset"), { code: "ECONNRESET" }), true] as const,
  ])("by %s is repeated as OTLP says: %s", async (error, isRepeated) => {
    const { exporter, provider, end } = await begin({ queue: null }, failingOnce(error));
    end(1);
    await provider.forceFlush().catch(() => {});
    const counts = isRepeated ? { delivered: 1, lost: {} } : { delivered: 0, lost: { rejected: 1 } };
    expect(exporter.stats()).toEqual({ ...nothingWaits, refused: 0, ...counts });
  });
});

describe("what waits", () => {
  it("is counted, and is a gauge", async () => {
    const reader = new TestReader();
    const meterProvider = new MeterProvider({ readers: [reader] });
    onTestFinished(() => meterProvider.shutdown());
    const gauges = async () => {
      const { scopeMetrics } = (await reader.collect()).resourceMetrics;
      return scopeMetrics.flatMap(({ metrics }) =>
        metrics.map(({ descriptor, dataPoints: [point] }) => [
          descriptor.name,
          descriptor.unit,
          point?.value,
          point?.attributes,
        ]),
      );
    };
    const { backend, provider, exporter, end } = await begin({ meterProvider });
    backend.status = 503;
    end(50);
    await provider.forceFlush();
    const { waitingSpans, waitingBytes } = exporter.stats();
    expect([waitingSpans, waitingBytes]).toEqual([50, expect.toSatisfy((bytes: number) => bytes > 50 * 30)]);
    expect(await gauges()).toEqual([
      ["fluo.kms.exporter.waiting.spans", "{span}", 50, { "fluo.kms.tenant": "exported" }],
      ["fluo.kms.exporter.waiting.bytes", "By", waitingBytes, { "fluo.kms.tenant": "exported" }],
    ]);
    expect(await exporter.shutdown(0)).toBe(50);
    expect(exporter.stats()).toMatchObject(nothingWaits);
    expect((await gauges()).map(([, , value]) => value)).toEqual([0, 0]);
  });
});

class TestReader extends MetricReader {
  protected override async onShutdown() {}
  protected override async onForceFlush() {}
}

describe("spans that are lost", () => {
  it("are counted and told where the queue stays full", async () => {
    const { provider, exporter, end, lost, lines } = await begin({ queue: { spans: 150 }, timeoutMs: 100 });
    proxy.setOpen(false);
    end(400);
    await expect(provider.forceFlush()).rejects.toBeDefined();
    await expect.poll(() => exporter.stats().lost).toEqual({ "queue-full": 300 });
    proxy.setOpen(true);
    await exporter.forceFlush();
    expect(exporter.stats()).toEqual({ ...nothingWaits, delivered: 100, refused: 0, lost: { "queue-full": 300 } });
    expect(lost.reduce((sum, [, count]) => sum + count, 0)).toBe(300);
    expect(lines.filter((line) => line.includes("queue-full"))).toHaveLength(1);
  });

  it("are counted without a queue where the time passes", async () => {
    const { provider, exporter, end } = await begin({ queue: null, timeoutMs: 200 });
    proxy.setOpen(false);
    end(50);
    await expect(provider.forceFlush()).rejects.toBeDefined();
    expect(exporter.stats()).toEqual({ ...nothingWaits, delivered: 0, refused: 0, lost: { timeout: 50 } });
  });

  it("are given up when they are too old", async () => {
    const { provider, exporter, end, backend } = await begin({ deliveryAgeMs: 300 });
    backend.status = 503;
    end(50);
    await provider.forceFlush();
    await exporter.forceFlush();
    expect(exporter.stats()).toEqual({ ...nothingWaits, delivered: 0, refused: 0, lost: { undeliverable: 50 } });
  });

  it("are counted by the shutdown, which takes nothing more", async () => {
    const { provider, exporter, end, backend } = await begin();
    backend.status = 503;
    end(50);
    await provider.forceFlush();
    expect(await exporter.shutdown(200)).toBe(50);
    expect(exporter.stats().lost).toEqual({ shutdown: 50 });
    end(1);
    await expect(provider.forceFlush()).rejects.toBeDefined();
    expect(exporter.stats().lost).toEqual({ shutdown: 51 });
  });

  it("are counted by the shutdown when the other exporter does not call back", async () => {
    const { promise: isCalled, resolve: called } = Promise.withResolvers<void>();
    const hung: SdkExporter<ReadableSpan> = { export: () => called(), shutdown: async () => {} };
    const { provider, exporter, end, lost } = await begin({}, hung);
    end(2);
    await provider.forceFlush();
    await isCalled;
    expect(await exporter.shutdown(0)).toBe(2);
    expect(lost).toEqual([["shutdown", 2, "the exporter is shut down"]]);
  });

  it("are counted by a shutdown that overtakes the first export", async () => {
    const { provider, exporter, end } = await begin({ queue: null });
    const { promise: isCalled, resolve: called } = Promise.withResolvers<void>();
    const begun = exporter.export.bind(exporter);
    exporter.export = (spans, resultCallback) => {
      begun(spans, resultCallback);
      called();
    };
    proxy.setOpen(false);
    end(2);
    const flushed = provider.forceFlush().catch(() => {});
    await isCalled;
    expect(await exporter.shutdown(0)).toBe(2);
    await flushed;
  });

  it("are counted by the shutdown, those that the service was not given yet among them", async () => {
    const { provider, exporter, end } = await begin();
    proxy.setOpen(false);
    end(1_000);
    await provider.forceFlush();
    expect(await exporter.shutdown(200)).toBe(1_000);
    expect(exporter.stats()).toEqual({ ...nothingWaits, delivered: 0, refused: 0, lost: { shutdown: 1_000 } });
  });
});
