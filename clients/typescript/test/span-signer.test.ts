/** The span signer on a running service, behind a proxy that cuts; and on stand-ins that answer what no service should. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { KmsError } from "../../../src/errors.ts";
import { toGrpcStatus } from "../../../src/transport/error-status.ts";
import { type RunningService, startService } from "../../../test/support/running-service.ts";
import {
  SignMode,
  type SignSpansRequest,
  SignSpansRequestSchema,
  type SignSpansResponse,
  SignSpansResponseSchema,
} from "../src/messages.ts";
import { createGrpcKms } from "../src/node/grpc-kms.ts";
import { createSpanSigner, type SpanResult } from "../src/node/span-signer.ts";
import { startCutProxy } from "./cut-proxy.ts";
import { badSpan, madeSpans } from "./made-spans.ts";

function signerAt(
  target: string,
  options: { tenantId?: string; mode?: SignMode; maxUnanswered?: number; token?: () => string } = {},
) {
  const { token, ...rest } = options;
  const kms = createGrpcKms({ target, insecure: true, ...(token && { token }) });
  const signer = createSpanSigner(kms, { tenantId: "acme", ...rest });
  onTestFinished(async () => {
    await signer.close({ signal: AbortSignal.abort() });
    kms.close();
  });
  return signer;
}

const indicesOf = (results: readonly SpanResult[]) =>
  results.map((each) => ("attributes" in each ? each.leafIndex : each.message));

describe("on a running service", () => {
  let service: RunningService;
  let address: string;
  beforeAll(async () => {
    service = await startService();
    address = `127.0.0.1:${service.grpcPort}`;
  });
  afterAll(() => service.stop());

  it("gives each span its attributes, in order, in the log", async () => {
    const signer = signerAt(address, { tenantId: "ordered" });
    const all = await Promise.all([3, 1, 2].map((count) => signer.sign([madeSpans(count)])));
    const results = await Promise.all(all.map((each) => each.results));
    expect(results.map(indicesOf)).toEqual([[0n, 1n, 2n], [3n], [4n, 5n]]);
    const [first] = results[0]!;
    expect("attributes" in first! && first.attributes.map(([key]) => key)).toEqual(
      ["algorithm", "value", "tenant", "signed_at"].map((name) => `audit.integrity.${name}`),
    );
    await signer.flush();
  });

  it("signs each by itself where it is asked to", async () => {
    const { results } = await signerAt(address, { mode: SignMode.INDIVIDUAL }).sign([madeSpans(1)]);
    expect((await results)[0]).toMatchObject({ leafIndex: undefined });
  });

  it("divides more than 1,000 spans, and keeps their order", async () => {
    const { results } = await signerAt(address, { tenantId: "divided" }).sign([madeSpans(2_500)]);
    expect(indicesOf(await results)).toEqual(Array.from({ length: 2_500 }, (_, i) => BigInt(i)));
  });

  it("says why a span was refused, beside those that were not", async () => {
    const { results } = await signerAt(address).sign([madeSpans(1), badSpan(), madeSpans(1)]);
    expect(await results).toMatchObject([
      {},
      { code: Code.InvalidArgument, field: expect.stringContaining("trace_id") },
      {},
    ]);
  });

  it("does not send a span that is larger than a message", async () => {
    const large = madeSpans(1);
    large.scopeSpans[0]!.spans[0]!.name = "x".repeat(5 * 1024 * 1024);
    const { results } = await signerAt(address).sign([madeSpans(1), large, madeSpans(1)]);
    expect(await results).toMatchObject([{}, { code: Code.ResourceExhausted }, {}]);
  });

  it("fails a batch that is refused, and goes on with the next", async () => {
    const signer = signerAt(address);
    const malformed = await signer.sign(Uint8Array.of(0x0a, 6, 0x12, 4, 0x12, 0, 0x22, 0));
    const { results } = await signer.sign([madeSpans(2)]);
    await expect(malformed.results).rejects.toMatchObject({ code: Code.InvalidArgument });
    expect(await results).toHaveLength(2);
    await expect(signer.sign(Uint8Array.of(0xff))).rejects.toThrow(/no OTLP/);
  });

  it("sends again what was not answered, and no span gets two places", async () => {
    const proxy = await startCutProxy(() => address);
    onTestFinished(() => proxy.stop());
    const signer = signerAt(proxy.address, { tenantId: "cut" });
    const answers: Promise<SpanResult[]>[] = [];
    for (let i = 0; i < 40; i += 1) {
      answers.push((await signer.sign([madeSpans(50)])).results);
      if (i % 7 === 3) proxy.cut();
      if (i === 20) {
        proxy.setOpen(false);
        setTimeout(() => proxy.setOpen(true), 300);
      }
    }
    const indices = (await Promise.all(answers)).flatMap(indicesOf);
    expect(indices).toEqual(Array.from({ length: 2_000 }, (_, i) => BigInt(i)));
  });

  it("gives a batch that is signed again the places that it has", async () => {
    const signer = signerAt(address, { tenantId: "again" });
    const batches = signer.split([madeSpans(1_500)]);
    const signed = async () => {
      const all = await Promise.all(batches.map((batch) => signer.signBatch(batch)));
      return (await Promise.all(all.map(({ results }) => results))).flatMap(indicesOf);
    };
    expect(batches.map(({ spans }) => spans)).toEqual([1_000, 500]);
    const first = await signed();
    expect(first).toEqual(Array.from({ length: 1_500 }, (_, i) => BigInt(i)));
    expect(await signed()).toEqual(first);
    expect(indicesOf(await (await signer.sign([madeSpans(1)])).results)).toEqual([1_500n]);
  });

  it("takes no more while as many are unanswered as may be", async () => {
    const proxy = await startCutProxy(() => address);
    onTestFinished(() => proxy.stop());
    proxy.setOpen(false);
    const signer = signerAt(proxy.address, { tenantId: "pressed", maxUnanswered: 2 });
    const taken: number[] = [];
    const all = [0, 1, 2, 3].map(async (i) => {
      const { results } = await signer.sign([madeSpans(1)]);
      taken.push(i);
      return results;
    });
    await expect.poll(() => taken.length).toBe(2);
    const aborted = signer.sign([madeSpans(1)], { signal: AbortSignal.timeout(50) });
    await expect(aborted).rejects.toThrow();
    expect(taken).toEqual([0, 1]);
    proxy.setOpen(true);
    expect((await Promise.all(all)).flatMap(indicesOf)).toEqual([0n, 1n, 2n, 3n]);
    expect(taken).toEqual([0, 1, 2, 3]);
  });

  it("is closed when all is answered, and takes nothing then", async () => {
    const signer = signerAt(address);
    const { results } = await signer.sign([madeSpans(5)]);
    await signer.close();
    expect(await results).toHaveLength(5);
    await expect(signer.sign([madeSpans(1)])).rejects.toThrow(/closed/);
  });

  it("does not wait for a client that is closed", async () => {
    const kms = createGrpcKms({ target: "127.0.0.1:1", insecure: true });
    const signer = createSpanSigner(kms, { tenantId: "acme" });
    const before = await signer.sign([madeSpans(1)]);
    kms.close();
    const after = await signer.sign([madeSpans(1)]);
    for (const { results } of [before, after])
      await expect(results).rejects.toMatchObject({ code: Code.Canceled, rawMessage: "the client is closed" });
    await signer.close();
  });

  it("is closed at the end of the block that uses it", async () => {
    let results: Promise<SpanResult[]>;
    {
      await using signer = signerAt(address);
      results = (await signer.sign([madeSpans(5)])).results;
    }
    expect(await results).toHaveLength(5);
  });

  it("takes its tenant by the former name too, and not by both", () => {
    const kms = createGrpcKms({ target: address, insecure: true });
    onTestFinished(() => kms.close());
    expect(() => createSpanSigner(kms, { tenant: "acme" })).not.toThrow();
    expect(() => createSpanSigner(kms, { tenantId: "acme", tenant: "acme" } as never)).toThrow(TypeError);
  });

  it("fails what is unanswered where the close is given up", async () => {
    const signer = signerAt("127.0.0.1:1");
    const { results } = await signer.sign([madeSpans(1)]);
    await signer.close({ signal: AbortSignal.timeout(50) });
    await expect(results).rejects.toThrow();
  });
});

type Said = Partial<SignSpansResponse>[] | Buffer | Partial<grpc.StatusObject>;
type Answer = (request: SignSpansRequest, nth: number) => Said | Promise<Said>;

/** A service that answers each batch as it is told; `nth` counts the batches of all streams. */
async function standIn(answer: Answer) {
  const requests: SignSpansRequest[] = [];
  const tokens: string[] = [];
  const server = new grpc.Server({ "grpc.max_receive_message_length": 8 * 1024 * 1024 });
  const bytesOf = (message: SignSpansResponse) => Buffer.from(toBinary(SignSpansResponseSchema, message));
  const definition: grpc.MethodDefinition<SignSpansRequest, Buffer> = {
    path: "/fluo.kms.v1.KmsService/SignSpans",
    requestStream: true,
    responseStream: true,
    requestSerialize: (message) => Buffer.from(toBinary(SignSpansRequestSchema, message)),
    requestDeserialize: (bytes) => fromBinary(SignSpansRequestSchema, bytes),
    responseSerialize: (bytes) => bytes,
    responseDeserialize: (bytes) => bytes,
  };
  const signSpans: grpc.handleBidiStreamingCall<SignSpansRequest, Buffer> = (call) => {
    tokens.push(String(call.metadata.get("authorization")[0] ?? ""));
    let before: Promise<unknown> = Promise.resolve();
    call.on("data", async (request: SignSpansRequest) => {
      requests.push(request);
      const answered = Promise.resolve(answer(request, requests.length));
      const turn = before;
      before = answered;
      await turn;
      const said = await answered;
      if (Buffer.isBuffer(said)) call.write(said);
      else if (!Array.isArray(said)) call.emit("error", said);
      else
        for (const each of said)
          call.write(bytesOf(create(SignSpansResponseSchema, { batchDone: true, ...each } as SignSpansResponse)));
    });
    call.on("end", () => call.end());
    call.on("error", () => {});
  };
  server.addService({ SignSpans: definition }, { SignSpans: signSpans });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  onTestFinished(() => server.forceShutdown());
  return { address: `127.0.0.1:${port}`, requests, tokens };
}

