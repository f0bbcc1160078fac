/** Limits of calls on a real service, in time that stands still until a test moves it. */
import { create, createRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { EncryptPiiRequestSchema } from "../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { type RetryInfo, RetryInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/ts/google/rpc/status_pb.ts";
import {
  bearer,
  failureOf,
  type GrpcClient,
  grpcClient,
  type RunningService,
  startService,
} from "../support/running-service.ts";
import { tokenPolicy } from "../support/token-policy.ts";
import { batchOf, signedOf, spansFrom } from "../support/span-batches.ts";
import { openStream, type SpanClient } from "../support/stream-client.ts";
import { virtualTime } from "../support/virtual-time.ts";

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

const time = virtualTime({ finished: afterAll });
let service: RunningService;
beforeAll(async () => {
  service = await startService({}, { files: policy.files, time });
});
afterAll(() => service.stop());

function clientOf(name: string, of = service): GrpcClient {
  const client = grpcClient(`127.0.0.1:${of.grpcPort}`, grpc.credentials.createInsecure(), policy.tokens[name]);
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

/** What came of so many calls, one after the other, at one moment. */
async function manyCalls(client: GrpcClient, count: number) {
  const errors: (grpc.ServiceError | undefined)[] = [];
  for (let n = 0; n < count; n += 1) errors.push(await errorOf(client.encryptPii(request())));
  const refused = errors.filter((error) => error !== undefined);
  return { refused, served: count - refused.length };
}

describe("a caller beyond its limit", () => {
  it("is refused with the time to wait, and others are not", async () => {
    const [greedy, modest] = await Promise.all([manyCalls(clientOf("greedy"), 60), manyCalls(clientOf("modest"), 60)]);
    expect(modest.refused).toEqual([]);
    // Two units at once and one a second, of which each call costs two: what it is served beyond, it owes.
    expect(greedy.served).toBe(1);
    for (const error of greedy.refused) {
      expect([error.code, error.details]).toEqual([grpc.status.RESOURCE_EXHAUSTED, "too many calls: wait"]);
      const { retryMs, pushbackMs } = waitsOf(error);
      expect([retryMs, pushbackMs]).toEqual([1_000, 1_000]);
    }
    await time.setWallClock(3_600_000); // which gives nobody anything
    await time.advance(999);
    expect((await manyCalls(clientOf("greedy"), 1)).served).toBe(0);
    await time.advance(1);
    expect((await manyCalls(clientOf("greedy"), 2)).served).toBe(1);
  });

  it("is so on all its connections together", async () => {
    const [one, other] = await Promise.all([manyCalls(clientOf("twice"), 30), manyCalls(clientOf("twice"), 30)]);
    expect(one.served + other.served).toBe(1);
  });

  it("owes what its items cost: a call of 11 units under a limit of 1 is served, and the next one waits", async () => {
    const client = clientOf("items");
    const { fields } = await client.encryptPii(request("acme", 1_000));
    expect(fields).toHaveLength(1_000);
    expect(waitsOf((await errorOf(client.encryptPii(request())))!).retryMs).toBe(10_000);
  });

  it("is told 429 and when to come back over HTTP, on a connection that stays", async () => {
    const headers = { authorization: `Bearer ${policy.tokens.page}`, "content-type": "application/json" };
    const body = JSON.stringify({ tenantId: "acme", fields: [{ name: "a", value: "YQ==" }] });
    const url = `${service.url}/fluo.kms.v1.KmsService/EncryptPii`;
    expect((await fetch(url, { method: "POST", headers, body })).status).toBe(200);
    const answer = await fetch(url, { method: "POST", headers, body });
    expect(answer.status).toBe(429);
    expect(answer.headers.get("connection")).not.toBe("close");
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(await answer.json()).toMatchObject({ code: "resource_exhausted", message: "too many calls: wait" });
    const path = await fetch(`${service.url}/api/kms/whoami`, { headers });
    expect([path.status, path.headers.get("retry-after")]).toEqual([429, "1"]);
  });

  it("is told by gRPC-Web in its trailers", async () => {
    const headers = {
      authorization: `Bearer ${policy.tokens.page}`,
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
    const text = await ask();
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
      headers: { authorization: `Bearer ${policy.tokens.ops}` },
    });
    const text = await answer.text();
    expect(text).toMatch(/^kms_limited_total\{limit="caller"\} [1-9]\d*$/m);
    expect(text).toMatch(/^kms_limited_total\{limit="tenant"\} 0$/m);
    expect(text).toMatch(/^kms_auth_total\{kind="token",outcome="limited"\} [1-9]\d*$/m);
  });
});

it("a gRPC client that retries RESOURCE_EXHAUSTED heeds the time that it is told", async () => {
  const service = await startService({}, { files: policy.files }); // the client has a clock of its own
  onTestFinished(() => service.stop());
  const service_ = "fluo.kms.v1.KmsService";
  const retryPolicy = {
    maxAttempts: 5,
    initialBackoff: "0.001s",
    maxBackoff: "0.001s",
    backoffMultiplier: 1,
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
      client.makeUnaryRequest(path, pass, pass, message, bearer(policy.tokens.retries), (error) =>
        error ? reject(error) : resolve(),
      );
    });
  const message = toBinary(EncryptPiiRequestSchema, create(EncryptPiiRequestSchema, request()));
  // Without the pushback five attempts, 1 ms apart, would all be refused.
  for (let n = 0; n < 6; n += 1) await call(message);
});

