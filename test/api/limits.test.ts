/** Limits of calls on a real service. None of these tests counts on how fast it is: what comes back is counted, and time is only a bound. */
import { fromBinary, toBinary, create, createRegistry } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { EncryptPiiRequestSchema } from "../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { type RetryInfo, RetryInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/ts/google/rpc/status_pb.ts";
import { type PolicyService, startPolicyService, tokenPolicy } from "../support/policy-service.ts";
import { bearer, failureOf, type GrpcClient, grpcClient } from "../support/running-service.ts";
import { batchOf, signedOf, spansFrom } from "../support/span-batches.ts";
import { openStream } from "../support/stream-client.ts";

const policy = tokenPolicy({
  greedy: { roles: ["encrypt"], limit: 1 },
  modest: { roles: ["encrypt"], limit: 1_000 },
  free: { roles: ["encrypt", "sign"] },
  streams: { roles: ["sign"], limit: 10 },
  batches: { roles: ["sign"], limit: 10 },
  opens: { roles: ["sign"], limit: 1 },
  retries: { roles: ["encrypt"], limit: 2 },
  twice: { roles: ["encrypt"], limit: 1 },
  items: { roles: ["encrypt"], limit: 1 },
  page: { roles: ["encrypt"], limit: 1 },
  other: { roles: ["encrypt"], tenants: "[globex]" },
  ops: { roles: ["status", "operate", "metrics"] },
});

let service: PolicyService;
beforeAll(async () => {
  service = await startPolicyService(policy);
});
afterAll(() => service.stop());

function clientOf(name: string, of = service): GrpcClient {
  const client = grpcClient(`127.0.0.1:${of.grpcPort}`, grpc.credentials.createInsecure(), of.tokens[name]);
  onTestFinished(() => client.close());
  return client;
}

const field = { name: "email", value: Buffer.from("ann@example.com") };
const request = (tenantId = "acme", fields = 1) => ({
  tenantId,
  fields: Array.from({ length: fields }, (_, n) => ({ ...field, name: `f${n}` })),
});

/** Milliseconds of the error's RetryInfo, and of its pushback. */
function waitsOf({ metadata }: grpc.ServiceError): { retryMs: number | undefined; pushbackMs: number } {
  const [encoded] = metadata.get("grpc-status-details-bin");
  const details = fromBinary(StatusSchema, encoded as Buffer).details.map((any) =>
    anyUnpack(any, createRegistry(RetryInfoSchema)),
  );
  const retry = details.find((each) => each?.$typeName === RetryInfoSchema.typeName) as RetryInfo | undefined;
  const { seconds = 0n, nanos = 0 } = retry?.retryDelay ?? {};
  return {
    retryMs: retry && Number(seconds) * 1_000 + nanos / 1_000_000,
    pushbackMs: Number(metadata.get("grpc-retry-pushback-ms")[0]),
  };
}

const errorOf = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: grpc.ServiceError) => error,
  );

/** What came of so many calls, one after the other, and how long they took at most. */
async function manyCalls(client: GrpcClient, count: number) {
  const startedMs = performance.now();
  const errors: (grpc.ServiceError | undefined)[] = [];
  for (let n = 0; n < count; n += 1) errors.push(await errorOf(client.encryptPii(request())));
  const refused = errors.filter((error) => error !== undefined);
  return { refused, served: count - refused.length, seconds: (performance.now() - startedMs) / 1_000 };
}

