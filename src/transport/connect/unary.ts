/**
 * Connect, gRPC-Web and JSON over HTTP/1.1, with the handlers of the gRPC server. Requests are read and decoded inside the
 * call, as with gRPC: a request that does not parse is INVALID_ARGUMENT, counted and logged. The library writes what the
 * call came to.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { KmsError } from "../../errors.ts";
import type { MaybePromise } from "../../call/maybe-promise.ts";
import type { Calls } from "../pipeline.ts";
import type { UnaryCarrier } from "../carrier.ts";
import { type Message, messageForms } from "../codecs.ts";
import { toKmsError } from "../error-status.ts";
import { readBody } from "../http/body.ts";
import { type Exchange, httpContext } from "../http/caller-context.ts";
import { type Reply, send } from "../http/route.ts";
import { maxMessageBytes } from "../limits.ts";
import { rpcPath, unaryMethods } from "../services.ts";
import { acceptedEncodings, createResponders, type Respond, type Told, wholeBody } from "./library.ts";
import { plainRequest, postedRequest, type RpcRequest, rpcRequest } from "./request.ts";

export interface ConnectHandler {
  /** Answers a request for an rpc; undefined at a path that is none. */
  answer(target: URL, exchange: Exchange): Promise<void> | undefined;
  /** The rpc at a path. */
  rpcAt(path: string): DescMethod | undefined;
  /** A refusal of a request for an rpc that is not read, in its own protocol. */
  refusal(exchange: Exchange, error: KmsError): Promise<Reply>;
}

interface Rpc {
  method: DescMethod;
  respond: Respond;
  answers: { binary: AnswerOf; json: AnswerOf };
}

type AnswerOf = (call: HttpCall) => MaybePromise<Reply>;

/** A call in the form of its protocol. */
interface HttpCall {
  exchange: Exchange;
  form: RpcRequest;
  respond: Respond;
  /** Resolves when the response is sent, or the caller gone. */
  closed: Promise<void>;
}

const carrier: UnaryCarrier<HttpCall, Reply, Message> = {
  header: ({ exchange }, name) => exchange.request.headers[name]?.toString(),
  context: ({ exchange, form }) => httpContext(exchange, form.timeoutMs()),
  heldBytes: () => 0,
  heldUntil: ({ closed }) => closed,
  async body({ exchange, form }, grow) {
    if (form.compressed) grow(maxMessageBytes);
    return form.message(await readBody(exchange, maxMessageBytes, grow));
  },
  deliver: async ({ form, respond }, message) => replyOf(await respond(form.told, () => message), form.told),
};

/** `grpcAddress` is where HTTP/2 is served, which alone has streams both ways. */
export function connectHandler(calls: Calls, grpcAddress: string): ConnectHandler {
  const methods = calls.services.flatMap(({ service }) => service.methods);
  const responders = createResponders(methods);
  const rpcs = new Map<string, Rpc>();
  const add = (method: DescMethod, answers: Rpc["answers"]) =>
    rpcs.set(`/${rpcPath(method)}`, { method, answers, respond: responders.of(method) });
  for (const method of calls.services.flatMap(unaryMethods)) {
    const { binary, json } = messageForms(method.rpc, method.codec);
    add(method.rpc, { binary: calls.unary(method, binary, carrier), json: calls.unary(method, json, carrier) });
  }
  for (const rpc of methods.filter(({ methodKind }) => methodKind !== "unary")) {
    const refused = http2Only(rpc, calls, grpcAddress);
    add(rpc, { binary: refused, json: refused });
  }

  async function refusal({ told }: RpcRequest, error: KmsError): Promise<Reply> {
    const reply = await replyOf(await responders.refuse(told, error), told);
    const isEncoding = error.code === "UNIMPLEMENTED" && !told.framed;
    return isEncoding ? withHeaders(reply, { "accept-encoding": acceptedEncodings }) : reply;
  }

  async function answer({ method, answers, respond }: Rpc, target: URL, exchange: Exchange): Promise<void> {
    const { response } = exchange;
    const closed = new Promise<void>((resolve) => response.once("close", resolve));
    const form = servedForm(method, rpcRequest(exchange, target.searchParams), exchange);
    if (form === undefined) return send(response, await otherForm(method, exchange));
    try {
      send(response, await answers[form.binary ? "binary" : "json"]({ exchange, form, respond, closed }));
    } catch (error) {
      send(response, await refusal(form, toKmsError(error)));
    }
  }

  async function otherForm(method: DescMethod, exchange: Exchange): Promise<Reply> {
    const verbs = verbsOf(method);
    const isKnown = verbs.includes(exchange.request.method ?? "");
    const message = isKnown ? `use the media type ${mediaTypes.join(", ")}` : `use ${verbs.join(", ")}`;
    const error = calls.refuse(method, new KmsError("INVALID_ARGUMENT", message));
    const reply = await refusal(plainRequest(exchange), error);
    return isKnown
      ? { ...withHeaders(reply, { "accept-post": mediaTypes.join(", ") }), status: 415 }
      : { ...withHeaders(reply, { allow: verbs.join(", ") }), status: 405 };
  }

  return {
    answer(target, exchange) {
      const rpc = rpcs.get(target.pathname);
      return rpc && answer(rpc, target, exchange);
    },
    rpcAt: (path) => rpcs.get(path)?.method,
    refusal: (exchange, error) => refusal(postedRequest(exchange) ?? plainRequest(exchange), error),
  };
}

/** An rpc with messages both ways, which HTTP/1.1 has not: a call like any other, of which no body is read. */
function http2Only(rpc: DescMethod, { route }: Calls, grpcAddress: string): AnswerOf {
  const why = `${rpc.name} is served over HTTP/2 only, by gRPC and Connect at ${grpcAddress}: HTTP/1.1 has no streams both ways`;
  const handler = (): never => {
    throw new KmsError("UNIMPLEMENTED", why);
  };
  const form = { decode: () => undefined, encode: (answer: never) => answer };
  const audit = { action: undefined, kind: "look", named: () => ({}) } as const;
  return route({ rpc, audit, handler }, form, { ...carrier, body: () => new Uint8Array() });
}

/** Undefined if the rpc is not served that way. One with streams is served no way here, and says so in the caller's own protocol. */
function servedForm(method: DescMethod, form: RpcRequest | undefined, exchange: Exchange): RpcRequest | undefined {
  if (method.methodKind !== "unary") return form ?? plainRequest(exchange);
  return form?.streams || !verbsOf(method).includes(exchange.request.method ?? "") ? undefined : form;
}

function verbsOf({ idempotency }: DescMethod): string[] {
  return idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS ? ["POST", "GET"] : ["POST"];
}

const mediaTypes = ["proto", "json", "grpc-web", "grpc-web+proto", "grpc-web+json"].map(
  (type) => `application/${type}`,
);

async function replyOf(response: UniversalServerResponse, told: Told): Promise<Reply> {
  const headers = Object.fromEntries(response.header!) as Reply["headers"];
  return withHeaders({ status: response.status, headers, body: await wholeBody(response, told) }, noStore);
}

const noStore = { "cache-control": "no-store" };

function withHeaders(reply: Reply, more: Record<string, string>): Reply {
  return { ...reply, headers: { ...reply.headers, ...more } };
}
