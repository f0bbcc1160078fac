/** The connection to Cloud KMS, over its REST API. */
import { invalidField } from "../../errors.ts";
import { connectHttp, type HttpConnection } from "../http.ts";
import type { Server } from "../unreachable.ts";
import * as advice from "./advice.ts";

export const cloudKms: Server = { who: "provider gcp", trustCertificate: advice.trustCertificate };

/** More than the resilience layer has in flight, so that none waits for a socket. */
const maxSockets = 32;
/** The longest, an encrypted key, is 11 KiB of it. */
const maxAnswerBytes = 1 << 16;

/** Throws INVALID_ARGUMENT for an endpoint that cannot be used. */
export function connectGcp(endpoint: string): HttpConnection {
  const connection = connectHttp({ ...cloudKms, base: baseUrl(endpoint), maxSockets, maxAnswerBytes });
  return {
    ...connection,
    send: (request, signal) =>
      connection.send({ ...request, headers: { ...request.headers, accept: "application/json" } }, signal),
  };
}

function baseUrl(endpoint: string): URL {
  const url = URL.parse(endpoint);
  const isPlain = url !== null && /^https?:$/.test(url.protocol) && `${url.username}${url.search}${url.hash}` === "";
  if (isPlain && url.pathname === "/") return url;
  throw invalidField("gcp.kms.endpoint", "must be a URL such as https://host:port, without a path");
}
