/** The service by Connect, over fetch: in browsers, Node and Deno alike. SignSpans is a stream both ways, which fetch does not have. */
import type { Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { defaultTimeoutMs, type Kms, kmsOver } from "./kms.ts";
import { authorization, requireSafe, type TokenSource } from "./token.ts";

export interface ConnectOptions {
  /** URL at which the service listens for HTTP, as in `https://kms.example.com`. */
  baseUrl: string;
  /** Asked at each call. Refused over http: unless the host is loopback. */
  token?: TokenSource;
  /** Deadline of calls that have none of their own, in milliseconds; 10,000 by default. */
  timeoutMs?: number;
  /** Allows http: to other hosts than loopback. */
  insecure?: boolean;
  /** Called around each call, outermost first. */
  interceptors?: readonly Interceptor[];
  /** In place of `globalThis.fetch`. */
  fetch?: typeof globalThis.fetch;
}

/**
 * Opens nothing: each call is a request of its own. Calls are not retried; `@fluo/kms/node` retries by gRPC's service config. Throws for a
 * `baseUrl` in cleartext that was not asked for.
 */
export function createKms(options: ConnectOptions): Kms {
  const { baseUrl, token, timeoutMs = defaultTimeoutMs, insecure = false, interceptors = [], fetch } = options;
  const { protocol, hostname } = new URL(baseUrl);
  requireSafe(hostname, { isTls: protocol === "https:", insecure, token });
  return kmsOver(
    createConnectTransport({
      baseUrl,
      useBinaryFormat: true,
      defaultTimeoutMs: timeoutMs,
      interceptors: [...interceptors, ...(token === undefined ? [] : [showing(token)])],
      ...(fetch && { fetch }),
    }),
  );
}

function showing(token: TokenSource): Interceptor {
  return (next) => async (request) => {
    request.header.set("authorization", await authorization(token));
    return next(request);
  };
}
