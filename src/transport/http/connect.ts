/**
 * Connect, gRPC-Web and JSON over HTTP/1.1, with the handlers of the gRPC server. Codes, errors, media types and frames are by
 * @connectrpc/connect. Requests are read and decoded inside the call, as with gRPC: what does not parse is INVALID_ARGUMENT,
 * counted and logged. connect-node decodes before a call begins, and answers `internal` for such a request.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { KmsError } from "../../errors.ts";
import type { Caller } from "../../call/context.ts";
import { readBody } from "./body.ts";
import type { Budget } from "../budget.ts";
import { connectGet, connectPost, plainRequest } from "./connect-request.ts";
import { maxMessageBytes, tooLarge } from "../limits.ts";
import { grpcWebPost } from "./grpc-web-request.ts";
import { type Exchange, httpContext } from "./caller-context.ts";
import { binaryHandler, type BytesHandler, jsonHandler } from "../method-handlers.ts";
import { type Reply, send } from "./route.ts";
import type { RpcRequest } from "./rpc-request.ts";
import { rpcPath, type Served } from "../services.ts";
import { toKmsError } from "../error-status.ts";
import type { CallRecorder } from "../call-recorder.ts";

export interface ConnectParts {
  services: readonly Served[];
  recorder: CallRecorder;
  budget: Budget;
  caller: Caller;
  /** Where gRPC is served, which alone has streams both ways. */
  grpcAddress: string;
}

/** Answers a request for a rpc; undefined at a path that is none. */
export type ConnectHandler = (target: URL, exchange: Exchange) => Promise<void> | undefined;

interface Asked {
  target: URL;
  exchange: Exchange;
}

interface Rpc {
  method: DescMethod;
  /** None where it has streams. */
  handlers: { binary: BytesHandler; json: BytesHandler } | undefined;
}

export function connectHandler(parts: ConnectParts): ConnectHandler {
  const rpcs = new Map<string, Rpc>();
  for (const served of parts.services) {
    for (const method of served.service.methods) {
      const isUnary = method.methodKind === "unary";
      const handlers = isUnary
        ? { binary: binaryHandler(served, method), json: jsonHandler(served, method) }
        : undefined;
      rpcs.set(`/${rpcPath(method)}`, { method, handlers });
    }
  }
  return (target, exchange) => {
    const rpc = rpcs.get(target.pathname);
    return rpc && answer(rpc, { target, exchange }, parts);
  };
}

async function answer(rpc: Rpc, asked: Asked, parts: ConnectParts): Promise<void> {
  const { recorder, budget } = parts;
  const { request, response } = asked.exchange;
  const closed = new Promise<void>((resolve) => response.once("close", resolve));
  const header = (name: string) => request.headers[name]?.toString();
  const form = formOf(rpc, asked);
  if (form === undefined) return send(response, otherForm(rpc.method, asked.exchange, recorder));
  const refuse = (error: unknown) => send(response, form.refusal(toKmsError(error)));
  try {
    await budget.hold(0, async (grow) => {
      const run = () => call(rpc, form, { ...parts, exchange: asked.exchange, grow });
      await Promise.resolve(recorder.run(rpc.method, header, run)).then((reply) => send(response, reply), refuse);
      await closed; // the body counts until the answer is sent
    });
  } catch (error) {
    refuse(recorder.refuse(rpc.method, error));
  }
}

interface Serving extends ConnectParts {
  exchange: Exchange;
  grow(more: number): void;
}

async function call({ method, handlers }: Rpc, form: RpcRequest, serving: Serving): Promise<Reply> {
  const { exchange, caller, grow, grpcAddress } = serving;
  if (handlers === undefined) {
    throw new KmsError(
      "UNIMPLEMENTED",
      `${method.name} is served by gRPC only, at ${grpcAddress}: HTTP/1.1 has no streams both ways`,
    );
  }
  const context = httpContext(exchange, caller, form.timeoutMs());
  if (form.compressed) grow(maxMessageBytes);
  const message = await form.message(await readBody(exchange.request, maxMessageBytes, grow));
  const bytes = await (form.binary ? handlers.binary : handlers.json)(message, context);
  if (bytes.length > maxMessageBytes) throw tooLarge(maxMessageBytes);
  return form.answer(bytes);
}

/** Undefined where the rpc is not served that way. One with streams is served no way here, and says so in the caller's own protocol. */
function formOf({ method, handlers }: Rpc, { target, exchange }: Asked): RpcRequest | undefined {
  const verb = exchange.request.method;
  const post = () => grpcWebPost(exchange) ?? connectPost(exchange);
  const form = verb === "POST" ? post() : verb === "GET" ? connectGet(exchange, target.searchParams) : undefined;
  if (handlers === undefined) return form ?? plainRequest(exchange);
  return form?.unary === false || !verbsOf(method).includes(verb ?? "") ? undefined : form;
}

function verbsOf({ idempotency }: DescMethod): string[] {
  return idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS ? ["POST", "GET"] : ["POST"];
}

const mediaTypes = ["proto", "json", "grpc-web", "grpc-web+proto", "grpc-web+json"].map(
  (type) => `application/${type}`,
);

function otherForm(method: DescMethod, exchange: Exchange, recorder: CallRecorder): Reply {
  const verbs = verbsOf(method);
  const isKnown = verbs.includes(exchange.request.method ?? "");
  const message = isKnown ? `use the media type ${mediaTypes.join(", ")}` : `use ${verbs.join(", ")}`;
  const reply = plainRequest(exchange).refusal(recorder.refuse(method, new KmsError("INVALID_ARGUMENT", message)));
  const { headers } = reply;
  return isKnown
    ? { ...reply, status: 415, headers: { ...headers, "accept-post": mediaTypes.join(", ") } }
    : { ...reply, status: 405, headers: { ...headers, allow: verbs.join(", ") } };
}
