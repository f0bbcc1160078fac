/** A caller that leaves, or whose time is up: it hears so, and the handler's signal says so to whatever it waits for. */
import { get } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { unobserved } from "../../src/audit/observer.ts";
import { dataKeyHandlers } from "../../src/service/kms/data-key.ts";
import { kmsMethods } from "../../src/service/kms/handlers.ts";
import { postRpc } from "../support/api-fixture.ts";
import { auditedHandlers } from "../support/audited-handlers.ts";
import { fromNow } from "../support/from-now.ts";
import { setUp } from "../support/keys-fixture.ts";
import { failureOf } from "../support/running-service.ts";
import { patient, startTransports, type Transports } from "../support/transports-fixture.ts";
import { destroySession } from "../support/destroy-session.ts";

let service: Transports | undefined;
/** Time stands still until a test has it pass. */
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
});
afterEach(async () => {
  vi.useRealTimers();
  await service?.stop();
});

const tenantId = "acme";
/** Awaiting lets 50 ms of the fake time pass at each look. */
const patienceMs = 5_000;
const soon = () => fromNow(patienceMs);
const timePasses = () => void vi.advanceTimersByTime(2 * patienceMs);

/** A service whose handlers wait for ever, unless their call ends. */
async function start() {
  const { handler, started, aborted } = patient();
  const running = await startTransports({ generateDataKey: handler, signSpan: handler, status: handler });
  service = running;
  return { ...running, started, aborted };
}

describe("over gRPC", () => {
  it("a deadline that the service keeps alone ends the handler with DEADLINE_EXCEEDED", async () => {
    const { grpcAddress, started, aborted } = await start();
    const session = connectHttp2(`http://${grpcAddress}`).on("error", () => {});
    const call = session.request({
      ":method": "POST",
      ":path": `/${KmsService.typeName}/GenerateDataKey`,
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": `${patienceMs}m`,
    });
    const answered = new Promise<Record<string, unknown>>((resolve) => {
      call.once("response", (headers) => headers["grpc-status"] && resolve(headers));
      call.once("trailers", resolve);
    });
    call.resume();
    call.end(Buffer.alloc(5));
    await started;
    timePasses();
    expect(await aborted).toBeKmsError("DEADLINE_EXCEEDED");
    expect(String((await answered)["grpc-status"])).toBe(String(grpc.status.DEADLINE_EXCEEDED));
    await destroySession(session);
  });

  it("a deadline in the past ends a call at once", async () => {
    const { grpc: client } = await start();
    const failure = await failureOf(client.generateDataKey({ tenantId }, { deadline: new Date(0) }));
    expect(failure.code).toBe(grpc.status.DEADLINE_EXCEEDED);
  });

  it("a caller that cancels ends the handler with CANCELLED", async () => {
    const { grpcAddress, started, aborted, budget } = await start();
    const client = new grpc.Client(grpcAddress, grpc.credentials.createInsecure());
    const pass = (bytes: Uint8Array) => Buffer.from(bytes);
    const ended = Promise.withResolvers<grpc.ServiceError | null>();
    const call = client.makeUnaryRequest(
      `/${KmsService.typeName}/GenerateDataKey`,
      pass,
      pass,
      Buffer.of(),
      ended.resolve,
    );
    await started;
    call.cancel();
    expect((await ended.promise)?.code).toBe(grpc.status.CANCELLED);
    expect(await aborted).toBeKmsError("CANCELLED");
    await expect.poll(budget.calls).toBe(0);
    client.close();
  });
});

describe("over Connect and HTTP", () => {
  it("a timeout that the service keeps alone is answered with deadline_exceeded", async () => {
    const { url, started, aborted } = await start();
    const answer = postRpc(url, "GenerateDataKey", {}, { "connect-timeout-ms": String(patienceMs) });
    await started;
    timePasses();
    expect(await aborted).toBeKmsError("DEADLINE_EXCEEDED");
    expect(await answer).toMatchObject({ status: 504, body: { code: "deadline_exceeded" } });
  });

  it("a caller that leaves ends the handler", async () => {
    const { connect, started, aborted } = await start();
    const leaving = new AbortController();
    const call = connect.generateDataKey({ tenantId }, { signal: leaving.signal }).catch((thrown) => thrown);
    await started;
    leaving.abort();
    expect(ConnectError.from(await call).code).toBe(Code.Canceled);
    expect(await aborted).toBeKmsError("CANCELLED");
  });

  it("a caller of an administrative path that leaves ends the handler", async () => {
    const { url, started, aborted } = await start();
    const request = get(`${url}/api/admin/kms/status`);
    request.on("error", () => {});
    await started;
    request.destroy();
    expect(await aborted).toBeKmsError("CANCELLED");
  });
});

describe("while the provider is slow to make a tenant's first key", () => {
  async function startSlow() {
    const fast = localProvider(randomMasterKey());
    const gate = Promise.withResolvers<void>();
    const provider: Provider = {
      ...fast,
      async generateDataKey(context) {
        await gate.promise;
        return fast.generateDataKey(context);
      },
    };
    const { keyring, calls } = setUp({ provider });
    const keyTimer = { signing: <T>(call: () => T) => call(), encryption: <T>(call: () => T) => call() };
    const running = await startTransports(
      auditedHandlers(dataKeyHandlers({ keyring, keyTimer }), kmsMethods, unobserved),
    );
    service = running;
    return { ...running, calls, answer: gate.resolve };
  }

  it("callers whose deadline passes go away, and the key is made once for who comes next", async () => {
    const { grpc: client, connect, calls, answer, budget } = await startSlow();
    const early = Promise.all([
      failureOf(client.generateDataKey({ tenantId }, { deadline: soon() })),
      failureOf(client.generateDataKey({ tenantId }, { deadline: soon() })),
    ]);
    await expect.poll(budget.calls).toBe(2);
    timePasses();
    for (const { code } of await early) expect(code).toBe(grpc.status.DEADLINE_EXCEEDED);
    await expect.poll(budget.calls).toBe(0);
    const late = connect.generateDataKey({ tenantId }, { timeoutMs: patienceMs }).catch((thrown) => thrown);
    await expect.poll(budget.calls).toBe(1);
    timePasses();
    expect(ConnectError.from(await late).code).toBe(Code.DeadlineExceeded);
    const waiting = client.generateDataKey({ tenantId });
    answer();
    expect((await waiting).plaintext).toHaveLength(32);
    expect((await client.generateDataKey({ tenantId })).plaintext).toHaveLength(32);
    expect(calls).toMatchObject({ generateDataKey: 1, decrypt: 1 });
    await expect.poll(budget.calls).toBe(0);
  });
});
