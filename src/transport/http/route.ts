/** A path that is served beside Connect: how it is asked, and how answers and refusals are sent. */
import type { ServerResponse } from "node:http";
import { pipeline, Readable } from "node:stream";
import { KmsError } from "../../errors.ts";
import type { MaybePromise } from "../../call/maybe-promise.ts";
import type { Open } from "../authenticate.ts";
import type { BodyCarrier } from "../carrier.ts";
import { maxAdminBodyBytes, readBody } from "./body.ts";
import { type Exchange, httpContext } from "./caller-context.ts";
import { toHttpError } from "../error-status.ts";

export interface Route {
  /** GET answers HEAD too. */
  method: "GET" | "POST";
  path: RegExp;
  /** What it is where the operator has opened it; a caller is asked for where not, whose role the handler asks for. */
  open?: Open;
  /** Whether callers whom no rule names are answered too. */
  identifies?: true;
  /** Rejects with a KmsError, which is recorded. */
  answer(asked: Asked): MaybePromise<Reply>;
}

/** A request for a route. */
export interface Asked extends Exchange {
  path: RegExpExecArray;
  query: URLSearchParams;
}

/** Brings what is asked for of a route without looking at the request's body. */
export const askedCarrier: BodyCarrier<Asked> = {
  header: ({ request }, name) => request.headers[name]?.toString(),
  context: (asked) => httpContext(asked),
  body: () => noBytes,
};

/** Brings the body of a request for administration too. */
export const bodyCarrier: BodyCarrier<Asked> = {
  ...askedCarrier,
  body: (asked) => readBody(asked, maxAdminBodyBytes),
};

const noBytes = new Uint8Array();

export interface Reply {
  status?: number;
  headers: { "content-type": string; "cache-control": string } & Record<string, string>;
  /** Text in pieces is made as the caller takes it. */
  body: string | Uint8Array | Iterable<string>;
}

export const jsonHeaders = { "content-type": "application/json", "cache-control": "no-store" };

export function jsonReply(value: unknown, status = 200): Reply {
  return { status, headers: { ...jsonHeaders }, body: `${JSON.stringify(value)}\n` };
}

export function bytesReply(contentType: string, body: Uint8Array, more: Record<string, string> = {}): Reply {
  return { headers: { "content-type": contentType, "cache-control": "no-store", ...more }, body };
}

export function send(response: ServerResponse, { status = 200, headers, body }: Reply): void {
  if (response.headersSent || response.destroyed) return;
  // What every answer depends on, and what this one does besides.
  const vary = [response.getHeader("vary"), headers.vary].filter((each) => each !== undefined).join(", ");
  const written = vary === "" ? headers : { ...headers, vary };
  if (typeof body === "string" || body instanceof Uint8Array) {
    response.writeHead(status, { ...written, "content-length": Buffer.byteLength(body) });
    response.end(body);
  } else {
    response.writeHead(status, written);
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

export function errorReply(error: KmsError): Reply {
  const { status, headers, body } = toHttpError(error);
  const reply = jsonReply(body, status);
  return { ...reply, headers: { ...reply.headers, ...headers } };
}

/** `matching` are the routes of the path, none of which has the request's method. */
export function noRoute(matching: readonly Route[]): { error: KmsError; reply: Reply } {
  if (matching.length === 0) {
    const error = new KmsError("NOT_FOUND", "no such path");
    return { error, reply: errorReply(error) };
  }
  const allow = matching.map(({ method }) => (method === "GET" ? "GET, HEAD" : method)).join(", ");
  const error = new KmsError("INVALID_ARGUMENT", `use ${allow}`);
  const reply = jsonReply({ code: "METHOD_NOT_ALLOWED", message: error.message, fields: [] }, 405);
  return { error, reply: { ...reply, headers: { ...reply.headers, allow } } };
}
