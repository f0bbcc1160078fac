/**
 * Cross-origin requests (Fetch, §3.3) of pages whose sites the operator has named: what a browser asks before it sends one, and what it looks
 * for in an answer. A page shows a token that it has; credentials of the browser itself are never asked for.
 */
import type { IncomingMessage, ServerResponse } from "node:http";

export interface Cors {
  /** Whether a page of this origin may call. */
  allows(origin: string): boolean;
  /** Says on every answer that another origin may get another one, as far as it may. */
  vary(response: ServerResponse): void;
  /** Lets the page read the answer, if its origin may call. */
  expose(request: IncomingMessage, response: ServerResponse): void;
  /** Answers what a browser asks before a request, without a credential, and says whether it did: other requests are left alone. */
  preflight(request: IncomingMessage, response: ServerResponse): boolean;
}

const allowedHeaders = [
  "authorization",
  "content-type",
  "connect-protocol-version",
  "connect-timeout-ms",
  "grpc-timeout",
  "x-grpc-web",
  "x-user-agent",
  "traceparent",
  "tracestate",
];
const exposedHeaders = ["grpc-status", "grpc-message", "grpc-status-details-bin", "retry-after"];
const maxAge = "7200"; // seconds

/** `origins` as browsers write them. */
export function createCors(origins: readonly string[]): Cors {
  const allows = (origin: string | undefined) => origin !== undefined && origins.includes(origin);
  return {
    allows,
    vary(response) {
      if (origins.length > 0) response.setHeader("vary", "origin");
    },
    expose({ headers: { origin } }, response) {
      if (origin === undefined || !allows(origin)) return;
      response.setHeader("access-control-allow-origin", origin);
      response.setHeader("access-control-expose-headers", exposedHeaders.join(", "));
    },
    preflight({ method, headers }, response) {
      const { origin, "access-control-request-method": asked } = headers;
      if (method !== "OPTIONS" || asked === undefined || origin === undefined || !allows(origin)) return false;
      response.writeHead(204, {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": allowedHeaders.join(", "),
        "access-control-max-age": maxAge,
      });
      response.end();
      return true;
    },
  };
}