describe("the limit of a tenant", () => {
  it("is not spent by whoever may not name it, who is told the same whether it is spent or there is none", async () => {
    const limited = await startService({ "fluo.kms.limit.tenant": "1" }, { files: policy.files, time });
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
    const error = (await errorOf(free.encryptPii(request("acme"))))!;
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
    const metadata = bearer(policy.tokens[name]);
    const stream = openStream(`127.0.0.1:${service.grpcPort}`, {}, {}, { metadata });
    onTestFinished(() => stream.close());
    return stream;
  };
  const restOf = (stream: SpanClient) => {
    let isOver = false;
    const rest = stream.rest().finally(() => {
      isOver = true;
    });
    return { rest, isOver: () => isOver };
  };
  const batch = (from: number, to: number) => batchOf(spansFrom(from, to), { tenantId: "acme" });
  /** Milliseconds after which a caller of 10 units a second, 20 of them at once, may begin something when it has spent so many. */
  const msOf = (units: number) => (units - 19) * 100;

  it("is read later and not ended", async () => {
    const stream = opened("streams");
    for (let n = 0; n < 30; n += 1) void stream.send(batch(n * 100, (n + 1) * 100));
    stream.halfClose();
    const { rest, isOver } = restOf(stream);
    await time.advance(msOf(1 + 29) - 1);
    expect(isOver()).toBe(false);
    await time.advance(1);
    expect(signedOf(...(await rest))).toHaveLength(3_000);
  });

  it("counts each 100 spans, once it is known how many there are", async () => {
    const stream = opened("batches");
    await stream.send(batch(0, 3_000));
    expect(signedOf(await stream.nextResponse())).not.toEqual([]);
    await stream.send(batch(3_000, 3_001));
    stream.halfClose();
    const { rest, isOver } = restOf(stream);
    await time.advance(msOf(1 + 30) - 1);
    expect(isOver()).toBe(false);
    await time.advance(1);
    await rest;
  });

  it("may begin however much the caller owes", async () => {
    const streams = Array.from({ length: 60 }, () => opened("opens"));
    for (const each of streams) each.halfClose();
    for (const each of streams) expect(await each.rest()).toEqual([]);
    const [client, span] = [clientOf("opens"), spansFrom(0, 1)[0]!];
    const error = await errorOf(client.signSpan({ tenantId: "acme", span }));
    expect(await failureOf(Promise.reject(error))).toMatchObject({ reason: "RATE_LIMITED", retry: true });
  });
});
