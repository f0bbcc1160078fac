/** A path that is served beside Connect: what it answers, and how answers and refusals are sent. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline, Readable } from "node:stream";
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
  /** Text in pieces is made as the caller takes it. */
  body: string | Uint8Array | Iterable<string>;
}

export const jsonHeaders = { "content-type": "application/json", "cache-control": "no-store" };

export function jsonReply(value: unknown, status = 200): Reply {
  return { status, headers: jsonHeaders, body: `${JSON.stringify(value)}\n` };
}

export function send(response: ServerResponse, { status = 200, headers, body }: Reply): void {
  if (response.headersSent || response.destroyed) return;
  if (typeof body === "string" || body instanceof Uint8Array) {
    response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
    response.end(body);
  } else {
    response.writeHead(status, headers);
    // A caller that leaves ends it, and is told nothing more.
    pipeline(Readable.from(chunksOf(body)), response, () => {});
  }
}

const chunkLength = 16 * 1024;

/** Fewer pieces of more text: each is a frame of its own on the wire. */
function* chunksOf(pieces: Iterable<string>): Generator<string> {
  let chunk = "";
  for (const piece of pieces) {
    chunk += piece;
    if (chunk.length < chunkLength) continue;
    yield chunk;
    chunk = "";
  }
  if (chunk !== "") yield chunk;
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
