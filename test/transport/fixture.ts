/** Both transports with handlers of the test's making, on free loopback ports, as server.ts puts them together. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { ServerCredentials } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { pino } from "pino";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { otlpSettings } from "../../src/config/otlp.ts";
import type { KmsHandlers } from "../../src/service/kms-service.ts";
import { startTelemetry } from "../../src/telemetry.ts";
import { anyone } from "../../src/transport/authenticate.ts";
import { type Budget, createBudget } from "../../src/transport/budget.ts";
import { connectHandler } from "../../src/transport/connect.ts";
import { createGrpcServer } from "../../src/transport/grpc.ts";
import { httpListener } from "../../src/transport/http.ts";
import { callRecorder } from "../../src/transport/telemetry.ts";
import { type GrpcClient, grpcClient } from "../running-service.ts";

export interface Transports {
  grpc: GrpcClient;
  connect: Client<typeof KmsService>;
  grpcWeb: Client<typeof KmsService>;
  grpcAddress: string;
  url: string;
  budget: Budget;
  metrics(): Promise<string>;
  stop(): Promise<void>;
}

export async function startTransports(handlers: Partial<KmsHandlers>, budgetBytes?: number): Promise<Transports> {
  const telemetry = await startTelemetry({ version: "test", otlp: otlpSettings({}).otlp });
  const recorder = callRecorder({
    instruments: telemetry.instruments,
    tracer: telemetry.tracer,
    log: pino({ level: "silent" }),
  });
  const budget = createBudget(budgetBytes);
  const parts = { handlers: handlers as KmsHandlers, recorder, budget, caller: anyone };
  const grpcServer = createGrpcServer({ ...parts, health: new HealthImplementation({ "": "SERVING" }) });
  const grpcPort = await grpcServer.listen("127.0.0.1:0", ServerCredentials.createInsecure());
  const report = { status: "operational", latencyMs: 0, notices: [], counts: undefined as never } as const;
  const httpServer = createServer(
    httpListener({
      ...parts,
      connect: connectHandler(parts),
      health: { current: () => report, look: async () => report, drain() {}, stop() {} },
      providerName: "local",
      serveMetrics: telemetry.servePrometheus,
      loopbackOnly: true,
    }),
  );
  await new Promise<void>((resolve) => httpServer.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(httpServer.address() as AddressInfo).port}`;
  const client = grpcClient(`127.0.0.1:${grpcPort}`);
  return {
    grpc: client,
    connect: createClient(KmsService, createConnectTransport({ baseUrl: url, httpVersion: "1.1" })),
    grpcWeb: createClient(KmsService, createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1" })),
    grpcAddress: `127.0.0.1:${grpcPort}`,
    url,
    budget,
    metrics: async () => (await fetch(`${url}/q/metrics`)).text(),
    async stop() {
      client.close();
      const closed = new Promise((resolve) => httpServer.close(resolve));
      httpServer.closeAllConnections();
      await Promise.all([closed, grpcServer.close(0)]);
      await telemetry.shutdown();
    },
  };
}

/** A handler that answers only when its call's signal aborts, and tells the test of both. */
export function patient() {
  const started = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<unknown>();
  const handler = (_request: unknown, { signal }: { signal: AbortSignal }) =>
    new Promise<never>((_resolve, reject) => {
      const leave = () => {
        aborted.resolve(signal.reason);
        reject(signal.reason);
      };
      if (signal.aborted) leave();
      else signal.addEventListener("abort", leave);
      started.resolve();
    });
  return { handler, started: started.promise, aborted: aborted.promise };
}