describe("a caller beyond its limit", () => {
  it("is refused with the time to wait, and others are not", async () => {
    const [greedy, modest] = await Promise.all([manyCalls(clientOf("greedy"), 60), manyCalls(clientOf("modest"), 60)]);
    expect(modest.refused).toEqual([]);
    // Two units at once and one a second, of which each call costs two: what it is served beyond, it owes.
    expect(greedy.served).toBeLessThanOrEqual(2 + greedy.seconds);
    expect(greedy.served).toBeGreaterThan(0);
    for (const error of greedy.refused) {
      expect([error.code, error.details]).toEqual([grpc.status.RESOURCE_EXHAUSTED, "too many calls: wait"]);
      const { retryMs, pushbackMs } = waitsOf(error);
      expect(retryMs).toBe(pushbackMs);
      expect(pushbackMs).toBeGreaterThan(0);
      expect(pushbackMs).toBeLessThanOrEqual(2_000);
    }
  });

  it("is so on all its connections together", async () => {
    const [one, other] = await Promise.all([manyCalls(clientOf("twice"), 30), manyCalls(clientOf("twice"), 30)]);
    expect(one.served + other.served).toBeLessThanOrEqual(3 + Math.max(one.seconds, other.seconds));
    expect(one.refused.length + other.refused.length).toBeGreaterThan(0);
  });

  it("owes what its items cost: a call of 11 units under a limit of 1 is served, and the next one waits", async () => {
    const client = clientOf("items");
    const { fields } = await client.encryptPii(request("acme", 1_000));
    expect(fields).toHaveLength(1_000);
    const { retryMs } = waitsOf(await untilRefused(() => client.encryptPii(request())));
    expect(retryMs).toBeGreaterThan(0);
    expect(retryMs).toBeLessThanOrEqual(10_000);
  });

  it("is told 429 and when to come back over HTTP, on a connection that stays", async () => {
    const headers = { authorization: `Bearer ${service.tokens.page}`, "content-type": "application/json" };
    const body = JSON.stringify({ tenantId: "acme", fields: [{ name: "a", value: "YQ==" }] });
    const url = `${service.url}/fluo.kms.v1.KmsService/EncryptPii`;
    let answer = await fetch(url, { method: "POST", headers, body });
    while (answer.status === 200) answer = await fetch(url, { method: "POST", headers, body });
    expect(answer.status).toBe(429);
    expect(answer.headers.get("connection")).not.toBe("close");
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await answer.json()).toMatchObject({ code: "resource_exhausted", message: "too many calls: wait" });
    const path = await fetch(`${service.url}/api/kms/whoami`, { headers });
    if (path.status !== 200) expect([path.status, path.headers.get("retry-after")]).toEqual([429, expect.anything()]);
  });

  it("is told by gRPC-Web in its trailers", async () => {
    const headers = {
      authorization: `Bearer ${service.tokens.page}`,
      "content-type": "application/grpc-web+proto",
    };
    const message = toBinary(EncryptPiiRequestSchema, create(EncryptPiiRequestSchema, request()));
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    const ask = async () => {
      const url = `${service.url}/fluo.kms.v1.KmsService/EncryptPii`;
      const answer = await fetch(url, { method: "POST", headers, body: Buffer.concat([head, message]) });
      return Buffer.from(await answer.arrayBuffer()).toString("latin1");
    };
    let text = await ask();
    while (text.includes("grpc-status: 0")) text = await ask();
    expect(text).toContain("grpc-status: 8");
    expect(text).toMatch(/grpc-retry-pushback-ms: \d+\r\n/);
  });

  it("is named in Status, and Validate says what to raise", async () => {
    await manyCalls(clientOf("greedy"), 5);
    const ops = clientOf("ops");
    const { notices } = await ops.status({});
    expect(notices).toContainEqual(
      expect.stringMatching(/^In the last 10 min the limit of rule greedy held back token:greedy\.$/),
    );
    const { recommendations } = await ops.validate({});
    expect(recommendations).toContainEqual(
      expect.stringMatching(/^Raise the limit of rule greedy if it is too low: .* it held back token:greedy\.$/),
    );
  });

  it("is counted", async () => {
    const answer = await fetch(`${service.url}/q/metrics`, {
      headers: { authorization: `Bearer ${service.tokens.ops}` },
    });
    const text = await answer.text();
    expect(text).toMatch(/^kms_limited_total\{limit="caller"\} [1-9]\d*$/m);
    expect(text).toMatch(/^kms_limited_total\{limit="tenant"\} 0$/m);
    expect(text).toMatch(/^kms_auth_total\{kind="token",outcome="limited"\} [1-9]\d*$/m);
  });
});

it("a gRPC client that retries RESOURCE_EXHAUSTED heeds the time that it is told", async () => {
  const service_ = "fluo.kms.v1.KmsService";
  const retryPolicy = {
    ...{ maxAttempts: 5, initialBackoff: "0.001s", maxBackoff: "0.001s", backoffMultiplier: 1 },
    retryableStatusCodes: ["RESOURCE_EXHAUSTED"],
  };
  const client = new grpc.Client(`127.0.0.1:${service.grpcPort}`, grpc.credentials.createInsecure(), {
    "grpc.service_config": JSON.stringify({ methodConfig: [{ name: [{ service: service_ }], retryPolicy }] }),
    "grpc.enable_retries": 1,
    "grpc.use_local_subchannel_pool": 1,
  });
  onTestFinished(() => client.close());
  const call = (message: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      const pass = (bytes: Uint8Array) => Buffer.from(bytes);
      const path = `/${service_}/EncryptPii`;
      client.makeUnaryRequest(path, pass, pass, message, bearer(service.tokens.retries), (error) =>
        error ? reject(error) : resolve(),
      );
    });
  const message = toBinary(EncryptPiiRequestSchema, create(EncryptPiiRequestSchema, request()));
  // Without the pushback five attempts, 1 ms apart, would all be refused.
  for (let n = 0; n < 6; n += 1) await call(message);
});

