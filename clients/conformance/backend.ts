/** What spans are exported to: OTLP/HTTP in protobuf, which keeps each request, and may lose its answer or refuse it. */
import { hash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { fromBinary } from "@bufbuild/protobuf";
import { SignSpansRequestSchema } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { Span } from "../../gen/ts/fluo/kms/v1/span_pb.ts";

export interface Backend {
  url: string;
  /** Bodies of requests, in the order in which they came. */
  requests: readonly Uint8Array[];
  forget(): void;
  close(): void;
}

export interface BackendOptions {
  /** Whether the connection of the n-th request, from 0, is lost once its body is there. */
  losesAnswer?: (n: number) => boolean;
  /** HTTP status of the answer to the n-th request. */
  status?: (n: number) => number;
}

export async function startBackend({
  losesAnswer = () => false,
  status = () => 200,
}: BackendOptions = {}): Promise<Backend> {
  const requests: Uint8Array[] = [];
  const server = createServer(async (request, response) => {
    const body = await buffer(request).catch(() => undefined);
    if (body === undefined) return;
    const n = requests.push(new Uint8Array(body)) - 1;
    if (losesAnswer(n)) request.socket.destroy();
    else response.writeHead(status(n), { "content-type": "application/x-protobuf" }).end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
    requests,
    forget() {
      requests.length = 0;
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Bodies of the requests, each once. */
export function distinct(requests: readonly Uint8Array[]): Uint8Array[] {
  return [...new Map(requests.map((body) => [hash("sha256", body), body])).values()];
}

export function spansOf(requests: readonly Uint8Array[]): Span[] {
  return requests.flatMap((body) =>
    fromBinary(SignSpansRequestSchema, body).resourceSpans.flatMap(({ scopeSpans }) =>
      scopeSpans.flatMap(({ spans }) => spans),
    ),
  );
}
