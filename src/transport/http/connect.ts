/**
 * Connect, gRPC-Web and JSON over HTTP/1.1, with the handlers of the gRPC server. Codes, errors, media types and frames are by
 * @connectrpc/connect. Requests are read and decoded inside the call, as with gRPC: what does not parse is INVALID_ARGUMENT,
 * counted and logged. connect-node decodes before a call begins, and answers `internal` for such a request.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { KmsError } from "../../errors.ts";
import type { MaybePromise } from "../../call/maybe-promise.ts";
import type { Calls } from "../pipeline.ts";
import type { UnaryCarrier } from "../carrier.ts";
import { binaryForm, jsonForm } from "../codecs.ts";
import { toKmsError } from "../error-status.ts";
import { maxMessageBytes } from "../limits.ts";
import { rpcPath, type UnaryMethod, unaryMethods } from "../services.ts";
import { readBody } from "./body.ts";
import { type Exchange, httpContext } from "./caller-context.ts";
import { connectGet, connectPost, plainRequest } from "./connect-request.ts";
import { grpcWebPost } from "./grpc-web-request.ts";
import { type Reply, send } from "./route.ts";
import type { RpcRequest } from "./rpc-request.ts";

export interface ConnectHandler {
  /** Answers a request for a rpc; undefined at a path that is none. */
  answer(target: URL, exchange: Exchange): Promise<void> | undefined;
  /** The rpc at a path. */
  rpcAt(path: string): DescMethod | undefined;
}

interface Asked {
  target: URL;
  exchange: Exchange;
}

interface Rpc {
  method: DescMethod;
  answers: { binary: AnswerOf; json: AnswerOf };
}

type AnswerOf = (call: HttpCall) => MaybePromise<Reply>;

/** A call in the form of its protocol. */
interface HttpCall {
  exchange: Exchange;
  form: RpcRequest;
  /** Resolves when the answer is sent, or the caller gone. */
  closed: Promise<void>;
}

const carrier: UnaryCarrier<HttpCall, Reply> = {
  header: ({ exchange }, name) => exchange.request.headers[name]?.toString(),
  context: ({ exchange, form }) => httpContext(exchange, form.timeoutMs()),
  heldBytes: () => 0,
  heldUntil: ({ closed }) => closed,
  async body({ exchange, form }, grow) {
    if (form.compressed) grow(maxMessageBytes);
    return form.message(await readBody(exchange, maxMessageBytes, grow));
  },
  deliver: ({ form }, answer) => form.answer(answer),
};

/** `grpcAddress` is where gRPC is served, which alone has streams both ways. */
export function connectHandler(calls: Calls, grpcAddress: string): ConnectHandler {
  const rpcs = new Map<string, Rpc>();
  for (const { service } of calls.services) {
    for (const method of service.methods) {
      const refused = grpcOnly(method, calls, grpcAddress);
      rpcs.set(`/${rpcPath(method)}`, { method, answers: { binary: refused, json: refused } });
    }
  }
  for (const method of calls.services.flatMap(unaryMethods)) {
    rpcs.set(`/${rpcPath(method.rpc)}`, { method: method.rpc, answers: answersOf(method, calls) });
  }
  return {
    answer(target, exchange) {
      const rpc = rpcs.get(target.pathname);
      return rpc && answer(rpc, { target, exchange }, calls.refuse);
    },
    rpcAt: (path) => rpcs.get(path)?.method,
  };
}

/** A refusal of a request for a rpc before it is looked at, in the request's own protocol. */
export function refusalOf(exchange: Exchange, error: KmsError): Reply {
  const form = exchange.request.method === "POST" ? (grpcWebPost(exchange) ?? connectPost(exchange)) : undefined;
  return (form ?? plainRequest(exchange)).refusal(error);
}

function answersOf(method: UnaryMethod, { unary }: Calls): Rpc["answers"] {
  const { rpc, codec } = method;
  return {
    binary: unary(method, binaryForm(rpc, codec), carrier),
    json: unary(method, jsonForm(rpc, codec), carrier),
  };
}

/** A method with messages both ways, which HTTP/1.1 has not: a call like any other, of which no body is read. */
function grpcOnly(rpc: DescMethod, { route }: Calls, grpcAddress: string): AnswerOf {
  const why = `${rpc.name} is served by gRPC only, at ${grpcAddress}: HTTP/1.1 has no streams both ways`;
  const handler = (): never => {
    throw new KmsError("UNIMPLEMENTED", why);
  };
  const form = { decode: () => undefined, encode: (answer: never) => answer };
  const audit = { action: undefined, kind: "look", named: () => ({}) } as const;
  return route({ rpc, audit, handler }, form, { ...carrier, body: () => new Uint8Array() });
}

async function answer(rpc: Rpc, asked: Asked, refuse: Calls["refuse"]): Promise<void> {
  const { exchange } = asked;
  const { response } = exchange;
  const closed = new Promise<void>((resolve) => response.once("close", resolve));
  const form = formOf(rpc, asked);
  if (form === undefined) return send(response, otherForm(rpc.method, exchange, refuse));
  try {
    send(response, await rpc.answers[form.binary ? "binary" : "json"]({ exchange, form, closed }));
  } catch (error) {
    send(response, form.refusal(toKmsError(error)));
  }
}

/** Undefined where the rpc is not served that way. One with streams is served no way here, and says so in the caller's own protocol. */
function formOf({ method }: Rpc, { target, exchange }: Asked): RpcRequest | undefined {
  const verb = exchange.request.method;
  const post = () => grpcWebPost(exchange) ?? connectPost(exchange);
  const form = verb === "POST" ? post() : verb === "GET" ? connectGet(exchange, target.searchParams) : undefined;
  if (method.methodKind !== "unary") return form ?? plainRequest(exchange);
  return form?.unary === false || !verbsOf(method).includes(verb ?? "") ? undefined : form;
}

function verbsOf({ idempotency }: DescMethod): string[] {
  return idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS ? ["POST", "GET"] : ["POST"];
}

const mediaTypes = ["proto", "json", "grpc-web", "grpc-web+proto", "grpc-web+json"].map(
  (type) => `application/${type}`,
);

function otherForm(method: DescMethod, exchange: Exchange, refuse: Calls["refuse"]): Reply {
  const verbs = verbsOf(method);
  const isKnown = verbs.includes(exchange.request.method ?? "");
  const message = isKnown ? `use the media type ${mediaTypes.join(", ")}` : `use ${verbs.join(", ")}`;
  const reply = plainRequest(exchange).refusal(refuse(method, new KmsError("INVALID_ARGUMENT", message)));
  const { headers } = reply;
  return isKnown
    ? { ...reply, status: 415, headers: { ...headers, "accept-post": mediaTypes.join(", ") } }
    : { ...reply, status: 405, headers: { ...headers, allow: verbs.join(", ") } };
}