const attributes = [{ key: "a", value: { value: { case: "stringValue", value: "b" } } }];
const signed = (count: number) =>
  Array.from({ length: count }, () => ({ result: { case: "signed", value: { attributes } } })) as never;
const good: Answer = ({ requestId, resourceSpans }) => [
  { requestId, results: signed(resourceSpans[0]!.scopeSpans[0]!.spans.length) },
];

describe("on a service that is not as it should be", () => {
  it.each<[string, Answer]>([
    ["another request_id", () => [{ requestId: "other", results: signed(2) }]],
    ["too few results", ({ requestId }) => [{ requestId, results: signed(1) }]],
    ["too many results", ({ requestId }) => [{ requestId, results: signed(3) }]],
  ])("fails a batch that is answered with %s", async (_, answer) => {
    const { address } = await standIn((request, nth) => (nth === 1 ? answer(request, nth) : good(request, nth)));
    const signer = signerAt(address);
    const [first, second] = [await signer.sign([madeSpans(2)]), await signer.sign([madeSpans(1)])];
    await expect(first.results).rejects.toThrow(/look at its version/);
    expect(await second.results).toHaveLength(1);
  });

  it("holds four batches at most, in order, while the service answers slowly", async () => {
    let [unanswered, most] = [0, 0];
    const { address, requests } = await standIn((request, nth) => {
      unanswered += 1;
      most = Math.max(most, unanswered);
      return new Promise((resolve) =>
        setTimeout(() => {
          unanswered -= 1;
          resolve(good(request, nth));
        }, 5),
      );
    });
    const signer = signerAt(address);
    const answers: Promise<SpanResult[]>[] = [];
    for (let i = 0; i < 50; i += 1) answers.push((await signer.sign([madeSpans(1 + (i % 3), `${i}`)])).results);
    expect((await Promise.all(answers)).map(({ length }) => length)).toEqual(answers.map((_, i) => 1 + (i % 3)));
    const names = requests.map(({ resourceSpans }) => resourceSpans[0]!.scopeSpans[0]!.spans[0]!.name);
    expect(names).toEqual(answers.map((_, i) => `${i}-0`));
    expect(most).toBeLessThanOrEqual(4);
  });

  it("says that a service which gives no attributes is too old", async () => {
    const { address } = await standIn(({ requestId }) => [
      { requestId, results: [{ result: { case: "signed", value: { signature: new Uint8Array(64) } } }] as never },
    ]);
    const { results } = await signerAt(address).sign([madeSpans(1)]);
    await expect(results).rejects.toThrow(/too old/);
  });

  it.each([
    ...[grpc.status.UNAVAILABLE, grpc.status.ABORTED, grpc.status.RESOURCE_EXHAUSTED, grpc.status.CANCELLED],
    // Without details these are not of the service: a connection broke.
    ...[grpc.status.INTERNAL, grpc.status.UNKNOWN],
  ])("opens the stream again after status %i, and repeats the batch as it was", async (code) => {
    const { address, requests } = await standIn((request, nth) =>
      nth === 1 ? { code, details: "for now" } : good(request, nth),
    );
    const { results } = await signerAt(address).sign([madeSpans(1)]);
    expect(await results).toHaveLength(1);
    expect(requests).toHaveLength(2);
    expect(requests[1]).toEqual(requests[0]);
  });

  it("opens the stream again after any status for which the service gives a delay", async () => {
    const { metadata = new grpc.Metadata() } = toGrpcStatus(new KmsError("INTERNAL", "no", { retryAfterMs: 1 }));
    const { address, requests } = await standIn((request, nth) =>
      nth === 1 ? { code: grpc.status.INTERNAL, details: "for now", metadata } : good(request, nth),
    );
    const { results } = await signerAt(address).sign([madeSpans(1)]);
    expect(await results).toHaveLength(1);
    expect(requests).toHaveLength(2);
  });

  it("fails the first batch alone where the service says by a pushback not to try again", async () => {
    const { address } = await standIn((request, nth) =>
      nth === 1 ? toGrpcStatus(new KmsError("MESSAGE_TOO_LARGE", "too large")) : good(request, nth),
    );
    const signer = signerAt(address);
    const [first, second] = [await signer.sign([madeSpans(1)]), await signer.sign([madeSpans(2)])];
    await expect(first.results).rejects.toMatchObject({ code: Code.ResourceExhausted });
    expect(await second.results).toHaveLength(2);
  });

  it("fails a batch whose answer cannot be read", async () => {
    const { address } = await standIn((request, nth) => (nth === 1 ? Buffer.of(0xff) : good(request, nth)));
    const signer = signerAt(address);
    const [first, second] = [await signer.sign([madeSpans(1)]), await signer.sign([madeSpans(2)])];
    await expect(first.results).rejects.toMatchObject({
      code: Code.DataLoss,
      message: expect.stringMatching(/look at its version/),
    });
    expect(await second.results).toHaveLength(2);
  });

  it("does not sign a batch again that it first took 23 hours ago", async () => {
    const { address, requests } = await standIn(() => ({ code: grpc.status.PERMISSION_DENIED, details: "no" }));
    const signer = signerAt(address);
    const batch = signer.split([madeSpans(1)])[0]!;
    vi.useFakeTimers({ toFake: ["Date"] });
    onTestFinished(() => void vi.useRealTimers());
    await expect((await signer.signBatch(batch)).results).rejects.toMatchObject({ code: Code.PermissionDenied });
    vi.advanceTimersByTime(23 * 3_600_000 + 1);
    await expect((await signer.signBatch(batch)).results).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    expect(requests).toHaveLength(1);
  });

  it.each([
    grpc.status.INVALID_ARGUMENT,
    grpc.status.FAILED_PRECONDITION,
    grpc.status.PERMISSION_DENIED,
    grpc.status.ALREADY_EXISTS,
    grpc.status.INTERNAL,
  ])("fails the first batch alone after status %i of the service", async (code) => {
    const { metadata = new grpc.Metadata() } = toGrpcStatus(new KmsError("INTERNAL", "no"));
    const { address, requests } = await standIn((request, nth) =>
      nth === 1 ? { code, details: "no", metadata } : good(request, nth),
    );
    const signer = signerAt(address);
    const [first, second] = [await signer.sign([madeSpans(1)]), await signer.sign([madeSpans(2)])];
    await expect(first.results).rejects.toMatchObject({ code });
    expect(await second.results).toHaveLength(2);
    expect(new Set(requests.map(({ requestId }) => requestId)).size).toBe(2);
  });

  it("shows a fresh token once where the one before is not taken, then fails", async () => {
    let token = 0;
    const next = () => {
      token += 1;
      return `token-${token}`;
    };
    const taken = await standIn((request, nth) =>
      nth === 1 ? { code: grpc.status.UNAUTHENTICATED, details: "ended" } : good(request, nth),
    );
    const { results } = await signerAt(taken.address, { token: next }).sign([madeSpans(1)]);
    expect(await results).toHaveLength(1);
    expect(taken.tokens).toEqual(["Bearer token-1", "Bearer token-2"]);

    const never = await standIn(() => ({ code: grpc.status.UNAUTHENTICATED, details: "no" }));
    const refused = await signerAt(never.address, { token: next }).sign([madeSpans(1)]);
    const error = await refused.results.catch((thrown: unknown) => thrown);
    expect(ConnectError.from(error).code).toBe(Code.Unauthenticated);
    expect(never.requests).toHaveLength(2);
  });
});
