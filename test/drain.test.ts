/** The end of a service, in time that the test moves: what callers notice of the delay before the drain, of the drain, and of its grace. */
import { once } from "node:events";
import { Agent, request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { text } from "node:stream/consumers";
import * as grpc from "@grpc/grpc-js";
import { describe, expect, it, onTestFinished } from "vitest";
import { halfCall } from "./support/half-call.ts";
import { keepAllOpen, watchHealth } from "./support/kept-open.ts";
import { failureOf, grpcClient, startService } from "./support/running-service.ts";
import { batchOf, signedOf, spansFrom } from "./support/span-batches.ts";
import { openStream } from "./support/stream-client.ts";
import { virtualTime } from "./support/virtual-time.ts";
import { destroySession } from "./support/destroy-session.ts";

const graceMs = 600_000;

async function started(properties: Record<string, string> = {}) {
  const time = virtualTime();
  const service = await startService({ "fluo.kms.shutdown.grace": `${graceMs / 60_000}m`, ...properties }, { time });
  let ending: Promise<void> | undefined;
  const stop = () => {
    ending ??= service.stop();
    return ending;
  };
  onTestFinished(() => time.until(stop(), graceMs + 60_000));
  return { ...service, time, stop, target: `127.0.0.1:${service.grpcPort}` };
}

async function halfRequest(url: string) {
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  const headers = { "content-length": 2, expect: "100-continue" };
  const request = httpRequest(`${url}/api/admin/kms/validate`, { method: "POST", headers, agent });
  request.on("error", () => {});
  request.flushHeaders();
  // The server has the head.
  await once(request, "continue");
  request.write("{");
  return request;
}

/** Time in which a drain closes what is only open: 250 ms are for what was written last. */
const promptMs = 1_000;

describe("the drain", () => {
  it("turns gRPC health to NOT_SERVING, which a Watch stream sees before it ends", async () => {
    const { target, time, stop } = await started();
    const watch = watchHealth(target);
    expect(await watch.next()).toBe("SERVING");
    const said = watch.next();
    const stopping = stop();
    expect(await said).toBe("NOT_SERVING");
    expect(await watch.ended).toBe(grpc.status.OK);
    await time.until(stopping, promptMs);
  });

  it("is not held up by what is merely open: Watch, reflection, idle and silent connections", async () => {
    const { target, url, time, stop } = await started();
    await keepAllOpen(target, url);
    await time.until(stop(), promptMs);
  });

  it("lets a gRPC call that runs finish", async () => {
    const { target, time, stop } = await started();
    const { session, stream } = await halfCall(target);
    const goneAway = once(session, "goaway");
    const stopping = stop();
    await goneAway;
    await time.advance(graceMs / 2);
    const trailers = once(stream, "trailers");
    stream.resume().end(new Uint8Array(4));
    expect((await trailers)[0]).toMatchObject({ "grpc-status": "0" });
    await time.until(stopping, promptMs);
  });

  it("ends streams of spans with UNAVAILABLE, once what they brought is answered", async () => {
    const { target, time, stop } = await started();
    const [busy, idle] = [openStream(target), openStream(target)];
    for (const stream of [busy, idle]) onTestFinished(stream.close);
    for (const stream of [busy, idle]) await stream.send(batchOf(spansFrom(0, 10), { tenantId: "acme" }));
    await idle.next();
    // Read from now on: grpc-js drops what was not, once the stream has ended with an error.
    const busyAnswer = busy.nextResponse();
    const stopping = stop();
    expect(signedOf(await busyAnswer)).toHaveLength(10);
    for (const stream of [idle, busy]) {
      expect(await stream.failure()).toMatchObject({ code: grpc.status.UNAVAILABLE, reason: "DRAINING", retry: true });
    }
    await time.until(stopping, promptMs);
  });

  it("lets an HTTP call that runs finish, and ends its connection", async () => {
    const { url, time, stop } = await started();
    const request = await halfRequest(url);
    const stopping = stop();
    await time.advance(graceMs / 2);
    request.end("}");
    const [response] = await once(request, "response");
    expect(response.statusCode).toBe(200);
    expect(JSON.parse(await text(response)).overall).toBe("PASS");
    await time.until(stopping, promptMs);
  });

  it("takes no new call", async () => {
    const { target, url, time, stop } = await started();
    const running = await halfRequest(url);
    const stopping = stop();
    const late = grpcClient(target);
    onTestFinished(() => late.close());
    expect(await failureOf(late.status({}))).toMatchObject({ code: grpc.status.UNAVAILABLE });
    running.destroy();
    await time.until(stopping, promptMs);
  });

  it.each([
    ["gRPC", async ({ target }: { target: string; url: string }) => void (await halfCall(target))],
    ["HTTP", async ({ url }: { target: string; url: string }) => void (await halfRequest(url))],
  ])("ends after the grace a call over %s that nothing else ends", async (_transport, hang) => {
    const service = await started({ "fluo.kms.shutdown.grace": "30s" });
    await hang(service);
    const { time } = service;
    const beganMs = time.monotonicMs();
    await time.until(service.stop(), 30_000 + promptMs);
    expect(time.monotonicMs() - beganMs).toBeGreaterThanOrEqual(30_000);
  });
});

describe("the delay before the drain", () => {
  const delayMs = 8_000;
  const delayed = () => started({ "fluo.kms.shutdown.delay": "8s" });

  it("has the service not ready, yet alive, and taking new calls to its end", async () => {
    const { url, target, time, stop } = await delayed();
    const stateOf = async (path: string) => (await fetch(`${url}/q/health/${path}`)).status;
    expect(await stateOf("ready")).toBe(200);
    const stopping = stop();
    await time.advance(delayMs - 1);
    expect([await stateOf("ready"), await stateOf("live")]).toEqual([503, 200]);
    const late = grpcClient(target);
    onTestFinished(() => late.close());
    await late.status({});
    await time.advance(1);
    await time.until(stopping, promptMs);
    expect(await failureOf(late.status({}))).toMatchObject({ code: grpc.status.UNAVAILABLE });
  });

  it("is told by the front page", async () => {
    const { url, time, stop } = await delayed();
    const page = async () => (await fetch(url)).text();
    expect(await page()).toContain("Ready.");
    const stopping = stop();
    expect(await page()).toContain("Shutting down.");
    await time.advance(delayMs);
    await time.until(stopping, promptMs);
  });

  it("ends the connections of HTTP/1.1 with an answer each, and those of gRPC at its end", async () => {
    const { url, target, time, stop } = await delayed();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    /** Asks for a rpc, a page and a refusal, each over a connection that was kept before if there is one. */
    const asked = async () => {
      const answers = [];
      for (const path of ["/fluo.kms.v1.KmsService/Status", "/q/metrics", "/%2e"]) {
        const method = path.startsWith("/fluo") ? "POST" : "GET";
        const headers = { "content-type": "application/json" };
        const sent = httpRequest(url, { path, method, agent, headers });
        sent.end(method === "POST" ? "{}" : undefined);
        // While there are strangers, a new connection waits its turn.
        const [answer] = await time.until(once(sent, "response"), promptMs);
        await text(answer);
        answers.push([answer.statusCode, answer.headers.connection, sent.reusedSocket ? "kept" : "new"]);
      }
      return answers;
    };
    const session = connectHttp2(`http://${target}`);
    onTestFinished(() => destroySession(session));
    await once(session, "connect");
    let isTold = false;
    const goaway = once(session, "goaway").then(() => {
      isTold = true;
    });

    expect(await asked()).toEqual([
      [200, "keep-alive", "new"],
      [200, "keep-alive", "kept"],
      [400, "keep-alive", "kept"],
    ]);
    const stopping = stop();
    await time.advance(delayMs / 2);
    expect(await asked()).toEqual([
      [200, "close", "kept"],
      [200, "close", "new"],
      [400, "close", "new"],
    ]);
    expect(isTold).toBe(false);
    await time.advance(delayMs / 2);
    await goaway;
    await time.until(stopping, promptMs);
  });
});
