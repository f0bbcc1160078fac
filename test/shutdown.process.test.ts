/** How the process starts and ends: what a signal does to health, to calls that run and to connections that are merely open. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { resultOf, start } from "./support/cli-fixture.ts";
import { halfCall } from "./support/half-call.ts";
import { keepAllOpen } from "./support/kept-open.ts";
import { grpcClient } from "./support/running-service.ts";
import { startProcess } from "./support/service-process.ts";

/** So long that a test which waits for it fails. */
const longGrace = { FLUO_KMS_SHUTDOWN_GRACE: "10m" };

describe("SIGTERM", () => {
  it("is not held up by what is merely open: Watch, reflection, idle and silent connections", async () => {
    const service = await startProcess(longGrace);
    await keepAllOpen(service.grpc, service.http);
    service.child.kill("SIGTERM");
    expect(await service.ended).toEqual({ code: 0, err: "" });
  });

  it("a second time ends the process at once with 1", async () => {
    const service = await startProcess(longGrace);
    await halfCall(service.grpc);
    service.child.kill("SIGTERM");
    await service.said(/"draining"/);
    service.child.kill("SIGTERM");
    expect(await service.ended).toEqual({ code: 1, err: "" });
  });

  describe("under npm, which hands on to the service what that has got already,", () => {
    async function toldTwice() {
      const service = await startProcess({ ...longGrace, npm_lifecycle_event: "start" });
      const call = await halfCall(service.grpc);
      service.child.kill("SIGTERM");
      await service.said(/"draining"/);
      service.child.kill("SIGTERM");
      // What one SIGHUP says may be said before a signal that was sent earlier is seen to; what the next one says is not.
      for (let n = 0; n < 2; n += 1) {
        service.child.kill("SIGHUP");
        await once(service.child.stderr!, "data");
      }
      return { service, ...call };
    }

    it("twice is once", async () => {
      const { service, stream } = await toldTwice();
      const trailers = once(stream, "trailers");
      stream.resume().end(new Uint8Array(4));
      expect((await trailers)[0]).toMatchObject({ "grpc-status": "0" });
      expect((await service.ended).code).toBe(0);
    });

    it("a third time ends the process at once with 1", async () => {
      const { service } = await toldTwice();
      service.child.kill("SIGTERM");
      expect((await service.ended).code).toBe(1);
    });
  });

  it("ends with 0 though nobody takes the telemetry that is left", async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const service = await startProcess({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
    const client = grpcClient(service.grpc);
    onTestFinished(() => client.close());
    await client.status({});
    service.child.kill("SIGTERM");
    expect((await service.ended).code).toBe(0);
  });
});

describe("the start", () => {
  it("is measured in the log", async () => {
    const service = await startProcess();
    const line = JSON.parse(await service.said(/"serving"/));
    expect(line.start_ms).toBeGreaterThan(0);
    console.log(`start to serving: ${line.start_ms} ms`);
  });

  it.each(["grpc", "http"])("on a %s port in use is one clear line and exit 1", async (which) => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const ports = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" };
    const result = await resultOf(
      start([], { env: { ...ports, [`FLUO_KMS_${which.toUpperCase()}_PORT`]: String(port) } }),
    );
    expect(result.code).toBe(1);
    expect(result.err).toMatch(
      new RegExp(`^fluo-kms: port ${port} of 127\\.0\\.0\\.1 is in use; .*fluo\\.kms\\.${which}\\.port.*\n$`),
    );
    expect(result.out).not.toContain("serving");
  });
});
