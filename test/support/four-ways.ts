/** Any rpc by each of the four transports, those with streams where there are some, and what a caller is told of it in the same words. */
import { create, type DescMessage, type DescMethod, type Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import type { ClientCertificate } from "./running-service.ts";

export const ways = ["gRPC", "Connect", "JSON", "gRPC-Web"] as const;
export type Way = (typeof ways)[number];

/** What a caller is told; all but the code is of a failure. */
export interface Told {
  code: string;
  reason?: string | undefined;
  message?: string;
  /** Paths of the BadRequest detail. */
  fields?: string[];
  /** True if there is a RetryInfo detail. */
  retry?: boolean;
}

export interface CallOptions {
  headers?: Record<string, string>;
  signal?: AbortSignal;
  timeoutMs?: number;
}

export interface FourWays {
  /** Resolves with the response, of a stream the last one. Rejects as the transport does. */
  call(way: Way, method: DescMethod, request: object, options?: CallOptions): Promise<Message>;
  ask(way: Way, method: DescMethod, request: object, options?: CallOptions): Promise<Told>;
  close(): void;
}

/** `ca` and `certificate` are for addresses of https. */
export function fourWays(
  at: { grpc: string; http: string },
  { ca, certificate }: { ca?: string; certificate?: ClientCertificate } = {},
): FourWays {
  const tls = { ...(ca && { ca }), ...(certificate && { cert: certificate.chain, key: certificate.key }) };
  const sessionManager = new Http2SessionManager(at.grpc, {}, tls);
  const http = { baseUrl: at.http, httpVersion: "1.1", nodeOptions: tls } as const;
  const transports: Record<Way, Transport> = {
    gRPC: createGrpcTransport({ baseUrl: at.grpc, sessionManager }),
    Connect: createConnectTransport({ ...http, useBinaryFormat: true }),
    JSON: createConnectTransport({ ...http, useBinaryFormat: false }),
    "gRPC-Web": createGrpcWebTransport(http),
  };

  const http2 = { baseUrl: at.grpc, httpVersion: "2", sessionManager } as const;
  /** gRPC-Web has none. */
  const streaming: Record<Way, Transport> = {
    ...transports,
    Connect: createConnectTransport({ ...http2, useBinaryFormat: true }),
    JSON: createConnectTransport({ ...http2, useBinaryFormat: false }),
  };

  const call: FourWays["call"] = async (way, method, request, { headers = {}, signal, timeoutMs } = {}) => {
    const message = create(method.input, request as never);
    if (method.methodKind === "unary") {
      return (await transports[way].unary(method as never, signal, timeoutMs, headers, message)).message;
    }
    const sent = (async function* () {
      yield message;
    })();
    const answer = await streaming[way].stream(method as never, signal, timeoutMs, headers, sent);
    const answers = await Array.fromAsync(answer.message as AsyncIterable<Message>);
    return answers.at(-1)!;
  };

  return {
    call,
    ask: (...given) => call(...given).then(() => ({ code: "OK" }), told),
    close: () => sessionManager.abort(),
  };
}

function told(error: unknown): Told {
  if (!(error instanceof ConnectError)) throw error;
  const details = <Desc extends DescMessage>(desc: Desc) => error.findDetails(desc);
  const code = Code[error.code]!.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  return {
    code: code === "CANCELED" ? "CANCELLED" : code,
    reason: details(ErrorInfoSchema)[0]?.reason,
    message: error.rawMessage,
    fields: details(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations.map(({ field }) => field)),
    retry: details(RetryInfoSchema).length > 0,
  };
}
