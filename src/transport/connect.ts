/**
 * Connect, gRPC-Web and JSON over HTTP/1.1 by connect-node, with the handlers of the gRPC server. connect-node decodes
 * by itself, so the methods that read wire bytes get their message encoded again: unknown fields survive that.
 */
import type { RequestListener } from "node:http";
import {
  type DescMessage,
  type DescMethod,
  type DescMethodUnary,
  fromBinary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { KmsError } from "../errors.ts";
import { andThen } from "../service/answer.ts";
import type { Caller } from "../service/context.ts";
import { callContext, callerLeft, deadlinePassed } from "./call-context.ts";
import { maxMessageBytes } from "./grpc.ts";
import { checkedJson, strictJson } from "./json-request.ts";
import type { Handler, Served } from "./served.ts";
import { toConnectError, toKmsError } from "./status.ts";
import type { CallRecorder } from "./telemetry.ts";

export interface ConnectParts {
  services: readonly Served[];
  recorder: CallRecorder;
  caller: Caller;
}

type Message = MessageShape<DescMessage>;

export function connectHandler({ services, recorder, caller }: ConnectParts): RequestListener {
  const unary = (served: Served, method: DescMethodUnary) => {
    const handle = messageHandler(served, method);
    return async (request: Message, context: HandlerContext) => {
      const header = (name: string) => context.requestHeader.get(name) ?? undefined;
      const ours = callContext(caller, (abort) => {
        const leave = () => abort(departure(context.signal.reason));
        if (context.signal.aborted) leave();
        else context.signal.addEventListener("abort", leave, { once: true });
      });
      try {
        return await recorder.run(method, header, () => handle(request, ours));
      } catch (error) {
        throw toConnectError(toKmsError(error));
      }
    };
  };
  const readJson = (method: DescMethod, bytes: Uint8Array) => {
    try {
      return checkedJson(method.input, bytes);
    } catch (error) {
      throw toConnectError(recorder.refuse(method, error));
    }
  };
  const listener = connectNodeAdapter({
    grpc: false,
    readMaxBytes: maxMessageBytes,
    writeMaxBytes: maxMessageBytes,
    routes(router: ConnectRouter) {
      for (const served of services) {
        for (const method of served.service.methods) {
          if (method.methodKind !== "unary") continue;
          const textDecoder = { decode: (bytes: Uint8Array) => readJson(method, bytes) };
          const jsonOptions = { ...strictJson, textDecoder };
          router.rpc(method as DescMethodUnary, unary(served, method as DescMethodUnary), { jsonOptions });
        }
      }
    },
  });
  return listener as RequestListener;
}

/** A handler of messages, whatever the method's own one speaks. */
function messageHandler({ handlers, wire = {} }: Served, method: DescMethodUnary): Handler<Message, Message> {
  const handler: unknown = handlers[method.localName];
  const spoken = wire[method.localName];
  if (spoken === undefined) return handler as Handler<Message, Message>;
  if (spoken === "request") {
    const handle = handler as Handler<Uint8Array, Message>;
    return (request, context) => handle(encode(method.input, request), context);
  }
  const handle = handler as Handler<Uint8Array, Uint8Array>;
  return (request, context) =>
    andThen(handle(encode(method.input, request), context), (bytes) => fromBinary(method.output, bytes));
}

/** JSON can say what no wire form can: a lone surrogate, say. */
function encode<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): Uint8Array {
  try {
    return toBinary(desc, message);
  } catch (cause) {
    throw new KmsError(
      "INVALID_ARGUMENT",
      `the request is not a valid ${desc.typeName}: check its strings and numbers`,
      {
        cause,
      },
    );
  }
}

/** connect-node's own reason for the end of a call, in our words. */
function departure(reason: unknown): KmsError {
  return ConnectError.from(reason).code === Code.DeadlineExceeded ? deadlinePassed() : callerLeft();
}
