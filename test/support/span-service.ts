/** A service of SignSpans alone, of the test's making, and `sign` that speaks to it. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { onTestFinished } from "vitest";
import {
  type SignSpansRequest,
  SignSpansRequestSchema,
  SignSpansResponseSchema,
} from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { run } from "./cli-fixture.ts";
import { directory } from "./config-fixture.ts";

export type Stream = grpc.ServerDuplexStream<SignSpansRequest, Uint8Array>;

/** What a stream began with. */
export interface Shown {
  authorization: unknown;
  /** The common name of the client's certificate. */
  certificate: string | undefined;
}

export interface SpanServiceOptions {
  host?: string;
  /** `https://` for TLS. */
  scheme?: string;
  credentials?: grpc.ServerCredentials;
  env?: object;
}

/** Every request that it was sent; what it does of one depends on how many there were before. */
export async function spanService(
  answer: (stream: Stream, request: SignSpansRequest, before: number) => void,
  {
    host = "127.0.0.1",
    scheme = "",
    credentials = grpc.ServerCredentials.createInsecure(),
    env = {},
  }: SpanServiceOptions = {},
) {
  const requests: SignSpansRequest[] = [];
  const shown: Shown[] = [];
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
      const certificate = stream.getAuthContext().sslPeerCertificate?.subject?.CN?.toString();
      shown.push({ authorization: stream.metadata.get("authorization")[0], certificate });
      stream.on("error", () => {});
      stream.on("data", (request: SignSpansRequest) => answer(stream, request, requests.push(request) - 1));
      stream.on("end", () => stream.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  onTestFinished(() => server.forceShutdown());
  const span = { traceId: "07".repeat(16), spanId: "01".repeat(8), name: "pay" };
  const cwd = directory({ spans: JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }) });
  const sign = (...args: string[]) =>
    run(["sign", "--tenant", "acme", ...args, "--grpc-address", `${scheme}${host}:${port}`, "spans"], { cwd, env });
  return { requests, shown, sign, port };
}

export const attribute = {
  key: "audit.integrity.tenant",
  value: { value: { case: "stringValue", value: "acme" } },
} as const;

export function signedResult(requestId: string, attributes: (typeof attribute)[]): Uint8Array {
  const signed = { signature: new Uint8Array(64), keyId: "0f".repeat(16), attributes };
  const response = { results: [{ result: { case: "signed", value: signed } as const }], requestId, batchDone: true };
  return toBinary(SignSpansResponseSchema, create(SignSpansResponseSchema, response));
}
