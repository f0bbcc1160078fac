/** A path that is served beside Connect: what it answers, and how answers and refusals are sent. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { DescMethod } from "@bufbuild/protobuf";
import type { KmsError } from "../errors.ts";
import type { CallContext } from "../service/context.ts";
import { toHttpError } from "./status.ts";

export interface Route {
  method: "GET" | "POST";
  path: RegExp;
  /** As what it counts in metrics and logs; none for what must stay cheap. */
  rpc?: DescMethod;
  answer(request: IncomingMessage, context: CallContext, path: RegExpExecArray): Promise<Reply> | Reply;
}

export interface Reply {
  status?: number;
  headers: { "content-type": string; "cache-control": string } & Record<string, string>;
  body: string | Uint8Array;
}

export function jsonReply(value: unknown, status = 200): Reply {
  const headers = { "content-type": "application/json", "cache-control": "no-store" };
  return { status, headers, body: `${JSON.stringify(value)}\n` };
}

export function send(response: ServerResponse, { status = 200, headers, body }: Reply): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
  response.end(body);
}

export function sendError(response: ServerResponse, error: KmsError): void {
  const { status, body } = toHttpError(error);
  send(response, jsonReply(body, status));
}

/** `matching` are the routes of the path, none of which has the request's method. */
export function sendNoRoute(response: ServerResponse, matching: readonly Route[]): void {
  if (matching.length === 0) {
    send(response, jsonReply({ code: "NOT_FOUND", message: "no such path", fields: [] }, 404));
    return;
  }
  const allow = matching.map(({ method }) => method).join(", ");
  response.setHeader("allow", allow);
  send(response, jsonReply({ code: "METHOD_NOT_ALLOWED", message: `use ${allow}`, fields: [] }, 405));
}
