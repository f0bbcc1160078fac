/** Servers of both transports: what is left open when one cannot be bound, or when it is disposed of. */
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import { type AddressInfo, createServer } from "node:net";
import timers from "node:timers/promises";
import { pino } from "pino";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { unobserved } from "../../src/audit/observer.ts";
import { otlpSettings } from "../../src/config/otlp.ts";
import type { HealthReport } from "../../src/health/monitor.ts";
import type { KmsHandlers } from "../../src/service/kms/handlers.ts";
import type { LogHandlers } from "../../src/service/log/handlers.ts";
import { realTime } from "../../src/runtime/time.ts";
import { startTelemetry } from "../../src/telemetry/start.ts";
import { createBudget } from "../../src/transport/budget.ts";
import { createCalls } from "../../src/transport/pipeline.ts";
import { createGrpcHealth } from "../../src/transport/grpc/health.ts";
import { listenGrpc } from "../../src/transport/grpc/server.ts";
import { listenHttp } from "../../src/transport/http/server.ts";
import { halfCall } from "../support/half-call.ts";
import { testConnections } from "../support/test-connections.ts";

async function servers({ serveMetrics = (response: ServerResponse): void => void response.end() } = {}) {
  const { instruments, shutdown } = await startTelemetry({ version: "test", otlp: otlpSettings({}).otlp }, realTime);
  onTestFinished(() => shutdown());
  const calls = createCalls({
    services: [],
    instruments,
    tracer: undefined,
    log: pino({ level: "silent" }),
    observer: unobserved,
    budget: createBudget(realTime),
    time: realTime,
  });
  const connections = testConnections();
  const binding = (port: number) => ({
    connections,
    host: "127.0.0.1",
    port,
    tls: undefined,
    requestCert: false,
    graceMs: 0,
    time: realTime,
    door: undefined,
  });
  const report: HealthReport = { status: "operational", latencyMs: 0, notices: [], counts: undefined as never };
  const health = { current: () => report, look: async () => report, drain() {}, subscribe() {}, close() {} };
  return {
    grpc: (port = 0) => listenGrpc(calls, { ...binding(port), health: createGrpcHealth(health) }),
    http: (port = 0) =>
      listenHttp(calls, {
        ...binding(port),
        handlers: {} as KmsHandlers,
        logs: {} as LogHandlers,
        grpcAddress: "",
        grpcPort: 0,
        health,
        providerName: "local",
        serveMetrics: (_request, response) => serveMetrics(response),
        loopbackOnly: true,
        allowedOrigins: [],
        isLeaving: () => false,
      }),
  };
}

/** Sockets that are listened on or connected. */
function open(): string[] {
  return process.getActiveResourcesInfo().filter((each) => each.startsWith("TCP"));
}

describe.each(["grpc", "http"] as const)("a server of %s", (name) => {
  it("leaves nothing open where its port is in use", async () => {
    const start = (await servers())[name];
    const taken = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => new Promise<void>((resolve) => taken.close(() => resolve())));
    await once(taken, "listening");
    await expect(start((taken.address() as AddressInfo).port)).rejects.toThrow("EADDRINUSE");
    await expect.poll(open).toEqual(["TCPServerWrap"]);
  });

  it("leaves nothing open once it is disposed of, and says before where it is", async () => {
    const start = (await servers())[name];
    await expect.poll(open).toEqual([]);
    {
      await using server = await start();
      expect(server.address).toBe(`127.0.0.1:${server.port}`);
      expect(open()).toEqual(["TCPServerWrap"]);
    }
    await expect.poll(open).toEqual([]);
  });
});

/** A call that runs: `finish` has it end, and `outcome` is a status, or that it was cut off. */
interface Running {
  close(graceMs: number): Promise<void>;
  finish(): void;
  outcome: Promise<string>;
}

async function runningGrpc(): Promise<Running> {
  const server = await (await servers()).grpc();
  const { stream } = await halfCall(server.address, "/grpc.health.v1.Health/Check");
  const outcome = new Promise<string>((resolve) => {
    stream.on("trailers", (trailers) => resolve(`${trailers["grpc-status"]}`));
    stream.on("error", () => resolve("cut off")).on("close", () => resolve("cut off"));
  });
  return { close: server.close, finish: () => void stream.resume().end(new Uint8Array(4)), outcome };
}

async function runningHttp(): Promise<Running> {
  const held = Promise.withResolvers<ServerResponse>();
  const server = await (await servers({ serveMetrics: held.resolve })).http();
  const request = httpRequest(`http://${server.address}/q/metrics`);
  const outcome = new Promise<string>((resolve) => {
    request.on("response", (response: IncomingMessage) => resolve(`${response.resume().statusCode}`));
    request.on("error", () => resolve("cut off"));
  });
  request.end();
  const response = await held.promise;
  return { close: server.close, finish: () => void response.end(), outcome };
}

describe.each([
  ["grpc", runningGrpc, "0"],
  ["http", runningHttp, "200"],
] as const)("a server of %s that closes", (_name, running, ok) => {
  const graceMs = 1_000;
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  });

  /** Closes it, and has so much time pass of its own. */
  async function closing({ close }: Running, passMs: number): Promise<{ closed: Promise<void> }> {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
    // Vitest leaves the timers alone that src/ imports as promises.
    const wait = <T>(ms?: number, value?: T) => new Promise<T>((resolve) => setTimeout(() => resolve(value as T), ms));
    vi.spyOn(timers, "setTimeout").mockImplementation(wait);
    syncBuiltinESMExports();
    const closed = close(graceMs);
    await vi.advanceTimersByTimeAsync(passMs);
    return { closed };
  }

  it("answers a call that ends within the grace", async () => {
    const call = await running();
    const { closed } = await closing(call, graceMs - 1);
    call.finish();
    expect(await call.outcome).toBe(ok);
    await vi.advanceTimersByTimeAsync(graceMs);
    await closed;
  });

  it("cuts off one that does not", async () => {
    const call = await running();
    const { closed } = await closing(call, graceMs + 50);
    expect(await call.outcome).toBe("cut off");
    await closed;
  });
});
