/** `sign` with services that are not as ours is now: an older one, one that turns a stream away, one that breaks it off. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { expect, it, onTestFinished } from "vitest";
import {
  type SignSpansRequest,
  SignSpansRequestSchema,
  SignSpansResponseSchema,
} from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { directory } from "../../support/config-fixture.ts";
import { run } from "../../support/cli-fixture.ts";

type Stream = grpc.ServerDuplexStream<SignSpansRequest, Uint8Array>;

/** Every request that it was sent; what it does of one depends on how many there were before. */
async function service(answer: (stream: Stream, request: SignSpansRequest, before: number) => void) {
  const requests: SignSpansRequest[] = [];
  const server = new grpc.Server();
  const signSpans: grpc.MethodDefinition<SignSpansRequest, Uint8Array> = {
    path: "/fluo.kms.v1.KmsService/SignSpans",
    requestStream: true,
    responseStream: true,
    requestSerialize: (request) => Buffer.from(toBinary(SignSpansRequestSchema, request)),
    requestDeserialize: (bytes) => fromBinary(SignSpansRequestSchema, bytes),
    responseSerialize: (bytes) => Buffer.from(bytes),
    responseDeserialize: (bytes) => bytes,
  };
  server.addService({ signSpans } as grpc.ServiceDefinition, {
    signSpans(stream: Stream) {
      stream.on("error", () => {});
      stream.on("data", (request: SignSpansRequest) => answer(stream, request, requests.push(request) - 1));
      stream.on("end", () => stream.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  onTestFinished(() => server.forceShutdown());
  const span = { traceId: "07".repeat(16), spanId: "01".repeat(8), name: "pay" };
  const cwd = directory({ spans: JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }) });
  const sign = (...args: string[]) =>
    run(["sign", "--tenant", "acme", ...args, "--grpc-address", `127.0.0.1:${port}`, "spans"], { cwd });
  return { requests, sign };
}

const attribute = { key: "audit.integrity.tenant", value: { value: { case: "stringValue", value: "acme" } } } as const;

function result(requestId: string, attributes: (typeof attribute)[]): Uint8Array {
  const signed = { signature: new Uint8Array(64), keyId: "0f".repeat(16), attributes };
  const response = { results: [{ result: { case: "signed", value: signed } as const }], requestId, batchDone: true };
  return toBinary(SignSpansResponseSchema, create(SignSpansResponseSchema, response));
}

it("fails clearly where the service signs and gives no attributes", async () => {
  const { sign } = await service((stream, { requestId }) => stream.write(result(requestId, [])));
  const { code, out, err } = await sign();
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toMatch(/^fluo-kms: the service signs, but gives no attributes: it is older than this command.*\n$/);
});

it.each([
  ["UNAVAILABLE", (stream: Stream) => stream.emit("error", { code: grpc.status.UNAVAILABLE, details: "draining" })],
  ["ABORTED", (stream: Stream) => stream.emit("error", { code: grpc.status.ABORTED, details: "others were first" })],
  [
    "RESOURCE_EXHAUSTED",
    (stream: Stream) => stream.emit("error", { code: grpc.status.RESOURCE_EXHAUSTED, details: "" }),
  ],
  ["without an answer", (stream: Stream) => stream.end()],
])("sends a batch again, as it was, over a stream of its own where one ends with %s", async (said, end) => {
  const { requests, sign } = await service((stream, { requestId }, before) => {
    if (before === 0) end(stream);
    else stream.write(result(requestId, [attribute]));
  });
  const { code, out, err } = await sign();
  expect(code).toBe(0);
  expect(out).toContain('"audit.integrity.tenant"');
  expect(err).toMatch(
    new RegExp(`^fluo-kms: the stream .*${said}.*; 1 batch goes over a new stream in 0.25 s\n1 of 1 signed`),
  );
  expect(requests).toHaveLength(2);
  expect(requests[0]).toEqual(requests[1]);
  expect(requests[0]).toMatchObject({
    tenantId: "acme",
    withAttributes: true,
    requestId: expect.stringMatching(/^[0-9a-f-]{36}\.0$/),
  });
});

it("names the run where a log's first stream broke, and the next was refused", async () => {
  const { requests, sign } = await service((stream, _, before) => {
    const code = before === 0 ? grpc.status.UNAVAILABLE : grpc.status.PERMISSION_DENIED;
    stream.emit("error", { code, details: "not now" });
  });
  const { code, err } = await sign("--mode", "log");
  expect(code).toBe(1);
  const run = requests[0]!.requestId.replace(/\.0$/, "");
  expect(err).toContain(`fluo-kms: PERMISSION_DENIED: not now\nfluo-kms: 0 spans are in the log, and more may be`);
  expect(err).toContain(`--resume ${run} goes on with them`);
});