describe("the limit of a tenant", () => {
  it("is not spent by whoever may not name it, who is told the same whether it is spent or there is none", async () => {
    const limited = await startPolicyService(policy, { "fluo.kms.limit.tenant": "1" });
    onTestFinished(() => limited.stop());
    const [other, free] = [clientOf("other", limited), clientOf("free", limited)];
    const denied = async (tenantId: string) => {
      const { code, details, metadata } = (await errorOf(other.encryptPii(request(tenantId))))!;
      return { code, details, metadata: metadata.get("grpc-status-details-bin").map(String) };
    };
    const before = await denied("acme");
    expect(before.code).toBe(grpc.status.PERMISSION_DENIED);
    for (let n = 0; n < 50; n += 1) expect(await denied("acme")).toEqual(before);
    await free.encryptPii(request("acme"));
    const error = await untilRefused(() => free.encryptPii(request("acme")));
    expect([error.code, waitsOf(error).retryMs]).toEqual([grpc.status.RESOURCE_EXHAUSTED, waitsOf(error).pushbackMs]);
    expect(await denied("acme")).toEqual(before);
    expect(await denied("nobody")).toEqual(before);
    await free.encryptPii(request("initech"));
    await clientOf("other", limited).encryptPii(request("globex"));
    expect((await clientOf("ops", limited).status({})).notices).toContain(
      "In the last 10 min fluo.kms.limit.tenant held back calls for acme.",
    );
  });
});

describe("a stream beyond its caller's limit", () => {
  const opened = (name: string) => {
    const metadata = bearer(service.tokens[name]);
    const stream = openStream(`127.0.0.1:${service.grpcPort}`, {}, {}, { metadata });
    onTestFinished(() => stream.close());
    return stream;
  };
  const batch = (from: number, to: number) => batchOf(spansFrom(from, to), { tenantId: "acme" });
  /** Seconds after which a caller of 10 units a second, 20 of them at once, may begin something when it has spent so many. */
  const secondsOf = (units: number) => (units - 19) / 10;

  it("is read later and not ended", async () => {
    const startedMs = performance.now();
    const stream = opened("streams");
    for (let n = 0; n < 30; n += 1) void stream.send(batch(n * 100, (n + 1) * 100));
    stream.halfClose();
    expect(signedOf(...(await stream.rest()))).toHaveLength(3_000);
    expect(performance.now() - startedMs).toBeGreaterThan(secondsOf(1 + 29) * 1_000 - 10);
  });

  it("counts each 100 spans, once it is known how many there are", async () => {
    const startedMs = performance.now();
    const stream = opened("batches");
    await stream.send(batch(0, 3_000));
    expect(signedOf(await stream.nextResponse())).not.toEqual([]);
    await stream.send(batch(3_000, 3_001));
    stream.halfClose();
    await stream.rest();
    expect(performance.now() - startedMs).toBeGreaterThan(secondsOf(1 + 30) * 1_000 - 10);
  });

  it("may begin however much the caller owes", async () => {
    const streams = Array.from({ length: 60 }, () => opened("opens"));
    for (const each of streams) each.halfClose();
    for (const each of streams) expect(await each.rest()).toEqual([]);
    const [client, span] = [clientOf("opens"), spansFrom(0, 1)[0]!];
    const error = await untilRefused(() => client.signSpan({ tenantId: "acme", span }));
    expect(await failureOf(Promise.reject(error))).toMatchObject({ reason: "RATE_LIMITED", retry: true });
  });
});

/** Makes calls until one is refused, however long that takes. */
async function untilRefused(call: () => Promise<unknown>): Promise<grpc.ServiceError> {
  for (;;) {
    const error = await errorOf(call());
    if (error !== undefined) return error;
  }
}
