/** Servers of both transports: what is left open when one cannot be bound, or when it is disposed of. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { pino } from "pino";
import { describe, expect, it, onTestFinished } from "vitest";
import { unobserved } from "../../src/audit/observer.ts";
import { otlpSettings } from "../../src/config/otlp.ts";
import type { HealthReport } from "../../src/health/monitor.ts";
import type { KmsHandlers } from "../../src/service/kms/handlers.ts";
import type { LogHandlers } from "../../src/service/log/handlers.ts";
import { startTelemetry } from "../../src/telemetry/start.ts";
import { createCalls } from "../../src/transport/calls.ts";
import { createGrpcHealth } from "../../src/transport/grpc/health.ts";
import { listenGrpc } from "../../src/transport/grpc/server.ts";
import { listenHttp } from "../../src/transport/http/server.ts";
import { testConnections } from "../support/test-connections.ts";

async function servers() {
  const { instruments, shutdown } = await startTelemetry({ version: "test", otlp: otlpSettings({}).otlp });
  onTestFinished(() => shutdown());
  const calls = createCalls({
    services: [],
    instruments,
    tracer: undefined,
    log: pino({ level: "silent" }),
    observer: unobserved,
  });
  const connections = testConnections();
  const binding = (port: number) => ({
    connections,
    host: "127.0.0.1",
    port,
    tls: undefined,
    requestCert: false,
    graceMs: 0,
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
        health,
        providerName: "local",
        serveMetrics: (_request, response) => void response.end(),
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
